//! Folding alone, and a cold start: a log read from the server, decoded, checked and folded,
//! beside the same messages only read.

use std::time::Instant;

use devmesh_bus::log::{Entries, Entry, Log, Open};
use devmesh_domain::Reader;
use devmesh_domain::fold::fold;
use devmesh_domain::state::State;
use devmesh_protocol::batch::{BadBatch, Batch, Chain};
use devmesh_protocol::event::lock::{LockGranted, LockReleased};
use devmesh_protocol::event::mesh::EpochStarted;
use devmesh_protocol::{
    ActorId, At, CommandId, Digest, Event, LeaseId, Mode, Record, RepoId, RepoPath, version,
};
use futures::{Stream, StreamExt};
use tokio::task::{JoinError, spawn_blocking};

use super::world::{self, World, failed};
use super::{Against, Aim, Row};
use crate::error::Result;

const RECORDS: u64 = 100_000;
/// As many decisions share a message under a moderate load.
const RECORDS_PER_MESSAGE: usize = 16;
const ACTORS: u64 = 100;

/// Both figures.
pub(super) fn all() -> Result<Vec<Row>> {
    let mut rows = vec![alone()];
    rows.extend(world::until_interrupted(cold_start())?);
    Ok(rows)
}

/// A grant, then its release, by one actor after the other.
fn record(seq: u64) -> Record {
    let turn = seq / 2;
    let actor = ActorId::new(&format!("p{}", turn % ACTORS)).expect("a plain name");
    let event: Event = if seq.is_multiple_of(2) {
        LockGranted {
            index: 0,
            actor: actor.clone(),
            session: None,
            task: None,
            repo: RepoId::new("demo").expect("a plain name"),
            path: RepoPath::new(&format!("src/m{}/f{turn}.rs", turn % 97)).expect("a plain path"),
            mode: Mode::Write,
            ttl_ms: 1_800_000,
            expires_at: Some(At(seq + 1_800_000)),
            waited: None,
            share: None,
            reason: None,
        }
        .into()
    } else {
        LockReleased { lease: LeaseId { seq: seq - 1, index: 0 } }.into()
    };
    let uuid = uuid(seq);
    Record {
        seq,
        at: At(seq),
        command_id: Some(CommandId::new(&uuid).expect("a plain id")),
        body: Some(Digest::of(uuid.as_bytes())),
        actor,
        causation: None,
        events: vec![event],
    }
}

/// An id as clients mint them: it rises with its time, a millisecond to a record.
fn uuid(seq: u64) -> String {
    let ms = 0x019a_9b3c_1d2e + seq;
    format!("{:08x}-{:04x}-7abc-8def-{seq:012x}", ms >> 16, ms & 0xffff)
}

fn alone() -> Row {
    // The first record of a log starts a term; here the fold alone is measured.
    let records: Vec<Record> = (1..=RECORDS).map(record).collect();
    let mut state = State::default();
    let begun = Instant::now();
    for record in &records {
        fold(&mut state, record);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let against = Some(Against {
        what: "the design's aim".to_owned(),
        value: 1e6,
        aim: Some(Aim::AtLeast(1.0)),
    });
    let what = "fold alone, events".to_owned();
    Row { bench: "fold", what, value: RECORDS as f64 / seconds, unit: "/s", against }
}

async fn cold_start() -> Result<Vec<Row>> {
    let world = World::start().await?;
    let log = world.log()?.open().await.map_err(failed("open the log"))?;
    eprintln!("  writing {RECORDS} records");
    let last = write(&log).await?;
    let begun = Instant::now();
    let mut entries = log.read(1, last);
    while let Some(entry) = entries.next().await {
        entry.map_err(failed("read the log"))?;
    }
    let read_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let mut reader = Reader::default();
    let mut chunks = decoded(log.read(1, last));
    while let Some(chunk) = chunks.next().await {
        for (entry, batch) in chunk.map_err(failed("decode the log"))? {
            let entry = entry.map_err(failed("read the log"))?;
            let taken = reader.take_decoded(entry.stream_seq, &entry.payload, batch);
            taken.map_err(failed("fold the log"))?;
        }
    }
    let whole_s = begun.elapsed().as_secs_f64();
    let against = Some(Against { what: "reading alone".to_owned(), value: read_s, aim: None });
    let what = format!("cold start of {RECORDS} records, {RECORDS_PER_MESSAGE} a message");
    Ok(vec![Row { bench: "fold", what, value: whole_s, unit: "s", against }])
}

/// Messages decoded together, as a coordinator does.
const CHUNK: usize = 256;

type Decoded = (devmesh_bus::Result<Entry>, std::result::Result<Batch, BadBatch>);

/// The messages, decoded on as many cores as there are and handed over in order.
fn decoded(
    entries: Entries,
) -> impl Stream<Item = std::result::Result<Vec<Decoded>, JoinError>> + Unpin {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let decode = |entry: devmesh_bus::Result<Entry>| {
        let payload = entry.as_ref().map(|entry| &entry.payload[..]).unwrap_or_default();
        let batch = Batch::decode(payload);
        (entry, batch)
    };
    entries
        .ready_chunks(CHUNK)
        .map(move |chunk| spawn_blocking(move || chunk.into_iter().map(decode).collect()))
        .buffered(cores * 2)
}

/// Fills the log with these messages.
async fn write(log: &impl Log) -> Result<u64> {
    let mut last = 0;
    for payload in messages() {
        last = log.append(last, 1, payload.into()).await.map_err(failed("append to the log"))?;
    }
    Ok(last)
}

/// A log as a coordinator would write it: a term's start, then batches.
pub(super) fn messages() -> impl Iterator<Item = Vec<u8>> {
    let mut chain = Chain::default();
    std::iter::from_fn(move || {
        let first = chain.seq + 1;
        let last = (first + RECORDS_PER_MESSAGE as u64 - 1).min(RECORDS);
        let records = match first {
            1 => vec![start()],
            _ if first > RECORDS => return None,
            _ => (first..=last).map(record).collect(),
        };
        Some(message(&mut chain, records))
    })
}

fn start() -> Record {
    let hash = State::default().hash();
    let start = EpochStarted { epoch: 1, node: "bench".into(), nonce: 1, hash, format: 1 };
    Record { events: vec![start.into()], command_id: None, body: None, ..record(1) }
}

fn message(chain: &mut Chain, records: Vec<Record>) -> Vec<u8> {
    let batch = Batch {
        v: version::FORMAT,
        epoch: 1,
        node: "bench".to_owned(),
        prev: chain.h,
        first_seq: chain.seq + 1,
        records,
    };
    let payload = batch.encode().expect("a few records are far below the bound");
    chain.accept(chain.stream_seq + 1, &payload).expect("it was made to follow");
    payload
}
