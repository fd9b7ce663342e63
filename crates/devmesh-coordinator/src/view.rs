//! All that a coordinator knows: the acknowledged state, the state it decides on, and the soft
//! state beside both that no log holds.

pub(crate) mod bids;
pub(crate) mod gather;
pub(crate) mod given;
pub(crate) mod held;
pub(crate) mod past;
pub(crate) mod sessions;
pub mod store;
pub(crate) mod suppressed;
pub(crate) mod texts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use devmesh_domain::{Reader, State};
use devmesh_protocol::batch::{Batch, Chain};
use devmesh_protocol::query::Query;
use devmesh_protocol::report::HostReport;
use devmesh_protocol::{
    ActorId, At, Command, CommandId, Digest, HostId, Record, SessionId, TaskId,
};

use crate::input::{Caller, Now};
use bids::Bids;
use given::Given;
use held::{Held, Replies};
use past::Past;
use sessions::Sessions;
use store::Store;
use suppressed::Suppressed;
use texts::Texts;

/// Commands that are kept over the end of a term.
pub(crate) const AGAIN_MAX: usize = 8_192;

/// What is said to a coordinator once.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name in the terms that it leads.
    pub node: String,
    /// Randomness: tells two claims of one node apart, and spreads rivals.
    pub seed: u64,
    /// How far the log was read when the process last ended.
    pub known: Option<Chain>,
}

/// Everything a step reads and changes.
#[derive(Debug)]
pub struct View {
    pub(crate) options: Options,
    /// What is acknowledged, and nothing else.
    pub(crate) settled: Reader,
    pub(crate) role: Role,
    /// The connection that counts.
    pub(crate) link: u64,
    /// The connection was lost and not only given up: nobody was heard meanwhile.
    pub(crate) was_deaf: bool,
    /// Messages are read as they come, over this connection.
    pub(crate) follows: bool,
    pub(crate) patience: Patience,
    /// The log ended before what is known of it, since then.
    pub(crate) short_since: Option<u64>,
    /// The highest record that somebody says to have seen.
    pub(crate) seen: Option<(u64, ActorId)>,
    /// Who has said so and was contradicted by the log, since this process began.
    pub(crate) doubters: BTreeSet<ActorId>,
    pub(crate) past: Past,
    pub(crate) sessions: Sessions,
    pub(crate) bids: Bids,
    /// The newest report of each host.
    pub(crate) reports: BTreeMap<HostId, HeardReport>,
    /// The last line that a running attempt told.
    pub(crate) messages: BTreeMap<TaskId, String>,
    pub(crate) texts: Texts,
    /// Redacted texts whose bytes may still be there.
    pub(crate) undeleted: BTreeSet<Digest>,
    /// Requests that wait, with the newest way back to each.
    pub(crate) waiting: BTreeMap<(ActorId, CommandId), (Box<Command>, Caller)>,
    /// Commands of a term that ended before it could answer.
    pub(crate) again: VecDeque<(Box<Command>, Caller)>,
    /// Commands whose texts are being stored.
    pub(crate) parked: Vec<Parked>,
    /// Old records that are being read.
    pub(crate) rebuilding: BTreeMap<u64, (Box<Command>, Caller)>,
    pub(crate) tickets: u64,
    pub(crate) asked: Vec<Asked>,
    /// Answered queries whose texts are being read.
    pub(crate) filling: Vec<Filling>,
    pub(crate) suppressed: Suppressed,
    /// What was answered without a record.
    pub(crate) given: Given,
    pub(crate) dropped: BTreeMap<String, u64>,
    pub(crate) counted: BTreeMap<String, u64>,
    pub(crate) store: Store,
    /// How many servers keep the log, where that is known.
    pub(crate) replicas: Option<u32>,
    pub(crate) remembered: (u64, u64),
    pub(crate) stopping: bool,
}

/// A host's report, and when it was heard by the monotonic clock.
#[derive(Debug)]
pub(crate) struct HeardReport {
    pub(crate) at_ms: u64,
    pub(crate) report: HostReport,
}

/// What a coordinator is at the moment.
#[derive(Debug)]
pub(crate) enum Role {
    /// It has no connection.
    Away {
        /// Claim as soon as there is one and the log is read.
        claim: bool,
    },
    /// It has asked for the log's last position, and reads up to it once it is told.
    CatchingUp {
        /// Claim then.
        claim: bool,
        /// The last position, once it is known.
        to: Option<u64>,
        /// The term when this began: a later one means that somebody else has won.
        epoch: u64,
    },
    /// It reads on and hears the leader.
    Standby {
        /// When the leader has been silent for too long.
        claim_at: u64,
    },
    /// The record that begins its term is in flight.
    Claiming(Flight),
    /// It leads.
    Leading(Box<Term>),
    /// It is over.
    Halted,
}

/// A batch that is in flight.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) batch: Batch,
    pub(crate) payload: Bytes,
    /// When it was sent.
    pub(crate) sent: u64,
}

/// A heartbeat that waits for a proof of leading.
#[derive(Debug)]
pub(crate) struct HeldBeat {
    pub(crate) actor: ActorId,
    pub(crate) session: SessionId,
    /// When it was heard.
    pub(crate) heard: u64,
    pub(crate) caller: Caller,
}

/// A term that this coordinator leads.
#[derive(Debug)]
pub(crate) struct Term {
    /// Everything decided, acknowledged or not.
    pub(crate) ahead: State,
    pub(crate) epoch: u64,
    /// Both clocks and the log's time when it began.
    pub(crate) began: Now,
    pub(crate) began_at: At,
    /// Decided, and for the next batch.
    pub(crate) pending: VecDeque<Record>,
    pub(crate) flight: Option<Flight>,
    pub(crate) gather: gather::Gather,
    pub(crate) replies: Replies,
    /// When the newest append or leader-read that succeeded was sent.
    pub(crate) confirmed: u64,
    /// When the leader-read that is under way was sent.
    pub(crate) reading: Option<u64>,
    /// No leader-read before that: the last one failed.
    pub(crate) read_after: u64,
    /// Heartbeats that wait for a confirmation.
    pub(crate) beats: Vec<HeldBeat>,
    /// Agents whose heartbeats were answered lately, and when.
    pub(crate) answered: VecDeque<(u64, ActorId)>,
    /// When the last beat of the leader went out.
    pub(crate) beat_at: u64,
    /// When the sessions were last looked over.
    pub(crate) looked_at: u64,
    /// There is more to follow than one input's share.
    pub(crate) has_more: bool,
}

/// How long a leader may be silent, and how often terms have ended lately.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    pub(crate) lost: VecDeque<u64>,
    pub(crate) drawn: u64,
}

/// A command whose texts are being stored.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) command: Box<Command>,
    pub(crate) caller: Caller,
    pub(crate) missing: BTreeSet<Digest>,
}

/// A query that waits for a record, or for a confirmation.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) query: Query,
    pub(crate) caller: Caller,
    /// A confirmation must not be older.
    pub(crate) since: u64,
    pub(crate) until: u64,
}

/// A query's answer whose texts are being read.
#[derive(Debug)]
pub(crate) struct Filling {
    pub(crate) caller: Caller,
    pub(crate) seq: u64,
    pub(crate) value: serde_json::Value,
    /// Where each text belongs, as JSON pointers.
    pub(crate) missing: Vec<(String, Digest)>,
    pub(crate) found: Found,
    pub(crate) until: u64,
}

/// What is known of an answer's texts once no more is waited for.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What a note has to hold.
    pub(crate) word: Option<String>,
    /// Where texts belong that could not be read.
    pub(crate) unread: Vec<String>,
}

impl View {
    /// A coordinator that knows nothing of the log yet.
    #[must_use]
    pub fn new(options: Options) -> View {
        View::from_reader(options, Reader::default())
    }

    /// A coordinator that has read the log as far as that.
    #[must_use]
    pub fn from_reader(options: Options, settled: Reader) -> View {
        View {
            past: Past::from(*settled.chain()),
            remembered: (0, settled.chain().stream_seq),
            options,
            settled,
            role: Role::Away { claim: false },
            link: 0,
            was_deaf: true,
            follows: false,
            patience: Patience::default(),
            short_since: None,
            seen: None,
            doubters: BTreeSet::new(),
            sessions: Sessions::default(),
            bids: Bids::default(),
            reports: BTreeMap::new(),
            messages: BTreeMap::new(),
            texts: Texts::default(),
            undeleted: BTreeSet::new(),
            waiting: BTreeMap::new(),
            again: VecDeque::new(),
            parked: Vec::new(),
            rebuilding: BTreeMap::new(),
            tickets: 0,
            asked: Vec::new(),
            filling: Vec::new(),
            suppressed: Suppressed::default(),
            given: Given::default(),
            dropped: BTreeMap::new(),
            counted: BTreeMap::new(),
            store: Store::default(),
            replicas: None,
            stopping: false,
        }
    }

    /// How far the log was read, acknowledged only.
    #[must_use]
    pub fn head(&self) -> &Chain {
        self.settled.chain()
    }

    /// The acknowledged state.
    #[must_use]
    pub fn state(&self) -> &State {
        self.settled.state()
    }

    /// Whether it leads.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        matches!(self.role, Role::Leading(_))
    }

    pub(crate) fn count(&mut self, what: &str) {
        match self.counted.get_mut(what) {
            Some(n) => *n += 1,
            None => {
                self.counted.insert(what.to_owned(), 1);
            }
        }
    }

    /// Keeps a command for the next term.
    pub(crate) fn keep(&mut self, command: Box<Command>, caller: Caller) {
        if self.again.len() < AGAIN_MAX {
            self.again.push_back((command, caller));
        } else {
            self.count("kept_over_bound");
        }
    }
}

impl Term {
    /// The log's time now.
    pub(crate) fn at(&self, now: Now) -> At {
        self.began_at + now.mono_ms.saturating_sub(self.began.mono_ms)
    }

    /// The monotonic clock when the log's time will be that.
    pub(crate) fn mono(&self, at: At) -> u64 {
        self.began.mono_ms + at.since(self.began_at)
    }

    /// How far the wall clock has run away from the monotonic one.
    pub(crate) fn drift_ms(&self, now: Now) -> u64 {
        let wall = i128::from(now.wall_ms) - i128::from(self.began.wall_ms);
        let mono = i128::from(now.mono_ms) - i128::from(self.began.mono_ms);
        u64::try_from((wall - mono).abs()).unwrap_or(u64::MAX)
    }

    /// A record that is decided and not acknowledged.
    pub(crate) fn unsettled(&self, seq: u64) -> Option<&Record> {
        let flying = self.flight.iter().flat_map(|flight| &flight.batch.records);
        flying.chain(&self.pending).find(|record| record.seq == seq)
    }
}

/// A reply that waits for what it depends on, made again by a later term if this one ends first.
pub(crate) fn again_of(held: Held) -> Option<(Box<Command>, Caller)> {
    held.command.map(|command| (command, Caller { to: held.to, encoding: held.encoding }))
}
