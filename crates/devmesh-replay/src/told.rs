//! Records with the texts that their rows hold, made beside the fold and on as many cores as
//! there are.

use std::io::Write;
use std::ops::Range;

use devmesh_bus::log::Entry;
use devmesh_protocol::batch::{BadBatch, Batch};
use devmesh_protocol::{Event, Record};

/// The texts of some events, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    all: String,
    /// Where key, sentence and body of each event end; each begins where the one before it ends.
    ends: Vec<[usize; 3]>,
}

/// What is told of one event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'t> {
    pub(crate) key: &'t str,
    pub(crate) told: &'t str,
    pub(crate) body: &'t str,
}

impl Texts {
    /// The texts of all events of these records, in order.
    pub(crate) fn of(records: &[Record]) -> Texts {
        let mut all = Vec::with_capacity(records.len() * 512);
        let mut ends = Vec::with_capacity(records.len());
        for event in records.iter().flat_map(|record| &record.events) {
            ends.push(tell(event, &mut all));
        }
        Texts { all: String::from_utf8(all).expect("only texts were written"), ends }
    }

    /// In the order of the events.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Text<'_>> {
        let mut begin = 0;
        self.ends.iter().map(move |&[key, told, body]| {
            let text = |range: Range<usize>| &self.all[range];
            let text =
                Text { key: text(begin..key), told: text(key..told), body: text(told..body) };
            begin = body;
            text
        })
    }
}

/// Appends the texts of an event, and says where each ends.
fn tell(event: &Event, all: &mut Vec<u8>) -> [usize; 3] {
    all.extend_from_slice(event.key().as_bytes());
    let key = all.len();
    write!(all, "{event}").expect("memory takes what is written");
    let told = all.len();
    serde_json::to_writer(&mut *all, event).expect("an event is plain data");
    [key, told, all.len()]
}

/// A message of the log, decoded; with its texts, where rows are to be made of it.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) entry: Entry,
    pub(crate) batch: Result<Batch, BadBatch>,
    pub(crate) texts: Texts,
}

impl Decoded {
    /// Decodes a message. Rows are made of those that come after `held`.
    pub(crate) fn of(entry: Entry, held: u64) -> Decoded {
        let batch = Batch::decode(&entry.payload);
        let texts = match &batch {
            Ok(batch) if entry.stream_seq > held => Texts::of(&batch.records),
            _ => Texts::default(),
        };
        Decoded { entry, batch, texts }
    }
}

/// What a message adds to the log.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) stream_seq: u64,
    pub(crate) records: Vec<Record>,
    pub(crate) texts: Texts,
}

impl Told {
    pub(crate) fn of(stream_seq: u64, records: Vec<Record>) -> Told {
        let texts = Texts::of(&records);
        Told { stream_seq, records, texts }
    }
}
