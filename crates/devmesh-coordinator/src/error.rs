//! Why a coordinator ends.

use std::path::PathBuf;

use devmesh_domain::reader::Stop;

/// A failure: a fragment that fits "failed to …".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system gave it no thread.
    #[error("start the coordinator's thread")]
    Thread {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The bus was not reached, or refused.
    #[error("{what}")]
    Bus {
        /// The operation.
        what: String,
        /// What the bus said.
        #[source]
        source: devmesh_bus::Error,
    },
    /// The log is not whole, or this fold is not its writer's.
    #[error("read the log")]
    Log(#[source] Stop),
    /// The log cannot be read further.
    #[error("read the log: {0}")]
    Unreadable(String),
    /// The log ends before what is known of it: what was acknowledged is gone.
    #[error(
        "lead: the log was rolled back; it ends at record {has} (message {has_message}), and \
         {known_by} knows of {known}. Restore the store from a copy, or make a new mesh; starting \
         here would give tokens a second time"
    )]
    RolledBack {
        /// The last record there is.
        has: u64,
        /// The message it stands in.
        has_message: u64,
        /// What was known: a record or message.
        known: String,
        /// Who knows it.
        known_by: String,
    },
    /// The head that was kept is of another log.
    #[error(
        "read the log: message {stream_seq} is not the one that this coordinator knows there; the \
         log was replaced"
    )]
    Replaced {
        /// The message.
        stream_seq: u64,
    },
    /// A file in the state folder could not be read or written.
    #[error("use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}
