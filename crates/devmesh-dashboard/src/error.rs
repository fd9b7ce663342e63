//! Why a dashboard does not start, or ends.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure: a fragment that fits "failed to …".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bus was not reached, or refused.
    #[error("{what}")]
    Bus {
        /// The operation.
        what: &'static str,
        /// What the bus said.
        #[source]
        source: devmesh_bus::Error,
    },
    /// The port is taken.
    #[error("listen on {at}: another program does; choose another port with --listen, or end it")]
    Taken {
        /// Where.
        at: SocketAddr,
    },
    /// No port near the usual one is free.
    #[error(
        "listen on 127.0.0.1: the ports {from} to {to} are all taken; choose one with --listen"
    )]
    AllTaken {
        /// The first that was tried.
        from: u16,
        /// The last.
        to: u16,
    },
    /// The address cannot be listened on.
    #[error("listen on {at}")]
    Listen {
        /// Where.
        at: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The web server ended by itself.
    #[error("serve the page")]
    Serve(#[source] std::io::Error),
    /// The file with the secret cannot be used.
    #[error("use the token file {}: {why}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system gives no random bytes.
    #[error("draw a secret: {0}")]
    Random(String),
}
