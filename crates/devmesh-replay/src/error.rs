//! What can go wrong for a replay.

use std::path::PathBuf;

use devmesh_domain::reader::Stop;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be reached or read.
    #[error("read the log")]
    Bus(#[source] devmesh_bus::Error),
    /// The log is not whole, or was not folded as its writer folded it.
    #[error("trust the log")]
    Stop(#[source] Stop),
    /// An invariant does not hold after a record.
    #[error("hold the invariants at record {seq}: {what}")]
    Invariant {
        /// The record.
        seq: u64,
        /// Which, and how it is broken.
        what: String,
    },
    /// The head is not the one that was expected.
    #[error("find the expected head: expected {expected}, found {found}")]
    Head {
        /// As asked for.
        expected: String,
        /// As read.
        found: String,
    },
    /// A value on the command line.
    #[error("read {name} {value:?}: {why}")]
    Argument {
        /// Which.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        why: String,
    },
    /// A file.
    #[error("use the file {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An exported log that is cut short or is none.
    #[error("read the exported log {path}: message {message} is not whole")]
    Cut {
        /// Which.
        path: PathBuf,
        /// The message, counted from 1.
        message: u64,
    },
    /// The projection.
    #[error("keep the projection")]
    Sql(#[from] rusqlite::Error),
    /// The projection belongs to another log.
    #[error("go on with the projection {path}: {why}; give another --db, or remove it")]
    Foreign {
        /// Which.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// What replay prints cannot be printed.
    #[error("print")]
    Print(#[source] std::io::Error),
    /// What was asked about is not in the log.
    #[error("find {0:?} in the log: give a task (t-17), a lease (l-41-0) or an agent's name")]
    Unknown(String),
    /// Neither a mesh nor a file.
    #[error("read a log: there is no mesh here; start one, or give --from FILE")]
    NoSource,
}

/// The result of a replay's operation.
pub type Result<T> = std::result::Result<T, Error>;
