//! Events of tasks, attempts and the merge queue.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mesh::TextRef;
pub use super::review::{ReviewAssigned, ReviewLapse, ReviewLapsed, TaskReviewed};
use crate::command::agent::Needs;
use crate::command::task::{Change, Flow, Kind, LandOutcome, Phase, Receipt, ReviewBy, Usage};
use crate::id::{ActorId, CommandId, HostId, QuestionId, RepoId, SessionId, TaskId};
use crate::mode::Mode;
use crate::path::RepoPath;
use crate::time::At;

/// A task joined the queue, all defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskAdded {
    /// Its number.
    pub task: TaskId,
    /// One line that names it.
    pub title: String,
    /// What is to be done, where the title does not say it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<TextRef>,
    /// In which repository.
    pub repo: RepoId,
    /// The branch it starts from.
    pub base: String,
    /// The branch it lands on.
    pub target: String,
    /// The paths it will touch, as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<RepoPath>,
    /// 0 urgent … 4 idle.
    pub priority: u8,
    /// Tasks that must be completed before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<TaskId>,
    /// Capabilities that the agent must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// The tool it must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Who looks at the diff before it lands.
    pub review: ReviewBy,
    /// Unique within the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Shell commands that prove it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<String>,
    /// What becomes of the work.
    pub flow: Flow,
    /// Tries until it has failed.
    pub max_attempts: u32,
    /// Cost ceiling in micro-dollars.
    pub max_cost_micro_usd: u64,
    /// Wall-clock limit of an attempt in seconds.
    pub max_wall_s: u64,
    /// Tools to hand it to when its own gives up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backup_tools: Vec<String>,
    /// The task it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// The landed task whose inverse it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<TaskId>,
    /// Its declared paths may be written by others at the same time.
    #[serde(default)]
    pub share: bool,
    /// The person it is for.
    pub by: ActorId,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Kind::is_work")]
    pub kind: Kind,
    /// Who looks, at least, at the diffs of the tasks that a plan becomes.
    #[serde(default, skip_serializing_if = "ReviewBy::is_none")]
    pub review_each: ReviewBy,
}

/// A task was changed; what is given replaces what was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskEdited {
    /// Which.
    pub task: TaskId,
    /// One line that names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<TextRef>,
    /// The paths it will touch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<RepoPath>>,
    /// 0 urgent … 4 idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Tasks that must be completed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<TaskId>>,
}

/// Bids are taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuctionOpened {
    /// On which task.
    pub task: TaskId,
    /// Until when at the latest.
    pub closes_at: At,
}

/// No bid could win; the auction opens again when something has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuctionLapsed {
    /// On which task.
    pub task: TaskId,
    /// Why, for people.
    pub why: String,
    /// When the next one may open; absent: after a wait that has a fixed rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_at: Option<At>,
    /// Agents that could have bid and neither did nor declined. For a while no auction opens
    /// for their sake; they may bid in those that open for others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unheard: Vec<ActorId>,
}

/// A task that has been ready for long takes its place in the queue for the paths it declares:
/// who asks for them from now on comes after it, attempts that run excepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathsQueued {
    /// Which task.
    pub task: TaskId,
    /// In which repository.
    pub repo: RepoId,
    /// What it waits for.
    pub paths: Vec<RepoPath>,
    /// How it would hold them.
    pub mode: Mode,
    /// When it leaves the queue, should nobody have taken it: others are not held up for ever.
    pub deadline: At,
}

/// It has left the queue with nobody having taken it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathsLeft {
    /// Which task.
    pub task: TaskId,
}

/// A sealed bid, with the terms that the coordinator knows itself added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bid {
    /// Whose.
    pub actor: ActorId,
    /// Scores by term.
    pub score: BTreeMap<String, i64>,
    /// Their sum.
    pub total: i64,
    /// Why it is no bid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined: Option<String>,
}

/// An agent won. The record's `seq` is the attempt's token. Leases on the declared paths stand
/// in the same record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskAwarded {
    /// Which task.
    pub task: TaskId,
    /// 1, 2, 3 …
    pub attempt: u32,
    /// To whom.
    pub actor: ActorId,
    /// Under which session.
    pub session: SessionId,
    /// On which host.
    pub host: HostId,
    /// What is reserved there.
    pub needs: Needs,
    /// The GPU it is reserved on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<u32>,
    /// By when it must have started.
    pub start_by: At,
    /// The best bids, best first.
    pub bids: Vec<Bid>,
}

/// The awarded agent began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskStarted {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// The commit that the worktree stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_commit: Option<String>,
}

/// It came to another phase, saved its work, or told its tool's session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskProgressed {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// Where it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The tool's own session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_session: Option<String>,
    /// What was used so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The commit of the newest save.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
}

/// A verification ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskVerified {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// The evidence.
    pub receipt: Receipt,
    /// The commit that holds the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What was used so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The class of the failure, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// What was changed, where it did not fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// In which repository, where it is told what was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
}

/// The worker asked. The question's id is the record's `seq`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskAsked {
    /// Which task.
    pub task: TaskId,
    /// What a person is to decide.
    pub question: TextRef,
    /// Answers to choose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// What counts as the answer when none comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Until when an answer is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<At>,
}

/// A question was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskAnswered {
    /// Which task.
    pub task: TaskId,
    /// Which question.
    pub question: QuestionId,
    /// The answer.
    pub answer: TextRef,
    /// Who answered; none: nobody did, and it is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ActorId>,
}

/// Somebody said something to the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskSaid {
    /// Which task.
    pub task: TaskId,
    /// What.
    pub text: TextRef,
    /// Who.
    pub by: ActorId,
}

/// A task is held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskPaused {
    /// Which.
    pub task: TaskId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the attempt that is frozen meanwhile ends, so that its agent is free for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parks_at: Option<At>,
}

/// A held task goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskResumed {
    /// Which.
    pub task: TaskId,
}

/// What stands in a task's way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Blocked {
    /// A dependency that ended without being completed.
    Dependency(TaskId),
    /// A question that waits for an answer.
    Question(QuestionId),
    /// Something at landing that only a person can change.
    Landing(String),
    /// The money set aside is spent.
    Budget,
    /// The repository's base fails its own verification.
    BaseRed,
    /// A limit of the tool's provider, until this time where it is known.
    RateLimit(Option<At>),
    /// A person's decision.
    Decision,
    /// The branch it starts from cannot be worked on; what was found.
    Base(String),
    /// Agents gave it back again and again without a try; the last one's reason.
    GivenBack(String),
}

/// Something stands in a task's way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskBlocked {
    /// Which task.
    pub task: TaskId,
    /// What.
    pub cause: Blocked,
}

/// It is out of the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskUnblocked {
    /// Which task.
    pub task: TaskId,
}

/// An attempt waits for its turn of the merge queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LandQueued {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// The tree it means to land.
    pub tree: String,
    /// The request.
    pub id: CommandId,
    /// Until when it waits.
    pub deadline: At,
    /// The newest landing that is brought in already, by its record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

/// The wait ended without a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LandWithdrawn {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// The request.
    pub id: CommandId,
    /// Why.
    pub why: super::lock::WithdrawnWhy,
}

/// An attempt has the turn of its branch. The record's `seq` is the turn's token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LandBegan {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// In which repository.
    pub repo: RepoId,
    /// The branch it lands on.
    pub target: String,
    /// The tree it means to land.
    pub tree: String,
    /// The head of that branch as the log knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// The request that had waited for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<CommandId>,
}

/// The turn ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LandEnded {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// In which repository.
    pub repo: RepoId,
    /// The branch.
    pub target: String,
    /// How.
    pub outcome: LandOutcome,
    /// The commit that landed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// The evidence for that tree, where it is not the verified one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// The paths in conflict, or what stands in the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What landed, where the merge made it differ from what was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
}

/// A task is done, proven and landed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskCompleted {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// The commit, where the flow makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its tree.
    pub tree: String,
    /// The commit was found on the branch: its attempt's own report was lost.
    #[serde(default)]
    pub found: bool,
    /// The tool's final message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<TextRef>,
    /// What was used in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Why an attempt ended without landing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It was awarded and did not start in time.
    NotStarted,
    /// Its agent gave up.
    Failed {
        /// The class of the failure.
        class: String,
        /// For people.
        message: TextRef,
    },
    /// Its agent gave it back.
    Abandoned {
        /// Why.
        reason: String,
    },
    /// Its agent's session ended.
    SessionEnded,
    /// The task was cancelled.
    Cancelled,
    /// Another attempt's landed commit turned up.
    Superseded,
    /// It has to wait, and does not keep its agent meanwhile: the task goes on from its save
    /// with a new award.
    Parked,
}

/// Where a task goes when its attempt has ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Back to the queue.
    Queued,
    /// It has failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// It is completed.
    Completed,
    /// To a reviewer.
    Review,
}

/// An attempt ended without landing; its leases are free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttemptEnded {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// Why.
    pub why: Ended,
    /// It counts against the task's tries.
    pub spent: bool,
    /// Where the task goes.
    pub next: Next,
    /// What was used in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// A task was ended for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskCancelled {
    /// Which.
    pub task: TaskId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An ended task is back in the queue, with all its tries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskRetried {
    /// Which.
    pub task: TaskId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
