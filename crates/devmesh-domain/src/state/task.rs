//! Tasks and their attempts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use devmesh_protocol::command::agent::Needs;
use devmesh_protocol::command::task::{Judgement, Kind, LandOutcome, Receipt, ReviewBy, Usage};
use devmesh_protocol::event::mesh::TextRef;
use devmesh_protocol::event::task::{Bid, Blocked, Ended, Next, TaskAdded};
use devmesh_protocol::limits::{LAND_AGAIN_MAX, LAND_AGAIN_MS};
use devmesh_protocol::{ActorId, At, HostId, QuestionId, RepoId, SessionId, TaskId};
use serde::Serialize;

use super::Target;
use super::plan::Plan;

/// Past attempts that are kept in the state; the log has them all.
pub const PAST_MAX: usize = 16;
/// Things said that are kept in the state.
pub const SAID_MAX: usize = 32;

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Task {
    /// As added and edited since.
    pub spec: TaskAdded,
    /// The record that added it.
    pub added_seq: u64,
    /// When.
    pub added_at: At,
    /// Where it stands.
    pub phase: Phase,
    /// It is held: nothing new of it begins. Where an attempt runs, that is frozen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// What stands in its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocked>,
    /// Since when it could be auctioned, without interruption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<At>,
    /// The open auction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auction: Option<Auction>,
    /// Auctions that lapsed in a row; the next one opens later.
    #[serde(skip_serializing_if = "is_zero")]
    pub lapses: u32,
    /// Before then no auction opens, because the last ones lapsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reopens_at: Option<At>,
    /// The running attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// The number of the newest attempt.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// Tries spent.
    #[serde(skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// Attempts that ended without landing, oldest first.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub past: VecDeque<Past>,
    /// The open question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// What was said to its worker, by reviewers and in answers, oldest first.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub said: VecDeque<Said>,
    /// The commit of the newest save, from which the next attempt starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
    /// The tool's session of the newest attempt that told one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_session: Option<String>,
    /// What landed: attempt, commit, tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landed: Option<Landed>,
    /// Proven work of an attempt that was parked, until other work takes its place. A later
    /// attempt starts with its evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    /// The agent that reviews it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<Reviewer>,
    /// Who was to review what is parked and came to no verdict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reviews_lapsed: Vec<ActorId>,
    /// Rejections by agents in a row, without a person's word.
    #[serde(skip_serializing_if = "is_zero")]
    pub rejections: u32,
    /// What it has come to, where it plans a goal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<Plan>>,
    /// When the attempt that is held now is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parks_at: Option<At>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<At>,
    /// The record that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_seq: Option<u64>,
    /// What all attempts that have ended used.
    pub usage: Usage,
    /// What was in the way of its last turn to land.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// The bids that its newest award was decided on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bids: Vec<Bid>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde calls")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Where a task stands, apart from being paused or blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It waits for dependencies, an auction, an agent.
    Queued,
    /// It is awarded and has not started.
    Claimed,
    /// The tool edits.
    Working,
    /// The verify commands run, or the receipt is there and nothing stands before landing.
    Verifying,
    /// It is verified and waits for a reviewer.
    Review,
    /// It waits for its turn of the merge queue, or has it.
    Landing,
    /// It is done, proven and landed.
    Completed,
    /// Its tries are spent.
    Failed,
    /// It was ended by a person.
    Cancelled,
}

impl Task {
    /// Who has to approve that evidence before it lands: whom the task asks for, and a person
    /// where the diff touches what is guarded.
    pub fn reviewer(&self, receipt: &Receipt) -> ReviewBy {
        if receipt.guarded.is_empty() { self.spec.review } else { ReviewBy::Person }
    }

    /// Who has to approve what was verified last.
    pub fn waits_for(&self) -> ReviewBy {
        let live = self.attempt.as_ref().and_then(|attempt| attempt.receipt.as_ref());
        let receipt = live.or(self.parked.as_ref().map(|parked| &parked.receipt));
        receipt.map_or(self.spec.review, |receipt| self.reviewer(receipt))
    }

    /// Whether it plans a goal.
    pub fn plans(&self) -> bool {
        self.spec.kind == Kind::Plan
    }

    /// Whether its plan waits for a person.
    pub fn is_proposed(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.text.is_some())
    }

    /// How often in a row it was given back without a try, lately by everybody, or by one.
    pub fn given_back(&self, by: Option<&ActorId>) -> usize {
        let idle = |past: &&Past| {
            let limit = matches!(&past.why, Ended::Failed { class, .. } if class == "rate_limit");
            let gave = matches!(past.why, Ended::Abandoned { .. } | Ended::Failed { .. });
            !past.spent && !limit && gave
        };
        let row = self.past.iter().rev().take_while(idle);
        row.filter(|past| by.is_none_or(|by| past.actor == *by)).count()
    }

    /// Whether an agent should look at it now, and none does.
    pub fn wants_reviewer(&self) -> bool {
        self.phase == Phase::Review
            && self.parked.is_some()
            && self.reviewer.is_none()
            && !self.paused
            && self.blocked.is_none()
            && self.waits_for() == ReviewBy::Agent
    }

    /// When landing is tried again by itself after something stood in its way.
    pub fn lands_again_at(&self) -> Option<At> {
        let blocked = matches!(self.blocked, Some(Blocked::Landing(_)));
        let parked = self.parked.as_ref().filter(|_| blocked && self.attempt.is_none())?;
        let n = parked.landings.checked_sub(1).filter(|n| *n < LAND_AGAIN_MAX)?;
        Some(parked.at + (LAND_AGAIN_MS << n.min(4)))
    }
}

/// An open auction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Auction {
    /// The record that opened it.
    pub seq: u64,
    /// Until when at the latest.
    pub closes_at: At,
}

/// A running attempt. Its token is the record of its award.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attempt {
    /// 1, 2, 3 …
    pub number: u32,
    /// The `seq` of its award.
    pub token: u64,
    /// Who works.
    pub actor: ActorId,
    /// Under which session.
    pub session: SessionId,
    /// On which host.
    pub host: HostId,
    /// What is reserved there.
    pub needs: Needs,
    /// The GPU it is reserved on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<u32>,
    /// When it was awarded.
    pub awarded_at: At,
    /// By when it must have started.
    pub start_by: At,
    /// When it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<At>,
    /// The commit it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_commit: Option<String>,
    /// The tool's own session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_session: Option<String>,
    /// The newest evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// The commit that evidence is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The tree that a reviewer has judged last, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<(String, Judgement)>,
    /// What was used so far.
    pub usage: Usage,
    /// It has had a turn of the merge queue, so a commit of it may turn up on the target.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub had_turn: bool,
    /// How its last turn ended, and in which record, so that a late report of it gets the same
    /// answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_ended: Option<(LandOutcome, u64)>,
    /// What landed: commit and tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landed: Option<Landed>,
}

/// Proven work that waits without an agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parked {
    /// The attempt that made it.
    pub attempt: u32,
    /// That attempt's token.
    pub token: u64,
    /// Who worked.
    pub actor: ActorId,
    /// On which host.
    pub host: HostId,
    /// Since when it waits.
    pub at: At,
    /// The commit that the work began from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_commit: Option<String>,
    /// The evidence.
    pub receipt: Receipt,
    /// The commit that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The tree that a reviewer has judged last, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<(String, Judgement)>,
    /// Landings of it that something stood in the way of.
    #[serde(skip_serializing_if = "is_zero")]
    pub landings: u32,
}

/// An agent that reviews another's work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reviewer {
    /// Who.
    pub actor: ActorId,
    /// Under which session.
    pub session: SessionId,
    /// On which host.
    pub host: HostId,
    /// What is reserved there.
    pub needs: Needs,
    /// The GPU it is reserved on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<u32>,
    /// Since when.
    pub assigned_at: At,
    /// Until when a verdict is waited for.
    pub deadline: At,
}

/// What landed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Landed {
    /// By which attempt.
    pub attempt: u32,
    /// That attempt's token.
    pub token: u64,
    /// Who worked.
    pub actor: ActorId,
    /// The record that said so.
    pub seq: u64,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its tree.
    pub tree: String,
}

/// An attempt that has ended without landing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Past {
    /// 1, 2, 3 …
    pub number: u32,
    /// Its token: a late report of it gets the same answer for ever.
    pub token: u64,
    /// Who worked.
    pub actor: ActorId,
    /// Why it ended.
    pub why: Ended,
    /// Where the task went.
    pub next: Next,
    /// It has had a turn of the merge queue, so a commit of it may turn up on the target.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub had_turn: bool,
    /// The record that ended it.
    pub ended_seq: u64,
    /// When.
    pub ended_at: At,
    /// It counted as a try.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub spent: bool,
    /// What it used.
    pub usage: Usage,
    /// On which host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// When it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<At>,
}

/// A question that waits for an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Question {
    /// Its id.
    pub id: QuestionId,
    /// When it was asked.
    pub asked_at: At,
    /// What a person is to decide.
    pub text: TextRef,
    /// Answers to choose from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// What counts when none comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<At>,
}

/// Something said about a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Said {
    /// By whom.
    pub by: Option<ActorId>,
    /// When.
    pub at: At,
    /// `say`, `approve`, `reject`, `answer`.
    pub kind: String,
    /// What.
    pub text: TextRef,
}

/// A ready task's place in the order of auctions: the time since which it is ready, put off by
/// [`AGE_MS`] for each level of its priority. So an urgent task comes first, and one that has
/// waited for ten minutes has gained a level.
pub type Place = (At, TaskId);

/// The wait that is worth one level of priority, in milliseconds.
pub const AGE_MS: u64 = 10 * 60_000;

impl Task {
    /// Its place among ready tasks; none where it is not ready.
    pub fn place(&self, id: TaskId) -> Option<Place> {
        let waits = self.auction.is_some() || self.reopens_at.is_some();
        let ready_at = self.ready_at.filter(|_| !waits)?;
        Some((ready_at + AGE_MS * u64::from(self.spec.priority), id))
    }

    /// Its place in the line for its paths, which it keeps while its auction is open.
    pub fn path_place(&self, id: TaskId) -> Option<Place> {
        let ready_at = self.ready_at.filter(|_| self.reopens_at.is_none())?;
        Some((ready_at + AGE_MS * u64::from(self.spec.priority), id))
    }

    /// The name of its state, as people see it.
    pub fn state_name(&self) -> &'static str {
        if !self.phase.has_ended() && self.paused {
            "paused"
        } else if !self.phase.has_ended() && self.blocked.is_some() {
            "blocked"
        } else {
            self.phase.name()
        }
    }
}

impl Phase {
    /// The name, as people see it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Queued => "queued",
            Phase::Claimed => "claimed",
            Phase::Working => "working",
            Phase::Verifying => "verifying",
            Phase::Review => "review",
            Phase::Landing => "landing",
            Phase::Completed => "completed",
            Phase::Failed => "failed",
            Phase::Cancelled => "cancelled",
        }
    }

    /// Whether it is one that only a person's word leads out of.
    pub fn has_ended(self) -> bool {
        matches!(self, Phase::Completed | Phase::Failed | Phase::Cancelled)
    }
}

/// Look-ups of tasks, derived from the tables.
#[derive(Clone, Debug, Default)]
pub struct TaskIndex {
    /// Ready tasks, and those with an open auction, by the paths they declare, case folded where
    /// the repository says so.
    pub ready_paths: BTreeMap<(RepoId, String), BTreeSet<Place>>,
    /// Tasks whose auctions lapsed and that wait for their time.
    pub lapsed: BTreeSet<TaskId>,
    /// Branches whose turn is free while somebody waits for it.
    pub lands: BTreeSet<Target>,
    /// Open questions.
    pub questions: BTreeMap<QuestionId, TaskId>,
    /// Tasks that an agent is to review and that have no reviewer.
    pub reviews: BTreeSet<TaskId>,
    /// Ready tasks that something has changed for since an auction was last looked for.
    pub stirred: Stirred,
}

/// Tasks that are remembered one by one as worth another look; of more, all are.
const STIRRED_MAX: usize = 1_024;

/// Which ready tasks are worth another look. What is known to have no bidder is not looked at
/// again before something changes that it could depend on.
#[derive(Debug)]
pub struct Stirred {
    /// All of them.
    pub all: bool,
    /// These.
    pub places: BTreeSet<Place>,
    /// Rises with each change.
    pub generation: u64,
    /// The generation that was searched without a find. A memory of a pure search, so it may be
    /// written behind a shared reference and says nothing that the search would not.
    seen: AtomicU64,
    /// The same for the search for reviewers.
    seen_reviews: AtomicU64,
}

impl Stirred {
    /// Whether a search for reviewers could find one.
    pub fn is_fresh_for_reviews(&self) -> bool {
        self.seen_reviews.load(Ordering::Relaxed) < self.generation
    }

    /// A search of the present state found no reviewer.
    pub fn remember_no_reviewer(&self) {
        self.seen_reviews.store(self.generation, Ordering::Relaxed);
    }

    /// Whether a search could find anything.
    pub fn is_fresh(&self) -> bool {
        self.seen.load(Ordering::Relaxed) < self.generation
    }

    /// A search of the present state found nothing.
    pub fn remember_nothing(&self) {
        self.seen.store(self.generation, Ordering::Relaxed);
    }

    /// Something has changed for these.
    pub(crate) fn stir(&mut self, places: impl IntoIterator<Item = Place>) {
        self.changed();
        if !self.all {
            self.places.extend(places);
        }
        if self.places.len() > STIRRED_MAX {
            self.all = true;
            self.places.clear();
        }
    }

    /// Something has changed for any of them.
    pub(crate) fn stir_all(&mut self) {
        self.changed();
        self.all = true;
        self.places.clear();
    }

    fn changed(&mut self) {
        if !self.is_fresh() {
            self.all = false;
            self.places.clear();
        }
        self.generation += 1;
    }
}

impl Default for Stirred {
    fn default() -> Stirred {
        let (seen, seen_reviews) = (AtomicU64::new(0), AtomicU64::new(0));
        Stirred { all: true, places: BTreeSet::new(), generation: 1, seen, seen_reviews }
    }
}

impl Clone for Stirred {
    fn clone(&self) -> Stirred {
        Stirred {
            all: self.all,
            places: self.places.clone(),
            generation: self.generation,
            seen: AtomicU64::new(self.seen.load(Ordering::Relaxed)),
            seen_reviews: AtomicU64::new(self.seen_reviews.load(Ordering::Relaxed)),
        }
    }
}
