//! What can go wrong in a chore.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// A chore that failed; reads on from "failed to".
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file could not be read.
    #[error("read {}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("write {}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program could not be started.
    #[error("start `{command}`")]
    Start {
        /// The command line.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program ended with an error of its own, already printed.
    #[error("run `{command}` ({status})")]
    Ended {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// What cargo says of the workspace is not what this build of xtask reads.
    #[error("read what `cargo metadata` printed")]
    Metadata(#[source] serde_json::Error),
    /// The tree breaks its own rules; each breach is printed.
    #[error("find the tree tidy: {0} breaches")]
    Untidy(usize),
    /// The files under `schemas/` are not what the types say; each is named.
    #[error("find schemas/ up to date: {0} files differ; `cargo xtask schemas` writes them")]
    StaleSchemas(usize),
    /// There is no nats-server to be had.
    #[error("set up nats-server")]
    NatsServer(#[source] devmesh_bus::server::Error),
    /// A coding tool could not be installed.
    #[error("install {name} with npm")]
    Tool {
        /// Which one.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A bench broke off.
    #[error("{what}")]
    Bench {
        /// What it was doing.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The demonstration did not come out as it should.
    #[error("{doing}\n{evidence}")]
    Demo {
        /// What it was to do.
        doing: String,
        /// What was seen instead.
        evidence: String,
    },
    /// The runtime for what waits on the network could not be made.
    #[error("start the async runtime")]
    Runtime(#[source] io::Error),
    /// Tests failed, or the runner did.
    #[error("pass all tests")]
    Tests,
    /// No bench has this name.
    #[error("find a bench named {0}; `cargo xtask bench --list` names them")]
    NoSuchBench(String),
    /// A value could not be written as JSON.
    #[error("write JSON")]
    Json(#[source] serde_json::Error),
}

impl Error {
    /// What to do about it, where that is not obvious.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Untidy(_) => Some("the rules stand in crates/xtask/src/tidy"),
            Error::Start { .. } => Some("is it installed and on PATH?"),
            Error::Read { .. }
            | Error::Write { .. }
            | Error::Ended { .. }
            | Error::Metadata(_)
            | Error::StaleSchemas(_)
            | Error::NatsServer(_)
            | Error::Tool { .. }
            | Error::Bench { .. }
            | Error::Demo { .. }
            | Error::Runtime(_)
            | Error::Tests
            | Error::NoSuchBench(_)
            | Error::Json(_) => None,
        }
    }
}

/// The result of a chore.
pub(crate) type Result<T> = std::result::Result<T, Error>;
