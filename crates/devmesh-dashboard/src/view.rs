//! What a dashboard knows: the fold, the rows made of it, what was pushed, and who looks on.

pub mod lines;
pub mod mirror;
pub mod pushed;

use std::collections::BTreeMap;

use axum::extract::ws::Utf8Bytes;
use devmesh_domain::Reader;
use devmesh_protocol::{ActorId, MeshId};

use crate::wire;
use lines::Lines;
use mirror::Mirror;
use pushed::Pushed;

/// Everything that a step can depend on.
#[derive(Debug)]
pub struct View {
    /// Names this run: pushes are numbered within it.
    pub(crate) boot: String,
    pub(crate) mesh: MeshId,
    pub(crate) actor: ActorId,
    pub(crate) reader: Reader,
    /// The message of the log up to which it is history that nobody watched.
    pub(crate) history: Option<u64>,
    pub(crate) log: Health,
    /// Whether the coordinator answered when it was last asked.
    pub(crate) coordinator: Option<bool>,
    /// Why it decides nothing all the same, as its last answer said.
    pub(crate) stale: Option<String>,
    /// A question to the coordinator is under way.
    pub(crate) listening: bool,
    /// How many of these questions have come to an end.
    pub(crate) heard: u64,
    pub(crate) mirror: Mirror,
    pub(crate) lines: Lines,
    pub(crate) pushed: Pushed,
    /// What the coordinator's memory holds beside the log, as it was last sent.
    pub(crate) soft: Option<Utf8Bytes>,
    pub(crate) browsers: BTreeMap<u64, Browser>,
}

/// How reading the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// History is being read.
    Loading,
    /// It is read to its end and followed.
    Live,
    /// It cannot be read now.
    Lost(String),
    /// It is not whole. What is shown is what it was before that.
    Broken(String),
}

/// Somebody who looks on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Browser {
    /// It said hello.
    pub(crate) greeted: bool,
    /// It has a snapshot and is sent what changes.
    pub(crate) live: bool,
    /// The last push it had when it said hello, of this run.
    pub(crate) had: Option<u64>,
    /// Requests that are under way.
    pub(crate) in_flight: usize,
    /// Frames of it that could not be read.
    pub(crate) bad: u32,
}

impl View {
    /// Nothing is known yet.
    pub fn new(boot: String, mesh: MeshId, actor: ActorId) -> View {
        View {
            boot,
            mesh,
            actor,
            reader: Reader::default(),
            history: None,
            log: Health::Loading,
            coordinator: None,
            stale: None,
            listening: false,
            heard: 0,
            mirror: Mirror::default(),
            lines: Lines::default(),
            pushed: Pushed::default(),
            soft: None,
            browsers: BTreeMap::new(),
        }
    }

    /// The last message of the log that was taken.
    pub fn read(&self) -> u64 {
        self.reader.chain().stream_seq
    }

    /// Whether there is something to push.
    pub fn is_stale(&self) -> bool {
        self.log == Health::Live && (self.mirror.is_stale() || self.lines.is_stale())
    }

    pub(crate) fn health(&self) -> Utf8Bytes {
        let (log, say) = self.log.words();
        wire::health(log, say, self.coordinator, self.stale.as_deref())
    }

    /// What whoever only asks how it goes is told.
    pub(crate) fn vital(&self) -> Vital {
        let decides = self.coordinator.map(|answers| answers && self.stale.is_none());
        Vital { log: self.log.words().0, decides, heard: self.heard }
    }
}

impl Health {
    /// Its name, and what is to be said of it.
    fn words(&self) -> (&'static str, &str) {
        match self {
            Health::Loading => ("loading", ""),
            Health::Live => ("live", ""),
            Health::Lost(why) => ("lost", why),
            Health::Broken(why) => ("broken", why),
        }
    }
}

/// How it goes, in few words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vital {
    /// How reading the log goes.
    pub(crate) log: &'static str,
    /// Whether the coordinator answered when it was last asked, and can decide.
    pub(crate) decides: Option<bool>,
    /// How often it was asked.
    pub(crate) heard: u64,
}
