//! Messages of the log, decoded on as many cores as there are and handed over in order.

use devmesh_bus::ErrorKind;
use devmesh_bus::log::{Entries, Entry, Log};
use devmesh_protocol::Record;
use devmesh_protocol::batch::{Accepted, Chain};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::input::{Input, Read};

/// Messages decoded together.
const CHUNK: usize = 256;
/// Fewer than these are not worth another thread.
const FEW: usize = 8;

/// Reads `entries` over that connection.
pub(super) fn inputs(link: u64, entries: Entries) -> BoxStream<'static, Vec<Input>> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    entries.ready_chunks(CHUNK).map(move |chunk| decode(link, chunk)).buffered(cores * 2).boxed()
}

async fn decode(link: u64, chunk: Vec<devmesh_bus::Result<Entry>>) -> Vec<Input> {
    if chunk.len() < FEW {
        return decoded(link, chunk);
    }
    let decoding = tokio::task::spawn_blocking(move || decoded(link, chunk)).await;
    decoding.unwrap_or_else(|error| {
        let why = format!("decode the log: {error}");
        vec![Input::ReadEnded { link, fatal: true, why }]
    })
}

fn decoded(link: u64, chunk: Vec<devmesh_bus::Result<Entry>>) -> Vec<Input> {
    let mut entries = Vec::with_capacity(chunk.len());
    let mut inputs = Vec::with_capacity(2);
    let mut ended = None;
    for entry in chunk {
        match entry {
            Ok(entry) => entries.push(Read::of(entry)),
            Err(error) => {
                let fatal = matches!(
                    error.kind(),
                    ErrorKind::Gap | ErrorKind::RolledBack | ErrorKind::Corrupt
                );
                ended = Some(Input::ReadEnded { link, fatal, why: devmesh_bus::chain(&error) });
                break;
            }
        }
    }
    if !entries.is_empty() {
        inputs.push(Input::Entries { link, entries });
    }
    inputs.extend(ended);
    inputs
}

/// Reads one old record; what stands before it is checked from `after` on, so that a void
/// message that claims its number is not taken for it.
pub(crate) async fn record(
    log: &impl Log,
    after: Chain,
    to: u64,
    seq: u64,
) -> Result<Box<Record>, String> {
    let mut chain = after;
    let mut entries = log.read(chain.stream_seq + 1, to);
    while let Some(entry) = entries.next().await {
        let entry = entry.map_err(|error| devmesh_bus::chain(&error))?;
        let accepted = chain.accept(entry.stream_seq, &entry.payload);
        match accepted.map_err(|halt| halt.to_string())? {
            Accepted::Records(records) => {
                if let Some(record) = records.into_iter().find(|record| record.seq == seq) {
                    return Ok(Box::new(record));
                }
            }
            Accepted::Void { .. } => {}
        }
    }
    Err(format!("record {seq} is not in the log up to message {to}"))
}
