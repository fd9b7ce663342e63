//! Attempts at a task: the one that runs, what one left behind, and those that have ended.

use devmesh_protocol::command::agent::Needs;
use devmesh_protocol::command::task::{Change, Judgement, LandOutcome, Receipt, Usage};
use devmesh_protocol::event::task::{Ended, Next};
use devmesh_protocol::{ActorId, At, Digest, HostId, RepoPath, SessionId, TaskId};
use serde::Serialize;

use crate::state::is_default;

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
    /// What that evidence is about, file by file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
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
    /// What it has changed, file by file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// The tree that a reviewer has judged last, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<(String, Judgement)>,
    /// Landings of it that something stood in the way of.
    #[serde(skip_serializing_if = "is_default")]
    pub landings: u32,
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
    /// The digest of what it changed, where it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Digest>,
}

/// A landed change of a file that an attempt of another task shared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Met {
    /// Which file.
    pub path: RepoPath,
    /// What is there since, as a git object; none where it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// Whose change.
    pub task: TaskId,
    /// The record of its landing.
    pub seq: u64,
}

/// Landed changes of shared files that one task remembers; the oldest go first.
pub const MET_MAX: usize = 1_024;

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

impl Attempt {
    /// Whether a reviewer has approved that tree last.
    pub fn is_approved(&self, tree: &str) -> bool {
        approves(self.review.as_ref(), tree)
    }
}

impl Parked {
    /// Whether a reviewer has approved it.
    pub fn is_approved(&self) -> bool {
        approves(self.review.as_ref(), &self.receipt.tree)
    }
}

fn approves(review: Option<&(String, Judgement)>, tree: &str) -> bool {
    review.is_some_and(|(judged, verdict)| judged == tree && *verdict == Judgement::Approve)
}
