//! What the agent process knows: of itself, of its session, of the attempt it works on. Nothing
//! but `step` changes it, and nothing in it can be lost without the log or the disk knowing more.

mod attempt;
mod review;

pub use attempt::{After, Attempt, Failure, Job, Key, Phase, Place, Work};
pub use review::{Review, ReviewPhase, Verdict};

use std::collections::{BTreeMap, BTreeSet};

use devmesh_protocol::command::agent::Join;
use devmesh_protocol::limits::LEASE_TTL_MS;
use devmesh_protocol::{ActorId, LeaseId, RepoId, SessionId, TaskId};

use crate::believe::Belief;

/// The agent as it sees itself.
#[derive(Debug)]
pub struct View {
    /// What it was started as.
    pub me: Me,
    /// Its session.
    pub session: SessionId,
    /// How it stands with the coordinator.
    pub standing: Standing,
    /// What it may believe about its leases.
    pub belief: Belief,
    /// When the last beat was sent.
    pub beat_sent_ms: Option<u64>,
    /// The highest `seq` it has seen.
    pub seen: u64,
    /// The highest `seq` of a notice.
    pub heard: u64,
    /// The `seq` that the last beat was answered with.
    pub beaten: u64,
    /// The leases that the last beat was answered with.
    pub told: BTreeSet<LeaseId>,
    /// Those of them that were looked at and are wanted; none since more were granted.
    pub held: Option<BTreeSet<LeaseId>>,
    /// What the last beat's answer said that it works on or reviews.
    pub work: Option<TaskId>,
    /// The rules, by id.
    pub rules: Vec<(String, String)>,
    /// The plan that all work to.
    pub framework: Option<String>,
    /// The mesh is paused; nothing new is taken.
    pub paused: bool,
    /// It finishes what it has and takes nothing new.
    pub draining: bool,
    /// It is on its way out.
    pub leaving: bool,
    /// Until when its tool's provider takes nothing, by the process's clock: the wall clock may be
    /// set meanwhile.
    pub parked_until_ms: Option<u64>,
    /// Repositories whose base fails its own verification, with the commit that failed.
    pub red: BTreeMap<RepoId, String>,
    /// Tasks looked at for a bid.
    pub looking: BTreeSet<TaskId>,
    /// What it works on.
    pub attempt: Option<Attempt>,
    /// Another's work that it looks at.
    pub review: Option<Review>,
    /// A review that was given while the work before it is put away: of what, and which tree.
    pub given: Option<(Key, String)>,
}

/// What the process was started as.
#[derive(Debug, Clone)]
pub struct Me {
    /// The actor.
    pub actor: ActorId,
    /// What it says when it joins.
    pub join: Join,
    /// Retries in one session before the attempt is given up.
    pub retries_max: u32,
    /// The tool continues a session by its id.
    pub resumes: bool,
    /// How long a lease is waited for before it is asked for again.
    pub lease_wait_ms: u64,
    /// Time to live of its leases.
    pub ttl_ms: u64,
}

impl Me {
    /// Nothing is believed yet. Leases that come with an award live for the usual time, whatever
    /// is asked for others; the shorter one counts.
    pub(crate) fn belief(&self) -> Belief {
        Belief::new(self.ttl_ms.min(LEASE_TTL_MS))
    }
}

/// How the agent stands with the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has not joined; when to ask (again).
    Out {
        /// On the process's clock.
        join_at_ms: u64,
    },
    /// It has asked.
    Joining,
    /// It has joined.
    In,
}

impl View {
    /// At the start of the process.
    pub fn new(me: Me, session: SessionId) -> Self {
        let belief = me.belief();
        Self {
            me,
            session,
            standing: Standing::Out { join_at_ms: 0 },
            belief,
            beat_sent_ms: None,
            seen: 0,
            heard: 0,
            beaten: 0,
            told: BTreeSet::new(),
            held: Some(BTreeSet::new()),
            work: None,
            rules: Vec::new(),
            framework: None,
            paused: false,
            draining: false,
            leaving: false,
            parked_until_ms: None,
            red: BTreeMap::new(),
            looking: BTreeSet::new(),
            attempt: None,
            review: None,
            given: None,
        }
    }

    /// Whether it may take a task now.
    pub fn is_free(&self, now_ms: u64) -> bool {
        self.standing == Standing::In
            && self.attempt.is_none()
            && self.review.is_none()
            && !self.paused
            && !self.draining
            && !self.leaving
            && self.parked_until_ms.is_none_or(|until| until <= now_ms)
    }

    /// The review, if it is this one.
    pub fn review_of(&mut self, key: Key) -> Option<&mut Review> {
        self.review.as_mut().filter(|review| review.key == key)
    }

    /// The attempt, if it is this one.
    pub fn attempt_of(&mut self, key: Key) -> Option<&mut Attempt> {
        self.attempt.as_mut().filter(|attempt| attempt.key == key)
    }
}
