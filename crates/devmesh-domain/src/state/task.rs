//! Tasks and their attempts.

mod attempt;

use std::collections::VecDeque;

use devmesh_protocol::command::agent::Needs;
use devmesh_protocol::command::task::{Flow, Kind, Receipt, ReviewBy, Usage};
use devmesh_protocol::event::mesh::TextRef;
use devmesh_protocol::event::task::{Bid, Blocked, Ended, TaskAdded};
use devmesh_protocol::limits::{LAND_AGAIN_MAX, LAND_AGAIN_MS};
use devmesh_protocol::{ActorId, At, Digest, HostId, QuestionId, RepoId, SessionId, TaskId};
use serde::Serialize;

pub use attempt::{Attempt, Landed, MET_MAX, Met, Parked, Past};

use super::plan::Plan;
use super::{Target, is_default};

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
    #[serde(skip_serializing_if = "is_default")]
    pub lapses: u32,
    /// Before then no auction opens, because the last ones lapsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reopens_at: Option<At>,
    /// The running attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// The number of the newest attempt.
    #[serde(skip_serializing_if = "is_default")]
    pub attempts: u32,
    /// Tries spent.
    #[serde(skip_serializing_if = "is_default")]
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
    #[serde(skip_serializing_if = "is_default")]
    pub rejections: u32,
    /// The digest of the change that was rejected last, until somebody says more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Digest>,
    /// What others have landed of files that an attempt of it shared with them, oldest first: work
    /// that goes on from a save goes on from there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub met: Vec<Met>,
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
    /// Who has to approve that evidence before it lands: whom the task asks for; a person where
    /// the diff touches what is guarded; at least another agent where it is merged with another's
    /// change of a shared file.
    pub fn reviewer(&self, receipt: &Receipt) -> ReviewBy {
        if !receipt.guarded.is_empty() {
            return ReviewBy::Person;
        }
        let merged = self.spec.review == ReviewBy::None && !receipt.merged.is_empty();
        if merged { ReviewBy::Agent } else { self.spec.review }
    }

    /// The digest of the change that it has submitted for its branch, or landed there.
    pub fn submitted(&self) -> Option<Digest> {
        let live = self.attempt.as_ref().and_then(|attempt| attempt.change.as_ref());
        let parked = self.parked.as_ref().and_then(|parked| parked.change.as_ref());
        let digest = match &self.landed {
            Some(landed) => landed.change,
            None => live.or(parked).map(|change| change.digest),
        };
        digest.filter(|_| self.spec.flow == Flow::Merge)
    }

    /// That, with the branch that it is for: what its submissions are looked up by.
    pub fn change_key(&self) -> Option<(RepoId, String, Digest)> {
        let digest = self.submitted()?;
        Some((self.spec.repo.clone(), self.spec.target.clone(), digest))
    }

    /// Who has to approve what was verified last.
    pub fn waits_for(&self) -> ReviewBy {
        let live = self.attempt.as_ref().and_then(|attempt| attempt.receipt.as_ref());
        let receipt = live.or(self.parked.as_ref().map(|parked| &parked.receipt));
        receipt.map_or(self.spec.review, |receipt| self.reviewer(receipt))
    }

    /// The branch that it lands on.
    pub fn target(&self) -> Target {
        (self.spec.repo.clone(), self.spec.target.clone())
    }

    /// The token of an attempt that runs or has ended, and who works or worked on it.
    pub fn worker_of(&self, number: u32) -> Option<(u64, &ActorId)> {
        let live = self.attempt.iter().map(|live| (live.number, live.token, &live.actor));
        let past = self.past.iter().map(|past| (past.number, past.token, &past.actor));
        let (_, token, actor) = live.chain(past).find(|(n, ..)| *n == number)?;
        Some((token, actor))
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

/// How long a next auction waits after so many that came to nothing: a second, then two, four, at
/// most thirty.
pub(crate) fn patience_ms(times: u32) -> u64 {
    (1_000 << times.min(5)).min(30_000)
}

/// The wait that is worth one level of priority, in milliseconds.
pub const AGE_MS: u64 = 10 * 60_000;

impl Task {
    /// Its place among ready tasks; none where it is not ready.
    pub fn place(&self) -> Option<Place> {
        self.path_place().filter(|_| self.auction.is_none())
    }

    /// Its place in the line for its paths, which it keeps while its auction is open.
    pub fn path_place(&self) -> Option<Place> {
        self.place_in_line().filter(|_| self.reopens_at.is_none())
    }

    /// The place that it has, or will have again when its next auction may open.
    pub fn place_in_line(&self) -> Option<Place> {
        Some((self.ready_at? + AGE_MS * u64::from(self.spec.priority), self.spec.task))
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
