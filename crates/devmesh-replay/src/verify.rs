//! `--verify`: every digest, link, place and hash of the log, and every invariant of the state.

use std::io::Write;
use std::ops::ControlFlow;

use devmesh_bus::log::Log;
use devmesh_domain::{Reader, invariant};
use serde_json::json;

use crate::Args;
use crate::error::{Error, Result};
use crate::read::{self, Head};

/// What was counted on the way.
#[derive(Default)]
struct Count {
    records: u64,
    events: u64,
    void: u64,
}

pub(crate) async fn run<L: Log>(args: &Args, log: &L, out: &mut (dyn Write + Send)) -> Result<()> {
    let mut reader = Reader::default();
    let mut count = Count::default();
    read::each(log, &mut reader, |step| {
        count.void += u64::from(step.records.is_empty());
        count.records += step.records.len() as u64;
        count.events += step.records.iter().map(|record| record.events.len() as u64).sum::<u64>();
        let seq = step.state.seq;
        invariant::check(step.state).map_err(|what| Error::Invariant { seq, what })?;
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    let head = Head::of(reader.chain());
    let hash = reader.hash();
    if let Some(expected) = &args.expect
        && *expected != head.to_string()
    {
        return Err(Error::Head { expected: expected.clone(), found: head.to_string() });
    }
    let text = if args.json {
        json!({
            "head": head.to_string(), "stream_seq": head.stream_seq, "seq": head.seq,
            "h": head.h, "hash": hash, "epoch": reader.chain().epoch, "records": count.records,
            "events": count.events, "void": count.void,
        })
        .to_string()
    } else {
        format!(
            "the log is whole: {} messages ({} void), {} records, {} events, term {}\n\
             state {hash}\nhead {head}",
            head.stream_seq,
            count.void,
            count.records,
            count.events,
            reader.chain().epoch
        )
    };
    writeln!(out, "{text}").map_err(Error::Print)
}
