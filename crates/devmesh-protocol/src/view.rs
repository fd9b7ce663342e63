//! What queries show: the state as people and programs read it. Views are made from the state
//! and never read back into it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::agent::Needs;
use crate::command::task::{Flow, Kind, Receipt, ReviewBy, Usage, Usd};
use crate::event::agent::{AgentSuspended, Capacity};
use crate::event::task::{Bid, Blocked, Next};
use crate::id::{ActorId, CommandId, HostId, LeaseId, QuestionId, RepoId, SessionId, TaskId};
use crate::mode::Mode;
use crate::path::RepoPath;
use crate::report::HostReport;
use crate::time::At;

/// `state`: the mesh in a few numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeshView {
    /// The newest record.
    pub seq: u64,
    /// When it was decided.
    pub at: At,
    /// The current term.
    pub epoch: u64,
    /// Who leads.
    pub leader: String,
    /// Whether the mesh is paused.
    pub paused: bool,
    /// The architect.
    pub architect: Option<ActorId>,
    /// Tasks by state.
    pub tasks: BTreeMap<String, u64>,
    /// Agents joined.
    pub agents: u64,
    /// Live leases.
    pub leases: u64,
    /// Waiting lock requests.
    pub waiters: u64,
    /// Hosts known.
    pub hosts: u64,
    /// Repositories.
    pub repos: u64,
    /// The state's hash, hexadecimal.
    pub hash: String,
    /// What tasks have cost today, as far as tools told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetView>,
    /// Messages dropped at the door, by reason.
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
    /// Where nobody leads because the log's store takes nothing: why, and what to do. All that is
    /// shown meanwhile is what was settled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<String>,
}

/// What tasks have cost in a day of UTC, and what they may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetView {
    /// When the day began.
    pub day: At,
    /// What was spent, as far as tools told.
    pub spent_usd: Usd,
    /// Where nothing new starts until the next day.
    pub limit_usd: Usd,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskView {
    /// Its id.
    pub task: TaskId,
    /// One line that names it.
    pub title: String,
    /// `queued`, `claimed`, `working`, `verifying`, `review`, `landing`, `completed`, `paused`,
    /// `blocked`, `failed`, `cancelled`.
    pub state: String,
    /// What stands in its way, where it is blocked.
    pub blocked: Option<Blocked>,
    /// In which repository.
    pub repo: RepoId,
    /// The branch it starts from.
    pub base: String,
    /// The branch it lands on.
    pub target: String,
    /// The paths it will touch.
    pub paths: Vec<RepoPath>,
    /// 0 urgent … 4 idle.
    pub priority: u8,
    /// Tasks that must be completed before.
    pub depends_on: Vec<TaskId>,
    /// Capabilities that the agent must have.
    pub needs: Vec<String>,
    /// The tool it must be.
    pub tool: Option<String>,
    /// Who looks at the diff.
    pub review: ReviewBy,
    /// Its key.
    pub key: Option<String>,
    /// Shell commands that prove it, the repository's where it has none of its own.
    pub verify: Vec<String>,
    /// What becomes of the work.
    pub flow: Flow,
    /// Tries until it has failed.
    pub max_attempts: u32,
    /// Cost ceiling.
    pub max_cost_usd: Usd,
    /// Wall-clock limit of an attempt in seconds.
    pub max_wall_s: u64,
    /// Tries so far.
    pub tries: u32,
    /// Who added it.
    pub by: ActorId,
    /// When it was added.
    pub added_at: At,
    /// When it ended.
    pub ended_at: Option<At>,
    /// The commit that landed.
    pub commit: Option<String>,
    /// The open question, where one is open.
    pub question: Option<QuestionView>,
    /// The running attempt.
    pub attempt: Option<AttemptView>,
    /// The attempts before, oldest first, at most sixteen.
    pub attempts: Vec<PastAttemptView>,
    /// The landed task whose inverse it is.
    pub reverts: Option<TaskId>,
    /// What is to be done, in full; only where one task is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What was said to its worker and by reviewers, oldest first; only where one task is asked
    /// for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<SaidView>,
    /// The commit of the newest save of its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
    /// The tool's session of the newest attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_session: Option<String>,
    /// A person has to act before it goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_you: bool,
    /// What it waits for now, in sentences; only where one task is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<String>,
    /// That nobody who is there can do it, in a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nobody_why: Option<String>,
    /// What keeps each agent from it, where nobody can do it; only where one task is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nobody: Vec<UnfitView>,
    /// Why its newest attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    /// What was in the way of its last turn to land.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// Proven work that waits without an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<ParkedView>,
    /// The agent that reviews it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<ReviewerView>,
    /// The bids that its newest award was decided on, best first; only where one task is asked
    /// for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bids: Vec<Bid>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Kind::is_work")]
    pub kind: Kind,
    /// The task it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// The plan that it came to, where it plans; its tasks only where one task is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanView>,
}

/// The plan of a goal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanView {
    /// Who made it.
    pub by: ActorId,
    /// The attempt that made it.
    pub attempt: u32,
    /// What it says to everybody; only where one task is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The tasks that wait to be added with it; only where one task is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proposed: Vec<PlannedView>,
    /// Capabilities that it needs and that no agent had when it was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// The version of the framework that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<u64>,
    /// The tasks that it became.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskId>,
}

/// A task that waits to be added with its plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedView {
    /// By what the other tasks of the plan name it.
    pub key: String,
    /// One line that names it.
    pub title: String,
    /// What is to be done, in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The paths it will touch.
    pub paths: Vec<RepoPath>,
    /// Keys of the tasks that must be completed before.
    pub depends_on: Vec<String>,
    /// Capabilities that the agent must have.
    pub needs: Vec<String>,
    /// 0 urgent … 4 idle.
    pub priority: u8,
    /// Who looks at the diff.
    pub review: ReviewBy,
}

/// What keeps an agent from a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnfitView {
    /// Which agent.
    pub agent: ActorId,
    /// What.
    pub why: String,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailureView {
    /// Which attempt.
    pub attempt: u32,
    /// The class: `test`, `build`, `setup`, `conflict` …
    pub class: String,
    /// For people; only where one task is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When.
    pub at: At,
}

/// Proven work that waits without an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParkedView {
    /// The attempt that made it.
    pub attempt: u32,
    /// Who worked.
    pub actor: ActorId,
    /// On which host.
    pub host: HostId,
    /// The commit that the work began from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_commit: Option<String>,
    /// The commit that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The evidence.
    pub receipt: Receipt,
    /// Whether a reviewer has approved.
    pub approved: bool,
    /// Since when it waits.
    pub at: At,
}

/// An agent that reviews another's work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReviewerView {
    /// Who.
    pub actor: ActorId,
    /// Under which session.
    pub session: SessionId,
    /// Since when.
    pub assigned_at: At,
    /// Until when a verdict is waited for.
    pub deadline: At,
}

/// A question that waits for an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuestionView {
    /// Its id.
    pub question: QuestionId,
    /// Answers to choose from.
    pub options: Vec<String>,
    /// What counts when none comes.
    pub default: Option<String>,
    /// Until when.
    pub deadline: Option<At>,
    /// The question; only where one task is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Something said about a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SaidView {
    /// By whom.
    pub by: ActorId,
    /// When.
    pub at: At,
    /// `say`, `approve`, `reject`, `answer`.
    pub kind: String,
    /// What; none where its bytes were forgotten.
    pub text: Option<String>,
}

/// The attempt that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// 1, 2, 3 …
    pub attempt: u32,
    /// The `token` of every `task.*` verb.
    pub token: u64,
    /// Who works.
    pub actor: ActorId,
    /// Under which session.
    pub session: SessionId,
    /// On which host.
    pub host: HostId,
    /// When it was awarded.
    pub awarded_at: At,
    /// When it started.
    pub started_at: Option<At>,
    /// The commit it stands on.
    pub base_commit: Option<String>,
    /// The newest evidence.
    pub receipt: Option<Receipt>,
    /// Whether a reviewer has approved.
    pub approved: bool,
    /// The token of its turn of the merge queue, where it has it.
    pub turn: Option<u64>,
    /// Its work has landed; what is left is to say that it is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub landed: bool,
    /// What was used so far.
    pub usage: Usage,
    /// The last line it told, from memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// An attempt that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PastAttemptView {
    /// 1, 2, 3 …
    pub attempt: u32,
    /// Who worked.
    pub actor: ActorId,
    /// Why it ended, in a word: `failed`, `abandoned`, `session_ended` …
    pub why: String,
    /// Where the task went.
    pub next: Next,
    /// When.
    pub ended_at: At,
    /// The `token` that it had.
    #[serde(default)]
    pub token: u64,
    /// On which host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<At>,
    /// The class of its failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Why it failed, for people; only where one task is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why it was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// It counted as a try.
    #[serde(default)]
    pub spent: bool,
    /// What it used.
    #[serde(default)]
    pub usage: Usage,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentView {
    /// Who.
    pub agent: ActorId,
    /// `architect` or `agent`.
    pub role: String,
    /// `idle`, `working`, `reviewing`, `suspended`, `draining`, `silent`.
    pub state: String,
    /// Its tool.
    pub tool: String,
    /// Its model.
    pub model: Option<String>,
    /// Its host.
    pub host: HostId,
    /// Its session.
    pub session: SessionId,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// What it takes of its host.
    pub needs: Needs,
    /// What it works on.
    pub task: Option<TaskId>,
    /// Whose work it reviews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviews: Option<TaskId>,
    /// Why it is suspended, with the numbers.
    pub suspended: Option<AgentSuspended>,
    /// When it joined.
    pub joined_at: At,
    /// Milliseconds since it was heard, from memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<u64>,
}

/// One lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseView {
    /// Its id, which is its fence.
    pub lease: LeaseId,
    /// Its token.
    pub token: u64,
    /// In which repository.
    pub repo: RepoId,
    /// Which file or folder.
    pub path: RepoPath,
    /// How.
    pub mode: Mode,
    /// Whose.
    pub actor: ActorId,
    /// Under which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The task it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Since when.
    pub granted_at: At,
    /// Time to live in milliseconds.
    pub ttl_ms: u64,
    /// When it ends, where no heartbeat keeps it alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<At>,
    /// Why, in its holder's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaiterView {
    /// Whose.
    pub actor: ActorId,
    /// The request.
    pub id: CommandId,
    /// In which repository.
    pub repo: RepoId,
    /// Which files and folders.
    pub paths: Vec<RepoPath>,
    /// How.
    pub mode: Mode,
    /// The task it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Since when.
    pub queued_at: At,
    /// Until when.
    pub deadline: At,
    /// Whom it waits for.
    pub waits_for: Vec<ActorId>,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostView {
    /// Which.
    pub host: HostId,
    /// What it can give.
    pub capacity: Capacity,
    /// Memory reserved in MiB.
    pub ram_reserved_mb: u64,
    /// GPU memory reserved in MiB, by device.
    pub vram_reserved_mb: Vec<u64>,
    /// Places taken.
    pub slots_taken: u32,
    /// Memory that decisions count as free, in MiB: beside what is reserved, and as last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram_free_mb: Option<u64>,
    /// The same of each GPU, by device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vram_free_mb: Vec<u64>,
    /// What strains it, each with what was measured and the mark.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strained: Vec<String>,
    /// Before then no task starts there: its processors are busy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<At>,
    /// For how long its probe had been silent when it was no longer counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<u64>,
    /// The newest sample, from memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<HostReport>,
}

/// One repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RepoView {
    /// What it is called.
    pub repo: RepoId,
    /// Where every host gets it from.
    pub url: Option<String>,
    /// Where it lies on its host.
    pub path: Option<String>,
    /// The host that joined on which `path` is; none: the one that has the mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// The branch that tasks start from.
    pub base: String,
    /// The branch that work lands on.
    pub target: String,
    /// Shell commands that prove a task of it.
    pub verify: Vec<String>,
    /// What makes a fresh worktree ready.
    pub setup: Option<String>,
    /// The target's head as the log knows it.
    pub head: Option<String>,
    /// Who has the turn to land.
    pub landing: Option<TaskId>,
    /// Who waits for it, in order.
    pub land_queue: Vec<TaskId>,
}

/// One note.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NoteView {
    /// What it is about.
    pub key: String,
    /// What is known; none where its bytes were forgotten.
    pub value: Option<String>,
    /// How sure its author is, 0 to 100.
    pub confidence: u8,
    /// The paths it is about.
    pub paths: Vec<RepoPath>,
    /// Its author.
    pub by: ActorId,
    /// When.
    pub at: At,
    /// The repository it is about; none: every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
    /// The task at which it was learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

impl NoteView {
    /// Whether it holds each of the words, in whatever case: in its key, text, author or one of
    /// its paths.
    pub fn holds(&self, words: &str) -> bool {
        words.to_lowercase().split_whitespace().all(|word| {
            let holds = |text: &str| text.to_lowercase().contains(word);
            holds(&self.key)
                || self.value.as_deref().is_some_and(holds)
                || holds(self.by.as_str())
                || self.paths.iter().any(|path| holds(path.key()))
        })
    }
}

/// One link of a causal chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyView {
    /// The record.
    pub seq: u64,
    /// When.
    pub at: At,
    /// Who acted.
    pub actor: ActorId,
    /// What happened, in a sentence.
    pub what: String,
    /// The record that led to it.
    pub because: Option<u64>,
}
