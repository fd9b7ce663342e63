//! Commands on tasks and on the merge queue.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{QuestionId, RepoId, TaskId};
use crate::path::RepoPath;

/// Who looks at a diff before it lands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ReviewBy {
    /// Nobody.
    #[default]
    None,
    /// Another agent.
    Agent,
    /// A person.
    Person,
}

impl ReviewBy {
    /// Whether nobody looks.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde calls")]
    pub(crate) fn is_none(&self) -> bool {
        *self == ReviewBy::None
    }
}

/// What becomes of verified work.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// It lands on the target branch through the merge queue.
    #[default]
    Merge,
    /// It stays on a branch of its own.
    Branch,
    /// It becomes a pull request.
    Pr,
    /// It becomes a patch file.
    Patch,
}

/// What a task is for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something is changed, proven and landed.
    #[default]
    Work,
    /// A goal is made into a framework and tasks; nothing is changed. It is the architect's, and
    /// `review` says whether a person looks at the plan before it is worked to.
    Plan,
}

impl Kind {
    /// Whether it is what a task is where nothing is said.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde calls")]
    pub(crate) fn is_work(&self) -> bool {
        *self == Kind::Work
    }
}

/// `task.add`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// One line that names it.
    pub title: String,
    /// What is to be done, in full; absent: the title says it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// In which repository; may be left out where the mesh has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
    /// The branch it starts from; absent: the repository's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The paths it will touch, as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<RepoPath>,
    /// 0 urgent … 4 idle; absent: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
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
    #[serde(default)]
    pub review: ReviewBy,
    /// Unique within the repository: a second task with it is the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Shell commands that prove it; people only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<String>,
    /// What becomes of the work.
    #[serde(default)]
    pub flow: Flow,
    /// Tries until it has failed; absent: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Cost ceiling in US dollars, with up to six decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<Usd>,
    /// Wall-clock limit of an attempt in seconds; absent: 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wall_s: Option<u64>,
    /// Tools to hand it to when its own gives up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backup_tools: Vec<String>,
    /// The task it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// Its declared paths may be written by others at the same time (`co_write`).
    #[serde(default)]
    pub share: bool,
    /// What it is for; people only where it is not work.
    #[serde(default, skip_serializing_if = "Kind::is_work")]
    pub kind: Kind,
    /// Who looks, at least, at the diffs of the tasks that a plan becomes.
    #[serde(default, skip_serializing_if = "ReviewBy::is_none")]
    pub review_each: ReviewBy,
}

/// An amount of money: a decimal of US dollars in JSON, micro-dollars elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd {
    /// Millionths of a US dollar.
    pub micro: u64,
}

mod change;
mod usd;

pub use change::{Change, EDITS_BYTES_MAX, EDITS_MAX, FileEdit, Merged};

/// Whether it is what it is where nothing is said.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde calls")]
pub(crate) fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// `task.bid`: sealed integer scores, by term; more is better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bid {
    /// The task whose auction is open.
    pub task: TaskId,
    /// Named terms such as `price`, `quota`, `warm`, `free`; each from −1 000 to 1 000.
    #[serde(default)]
    pub score: BTreeMap<String, i64>,
    /// Why this is no bid: what keeps the agent from the task that the mesh cannot know, such as
    /// a base that its repository does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined: Option<String>,
}

/// `task.start`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The task.
    pub task: TaskId,
    /// The number of the attempt, from the award.
    pub attempt: u32,
    /// The attempt's token: the `seq` of its award.
    pub token: u64,
    /// The commit that the worktree stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_commit: Option<String>,
}

/// Where in an attempt the worker is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The tool edits.
    Working,
    /// The verify commands run.
    Verifying,
}

/// What a tool has used so far in an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Millionths of a US dollar; null where the tool does not tell, never 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
}

/// `task.progress`. Nothing is recorded but a change of phase, the tool's session and a save.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The task.
    pub task: TaskId,
    /// The number of the attempt.
    pub attempt: u32,
    /// The attempt's token.
    pub token: u64,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// One line for people; not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The tool's own session, by which it can be resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_session: Option<String>,
    /// What was used so far; recorded with the next change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The commit of the newest save of the worktree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
}

/// How a verification ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every step passed.
    Passed,
    /// Every step passed, one of them only when run again.
    Flaky,
    /// A step failed.
    Failed,
    /// There was nothing to run; shown as such everywhere.
    Unverified,
}

/// One step of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// `pre`, `build`, `test`, `lint` or a name of one's own.
    pub name: String,
    /// The command that ran.
    pub command: String,
    /// Its exit code; null where it was ended by a signal or a time limit.
    pub exit: Option<i32>,
    /// How long it took.
    pub ms: u64,
    /// The digest of all it printed.
    pub output: Digest,
}

/// The evidence for "done", bound to one git tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The git tree that was verified.
    pub tree: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What ran.
    pub steps: Vec<Step>,
    /// Where it ran.
    pub host: String,
    /// Paths of the diff that say how work is proven, built or hooked into: only a person lets
    /// such a diff through, whatever review the task asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guarded: Vec<String>,
    /// Files that hold another's change too, made at the same time under a shared lease: another
    /// agent looks whether both sides' meaning is kept. Filled in by the decision, never taken
    /// from a command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<Merged>,
}

/// `task.verified`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verified {
    /// The task.
    pub task: TaskId,
    /// The number of the attempt.
    pub attempt: u32,
    /// The attempt's token.
    pub token: u64,
    /// The evidence.
    pub receipt: Receipt,
    /// The commit that holds the work, by which others can look at it.
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
}

/// `task.complete`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Complete {
    /// The task.
    pub task: TaskId,
    /// The number of the attempt.
    pub attempt: u32,
    /// The attempt's token.
    pub token: u64,
    /// The tool's final message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What was used in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// `task.fail`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// The task.
    pub task: TaskId,
    /// The number of the attempt.
    pub attempt: u32,
    /// The attempt's token.
    pub token: u64,
    /// The class of the failure.
    pub class: String,
    /// One line for people.
    pub message: String,
    /// No other try would help.
    #[serde(default)]
    pub hard: bool,
    /// What was used in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// `task.abandon`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Abandon {
    /// The task.
    pub task: TaskId,
    /// The number of the attempt.
    pub attempt: u32,
    /// The attempt's token.
    pub token: u64,
    /// Why.
    pub reason: String,
    /// The try was nobody's fault and does not count.
    #[serde(default)]
    pub unspent: bool,
    /// What was used in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// A command that needs nothing but the task and, if anything, a reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reasoned {
    /// The task.
    pub task: TaskId,
    /// Why, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `task.edit`: what is given replaces what was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The task.
    pub task: TaskId,
    /// One line that names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What is to be done, in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The paths it will touch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<RepoPath>>,
    /// 0 urgent … 4 idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Tasks that must be completed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<TaskId>>,
    /// Why, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `task.say`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// The task.
    pub task: TaskId,
    /// What its worker reads at its next turn.
    pub text: String,
}

/// `task.ask`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The task.
    pub task: TaskId,
    /// What a person is to decide.
    pub question: String,
    /// Answers to choose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// What counts as the answer when none comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// How long to wait for one, in seconds; absent: for as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_s: Option<u64>,
}

/// `task.answer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Which question.
    pub question: QuestionId,
    /// The answer.
    pub answer: String,
}

/// What is reviewed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reviewed {
    /// What the worker means to do.
    Plan,
    /// What it did.
    #[default]
    Diff,
}

/// A reviewer's verdict.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It may go on.
    Approve,
    /// It goes back with the comments.
    Reject,
    /// The reviewer could not come to a verdict; somebody else has to look.
    Abstain,
}

/// `task.review`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// The task.
    pub task: TaskId,
    /// Plan or diff; absent: diff.
    #[serde(default)]
    pub what: Reviewed,
    /// The verdict.
    pub verdict: Judgement,
    /// What the worker is to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comments: Option<String>,
    /// The tree that was looked at; refused where another one waits by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
}

/// `land.begin`: the answer comes when the turn is granted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LandBegin {
    /// The task.
    pub task: TaskId,
    /// The number of the attempt.
    pub attempt: u32,
    /// The attempt's token.
    pub token: u64,
    /// The tree that the receipt is about.
    pub tree: String,
    /// How long to wait for the turn; absent: an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// The newest landing that is brought in already, by its record; absent: none is known of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

/// How a turn of the merge queue ended.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LandOutcome {
    /// The commit is on the target branch.
    #[default]
    Landed,
    /// Both sides changed the same lines; the work goes back to the worker.
    Conflict,
    /// Something that only a person can change stands in the way.
    Blocked,
    /// The turn was given back with nothing done.
    Yielded,
}

/// A commit found on the target that an attempt whose report was lost had put there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// Its task, from the commit's trailer.
    pub task: TaskId,
    /// Its attempt, from the commit's trailer.
    pub attempt: u32,
    /// The commit.
    pub commit: String,
    /// Its tree.
    pub tree: String,
}

/// `land.end`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LandEnd {
    /// The task.
    pub task: TaskId,
    /// The number of the attempt.
    pub attempt: u32,
    /// The attempt's token.
    pub token: u64,
    /// How it ended; absent: landed.
    #[serde(default)]
    pub outcome: LandOutcome,
    /// The commit that landed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// The evidence for that tree, where the merge made it differ from the verified one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// The head that the target had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Landed commits whose reports were lost, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<Found>,
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
