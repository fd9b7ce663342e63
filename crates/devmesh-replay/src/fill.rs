//! Filling a projection: the log as far as it goes now, and with `--follow` every record to come.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use devmesh_bus::log::Log;
use devmesh_domain::Reader;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::Args;
use crate::error::{Error, Result};
use crate::project::Projection;
use crate::read::{self, Step};

/// Messages to a transaction while catching up.
const MESSAGES_PER_TRANSACTION: u64 = 5_000;

pub(crate) async fn run<L: Log>(
    args: &Args,
    log: &L,
    path: &Path,
    out: &mut (dyn Write + Send),
    shutdown: CancellationToken,
) -> Result<()> {
    let mut projection = Projection::open(path)?;
    let mut reader = Reader::default();
    catch_up(log, &mut reader, &mut projection).await?;
    projection.finish()?;
    let head = projection.head()?.unwrap_or_default();
    let seq = projection.seq()?;
    let text = if args.json {
        json!({ "db": path, "seq": seq, "head": head }).to_string()
    } else {
        format!("{seq} records in {}\nhead {head}", path.display())
    };
    writeln!(out, "{text}").map_err(Error::Print)?;
    if !args.follow {
        return Ok(());
    }
    let mut take = |step: Step<'_>| {
        put(&mut projection, &step)?;
        Ok(ControlFlow::Continue(()))
    };
    let entries = log.tail(reader.chain().stream_seq + 1);
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = read::drain(entries, &mut reader, &mut take) => ended,
    }
}

/// One message, one transaction.
fn put(projection: &mut Projection, step: &Step<'_>) -> Result<()> {
    projection.begin()?;
    for record in &step.records {
        projection.put(step.stream_seq, record)?;
    }
    projection.commit(step.state, step.chain)
}

/// Brings a projection to the end of the log. What it holds already is folded again, for the
/// state, and compared; rows are put only for what is new.
pub(crate) async fn catch_up<L: Log>(
    log: &L,
    reader: &mut Reader,
    projection: &mut Projection,
) -> Result<()> {
    let held = projection.stream_seq()?;
    let mut open = false;
    read::each(log, reader, |step| {
        if step.stream_seq <= held {
            if step.stream_seq == held {
                projection.check_head(step.chain)?;
            }
            return Ok(ControlFlow::Continue(()));
        }
        if !open {
            projection.begin()?;
            open = true;
        }
        for record in &step.records {
            projection.put(step.stream_seq, record)?;
        }
        if step.stream_seq % MESSAGES_PER_TRANSACTION == 0 {
            projection.commit(step.state, step.chain)?;
            open = false;
        }
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    if open {
        projection.commit(reader.state(), reader.chain())?;
    }
    if reader.chain().stream_seq < held {
        projection.check_head(reader.chain())?;
    }
    Ok(())
}
