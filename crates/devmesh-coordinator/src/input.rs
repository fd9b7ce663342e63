//! What can happen to a coordinator: one closed enum. Time and everything else from outside
//! enters here, as data.

use std::collections::BTreeMap;

use devmesh_bus::intake::{Message, ReplyTo};
use devmesh_bus::log::{AppendError, Entry};
use devmesh_protocol::batch::{BadBatch, Batch};
use devmesh_protocol::command::Encoding;
use devmesh_protocol::limits::REQUEST_BYTES_MAX;
use devmesh_protocol::query::Query;
use devmesh_protocol::report::{Beat, HostReport, LeaderBeat};
use devmesh_protocol::subject::Incoming;
use devmesh_protocol::{ActorId, Code, Command, CommandId, Digest, Record, Rejection};

use crate::view::store::Room;

/// Both clocks, read once for the inputs of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the Unix epoch; looked at when a term begins, and to see it jump.
    pub wall_ms: u64,
    /// Milliseconds of a clock that only goes forward, from any origin.
    pub mono_ms: u64,
}

/// Who waits for an answer, and how it is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Where it goes.
    pub to: ReplyTo,
    /// How it is written.
    pub encoding: Encoding,
}

/// A message of the log, decoded beside others.
#[derive(Clone, Debug)]
pub struct Read {
    /// As stored.
    pub entry: Entry,
    /// What it holds.
    pub batch: Result<Batch, BadBatch>,
}

impl Read {
    /// Decodes a message.
    pub fn of(entry: Entry) -> Read {
        let batch = Batch::decode(&entry.payload);
        Read { entry, batch }
    }
}

/// One thing that happened. `link` names the connection it came over: what still arrives from one
/// that was given up is not looked at.
#[derive(Clone, Debug)]
pub enum Input {
    /// The connection that was asked for stands.
    Opened {
        /// Which.
        link: u64,
    },
    /// The connection is gone.
    Lost {
        /// Which.
        link: u64,
        /// What was seen.
        why: String,
    },
    /// The stream's leader told the log's last position.
    Last {
        /// Over which connection.
        link: u64,
        /// When it was asked, by the monotonic clock.
        asked_at: u64,
        /// What it told.
        last: Result<u64, String>,
        /// How many servers keep the stream, where that is known.
        replicas: Option<u32>,
    },
    /// Messages of the log, in order.
    Entries {
        /// Over which connection.
        link: u64,
        /// At least one.
        entries: Vec<Read>,
    },
    /// Reading ended with an error.
    ReadEnded {
        /// Over which connection.
        link: u64,
        /// The log itself is at fault: reading again is no use.
        fatal: bool,
        /// What was seen.
        why: String,
    },
    /// The append that was in flight came to an end.
    Appended {
        /// Over which connection.
        link: u64,
        /// Its position, or why it is not known to be stored.
        outcome: Result<u64, AppendError>,
    },
    /// A free text was stored, or could not be.
    TextStored {
        /// Which.
        digest: Digest,
        /// What was seen.
        stored: Result<(), String>,
    },
    /// A free text was read; `None` where there is none.
    TextRead {
        /// Which.
        digest: Digest,
        /// What was read.
        text: Result<Option<String>, String>,
    },
    /// A redacted text's bytes are gone, or could not be deleted.
    TextDeleted {
        /// Which.
        digest: Digest,
        /// What was seen.
        deleted: Result<(), String>,
    },
    /// An old record was read for an answer that is to be given again.
    RecordRead {
        /// For which request.
        ticket: u64,
        /// What was read.
        record: Result<Box<Record>, String>,
    },
    /// A command that could be read.
    Command {
        /// What is to happen.
        command: Box<Command>,
        /// Who waits.
        caller: Caller,
    },
    /// A query that could be read.
    Query {
        /// What is asked.
        query: Query,
        /// Who waits.
        caller: Caller,
    },
    /// A message that could not be read, or is over a bound.
    Unread {
        /// Why.
        rejection: Rejection,
        /// Who waits.
        caller: Caller,
    },
    /// A heartbeat.
    Beat {
        /// Whose.
        actor: ActorId,
        /// What it says.
        beat: Beat,
        /// Who waits.
        caller: Caller,
    },
    /// What a host measured.
    Report {
        /// The sample.
        report: Box<HostReport>,
        /// Any answer lets the server forget it.
        caller: Caller,
    },
    /// What is free where the store is; none where it is not known to be on this machine.
    Weighed(Option<Room>),
    /// A leader said that it lives.
    Leader(LeaderBeat),
    /// Messages that were dropped before they came here, by reason, since the start.
    Dropped(BTreeMap<String, u64>),
    /// Time has passed.
    Tick,
    /// The process is to end.
    Stop,
}

/// Reads a message at the door. `mint` names a command that came without an id. `None`: it is
/// somebody's report on another host, which is dropped.
pub fn read(message: Message, mint: impl FnOnce() -> CommandId) -> Option<Input> {
    let Message { incoming, encoding, payload, reply, is_over_bound } = message;
    let caller = Caller { to: reply, encoding };
    if is_over_bound {
        let text = format!(
            "too many requests of yours are under way, or one is over {REQUEST_BYTES_MAX} bytes"
        );
        let rejection = Rejection::new(Code::LimitExceeded, text).retry_after(100);
        return Some(Input::Unread { rejection, caller });
    }
    let read = match incoming {
        Incoming::Command { actor, verb } => Command::parse(actor, &verb, &payload, encoding, mint)
            .map(|command| Input::Command { command: Box::new(command), caller: caller.clone() }),
        Incoming::Query { actor, what } => Query::parse(actor, &what, &payload, encoding)
            .map(|query| Input::Query { query, caller: caller.clone() }),
        Incoming::Beat { actor } => {
            soft::<Beat>(&payload).map(|beat| Input::Beat { actor, beat, caller: caller.clone() })
        }
        Incoming::Report { host } => match soft::<HostReport>(&payload) {
            Ok(report) if report.host != host => return None,
            read => read
                .map(|report| Input::Report { report: Box::new(report), caller: caller.clone() }),
        },
    };
    Some(read.unwrap_or_else(|rejection| Input::Unread { rejection, caller }))
}

/// Heartbeats and reports are small, frequent and always JSON.
fn soft<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, Rejection> {
    serde_json::from_slice(payload).map_err(|error| Rejection::bad_field("", error))
}
