//! Replay: the log folded into SQLite, shown as it stood at any record, checked from end to end,
//! and asked *why*.
//!
//! **Architecture invariant:** replay reads and never writes the log. What it keeps is a
//! projection that can be thrown away and made again.
//!
//! **Architecture invariant:** SQL stands here and nowhere else.
//!
//! **Architecture invariant:** replay halts where the log is not whole; it never shows a shorter
//! history as if it were all.

pub mod error;
pub mod file;
mod fill;
pub mod project;
mod read;
mod show;
mod told;
mod verify;
pub mod why;

use std::io::Write;
use std::path::PathBuf;

use devmesh_bus::log::memory::MemoryOpen;
use devmesh_bus::log::nats::NatsOpen;
use devmesh_bus::log::{Log, Open};
use tokio_util::sync::CancellationToken;

pub use error::{Error, Result};
pub use read::Head;

/// What replay is asked.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Read an exported log instead of the mesh's own
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Show the whole mesh as it stood at this record, or at this time (RFC 3339)
    #[arg(long, value_name = "SEQ|TIME")]
    pub at: Option<String>,
    /// Check every message and record, and print the head
    #[arg(long)]
    pub verify: bool,
    /// With --verify: the head that must be found, as printed before
    #[arg(long, value_name = "HEAD", requires = "verify")]
    pub expect: Option<String>,
    /// Tell the chain of records that led to a task, lease or agent
    #[arg(long, value_name = "ID", conflicts_with_all = ["at", "verify"])]
    pub why: Option<String>,
    /// Print every record as it comes, and go on when the end is reached
    #[arg(long)]
    pub follow: bool,
    /// Print the records, from this one
    #[arg(long, value_name = "SEQ", num_args = 0..=1, default_missing_value = "1")]
    pub records: Option<u64>,
    /// Write the messages of the log to a file
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// Fold the log into this SQLite database
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Where the log is read from, where not from a file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Opens the mesh's log.
    pub open: NatsOpen,
}

/// Does what is asked and prints to `out`. Without `--from`, `source` must be there.
pub async fn run(
    args: &Args,
    source: Option<Source>,
    out: &mut (dyn Write + Send),
    shutdown: CancellationToken,
) -> Result<()> {
    match (&args.from, source) {
        (Some(path), _) => {
            let payloads = file::read(path)?;
            let log = MemoryOpen::holding(payloads.into_iter().map(Into::into)).handle();
            on(args, &log, out, shutdown).await
        }
        (None, Some(source)) => {
            let log = source.open.open().await.map_err(Error::Bus)?;
            on(args, &log, out, shutdown).await
        }
        (None, None) => Err(Error::NoSource),
    }
}

/// The same over any log.
pub async fn on<L: Log>(
    args: &Args,
    log: &L,
    out: &mut (dyn Write + Send),
    shutdown: CancellationToken,
) -> Result<()> {
    if args.verify {
        return verify::run(args, log, out).await;
    }
    if let Some(path) = &args.export {
        return show::export(args, log, path, out).await;
    }
    if let Some(at) = &args.at {
        return show::at(args, log, at, out).await;
    }
    if let Some(about) = &args.why {
        return why::run(args, log, about, out).await;
    }
    if let Some(path) = &args.db {
        return fill::run(args, log, path, out, shutdown).await;
    }
    show::records(args, log, out, shutdown).await
}

#[cfg(test)]
mod tests;
