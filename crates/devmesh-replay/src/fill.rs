//! Filling a projection: the log as far as it goes now, and with `--follow` every record to come.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use devmesh_bus::log::{Entries, Entry, Log};
use devmesh_domain::Reader;
use devmesh_protocol::batch::Chain;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::json;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::Args;
use crate::error::{Error, Result};
use crate::project::Projection;
use crate::read::{self, Step};
use crate::told::{Decoded, Texts, Told};

/// Messages to a transaction while catching up, and records.
const MESSAGES_PER_TRANSACTION: usize = 5_000;
const RECORDS_PER_TRANSACTION: usize = 100_000;
/// Messages decoded, folded and written together.
const CHUNK: usize = 256;

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
        put(&mut projection, step)?;
        Ok(ControlFlow::Continue(()))
    };
    let entries = log.tail(reader.chain().stream_seq + 1);
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = read::drain(entries, &mut reader, &mut take) => ended,
    }
}

/// One message, one transaction.
fn put(projection: &mut Projection, step: Step<'_>) -> Result<()> {
    projection.begin()?;
    projection.put(&[Told::of(step.stream_seq, step.records)])?;
    projection.commit(step.state, step.chain)
}

/// Brings a projection to the end of the log. What it holds already is folded again, for the
/// state, and compared; rows are put only for what is new.
///
/// Messages are decoded on as many cores as there are; while one chunk of them is folded, the
/// rows of the one before it are written.
pub(crate) async fn catch_up<L: Log>(
    log: &L,
    reader: &mut Reader,
    projection: &mut Projection,
) -> Result<()> {
    let held = projection.stream_seq()?;
    let last = log.last().await.map_err(Error::Bus)?;
    let mut chunks = decoded(log.read(reader.chain().stream_seq + 1, last), held);
    let mut rows = Rows { projection, messages: 0, records: 0 };
    let mut before: Option<Folded> = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        let owned = std::mem::take(reader);
        let folding = spawn_blocking(move || fold(owned, chunk, held));
        let written = before.take().map_or(Ok(()), |before| rows.put(before));
        let (back, folded) = end_of(folding).await;
        *reader = back;
        written?;
        let folded = folded?;
        if rows.is_due(&folded) {
            rows.put(folded)?;
            rows.commit(reader)?;
        } else {
            before = Some(folded);
        }
    }
    if let Some(before) = before {
        rows.put(before)?;
    }
    rows.commit(reader)?;
    if reader.chain().stream_seq < held {
        projection.check_head(reader.chain())?;
    }
    Ok(())
}

/// The messages, decoded beside each other and handed over in order.
fn decoded(entries: Entries, held: u64) -> BoxStream<'static, Result<Vec<Decoded>>> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let decode = move |chunk: Vec<devmesh_bus::Result<Entry>>| {
        let all = chunk.into_iter().map(move |entry| {
            let entry = entry.map_err(Error::Bus)?;
            Ok(Decoded::of(entry, held))
        });
        end_of(spawn_blocking(move || all.collect()))
    };
    entries.ready_chunks(CHUNK).map(decode).buffered(cores).boxed()
}

/// What was done on another thread. A panic there is one here.
async fn end_of<T>(work: JoinHandle<T>) -> T {
    match work.await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Some messages after they were folded.
struct Folded {
    /// The chain where the projection stands, if that is among them.
    at_held: Option<Chain>,
    /// What comes after that.
    told: Vec<Told>,
}

fn fold(mut reader: Reader, chunk: Vec<Decoded>, held: u64) -> (Reader, Result<Folded>) {
    let mut folded = Folded { at_held: None, told: Vec::with_capacity(chunk.len()) };
    for Decoded { entry, batch, mut texts } in chunk {
        let stream_seq = entry.stream_seq;
        let records = match reader.take_decoded(stream_seq, &entry.payload, batch) {
            Ok(records) => records,
            Err(stop) => return (reader, Err(Error::Stop(stop))),
        };
        if stream_seq == held {
            folded.at_held = Some(*reader.chain());
        }
        if stream_seq > held {
            if records.is_empty() {
                // A void message has texts and no records.
                texts = Texts::default();
            }
            folded.told.push(Told { stream_seq, records, texts });
        }
    }
    (reader, Ok(folded))
}

/// Rows on their way into the projection.
struct Rows<'p> {
    projection: &'p mut Projection,
    /// What is in the transaction; one is under way where that is anything.
    messages: usize,
    records: usize,
}

impl Rows<'_> {
    /// Whether the transaction ends with these.
    fn is_due(&self, folded: &Folded) -> bool {
        let records: usize = folded.told.iter().map(|told| told.records.len()).sum();
        self.messages + folded.told.len() >= MESSAGES_PER_TRANSACTION
            || self.records + records >= RECORDS_PER_TRANSACTION
    }

    fn put(&mut self, folded: Folded) -> Result<()> {
        if let Some(chain) = folded.at_held {
            self.projection.check_head(&chain)?;
        }
        if folded.told.is_empty() {
            return Ok(());
        }
        if self.messages == 0 {
            self.projection.begin()?;
        }
        self.messages += folded.told.len();
        self.records += folded.told.iter().map(|told| told.records.len()).sum::<usize>();
        self.projection.put(&folded.told)
    }

    /// Ends the transaction, if one is under way. All that was folded must have been put.
    fn commit(&mut self, reader: &Reader) -> Result<()> {
        if self.messages == 0 {
            return Ok(());
        }
        (self.messages, self.records) = (0, 0);
        self.projection.commit(reader.state(), reader.chain())
    }
}
