//! The mesh itself: scalars, repositories, merge queues, notes, and the memory of commands.

use std::collections::{BTreeMap, VecDeque};

use devmesh_protocol::event::mesh::{RepoAdded, TextRef};
use devmesh_protocol::{ActorId, At, Code, CommandId, Digest, RepoId, RepoPath, TaskId};
use serde::{Serialize, Serializer};

use super::{State, is_default};

/// Scalars.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Mesh {
    /// The current term, 0 before the first.
    pub epoch: u64,
    /// Who leads it.
    pub node: String,
    /// The record that began it.
    pub epoch_seq: u64,
    /// The format the leader writes.
    pub format: u32,
    /// Tasks added so far: the number of the newest.
    pub tasks_added: u64,
    /// Nothing new starts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Running tools are stopped too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused_now: bool,
    /// The architect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architect: Option<ActorId>,
    /// The plan, where one is published: version and text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framework: Option<(u64, TextRef)>,
    /// What was spent on the newest day.
    #[serde(skip_serializing_if = "is_default")]
    pub spent: Spent,
}

/// What the tools told that they cost on one day of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Days since 1970.
    pub day: u64,
    /// Millionths of a US dollar.
    pub micro_usd: u64,
}

/// Milliseconds of a day.
pub const DAY_MS: u64 = 86_400_000;

/// A repository.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Repo {
    /// As added, all defaults filled in.
    pub added: RepoAdded,
}

/// What a person has changed in a checkout and not committed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checkout {
    /// Which files and folders.
    pub paths: Vec<RepoPath>,
    /// How many more.
    pub more: u32,
    /// Since when it is known.
    pub at: At,
}

/// The merge queue of one branch: one holder at a time, the others in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LandQueue {
    /// Who has the turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
    /// Who waits, first first.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub waiting: VecDeque<LandWaiter>,
    /// The branch's head as the log knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
}

impl State {
    /// The first who waits for a turn. A held task keeps its place and lets others by.
    pub(crate) fn next_to_land<'q>(&self, queue: &'q LandQueue) -> Option<&'q LandWaiter> {
        let held = |id: &TaskId| self.tasks.get(id).is_some_and(|task| task.paused);
        queue.waiting.iter().find(|waiter| !held(&waiter.task))
    }
}

/// A turn of a merge queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Turn {
    /// Whose.
    pub task: TaskId,
    /// Of which attempt.
    pub attempt: u32,
    /// The record that granted it.
    pub token: u64,
    /// The tree it means to land.
    pub tree: String,
}

/// An attempt that waits for its turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LandWaiter {
    /// Whose.
    pub task: TaskId,
    /// Of which attempt.
    pub attempt: u32,
    /// The tree it means to land.
    pub tree: String,
    /// The request.
    pub id: CommandId,
    /// Since when it waits.
    pub queued_at: At,
    /// Until when it waits.
    pub deadline: At,
    /// The newest landing that is brought in already, by its record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

/// A note.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Note {
    /// What is known.
    pub value: TextRef,
    /// How sure its author is, 0 to 100.
    pub confidence: u8,
    /// The paths it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<RepoPath>,
    /// Its author.
    pub by: ActorId,
    /// When.
    pub at: At,
    /// The repository it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
    /// The task at which it was learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// What a receipt stands under: whose command, and which.
///
/// Receipts are the largest table and looked up several times for a command. The numbers come
/// first because the texts lie elsewhere in memory; an actor's newest stand side by side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReceiptKey {
    near: (u64, u64),
    actor: ActorId,
    id: CommandId,
}

impl ReceiptKey {
    /// The key of that actor's command.
    pub fn new(actor: &ActorId, id: &CommandId) -> ReceiptKey {
        let near = (actor.number(), id.number());
        ReceiptKey { near, actor: actor.clone(), id: id.clone() }
    }

    /// Which command.
    pub fn id(&self) -> &CommandId {
        &self.id
    }
}

/// The numbers follow from the texts, and are no part of what is hashed.
impl Serialize for ReceiptKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.actor, &self.id).serialize(serializer)
    }
}

/// What became of a command: enough to give the same answer again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Receipt {
    /// Its body; another one under the same id is refused.
    pub body: Digest,
    /// The record; the answer is made from it again.
    pub seq: u64,
    /// Where it waited: the record that ended the wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<u64>,
    /// It still waits.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub waiting: bool,
}

/// The order in which an actor's receipts came, so that the oldest go first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReceiptOrder {
    /// Oldest first.
    pub ids: VecDeque<CommandId>,
    /// The greatest UUIDv7 time that was ever forgotten, in milliseconds: what is unknown and
    /// not newer than this might have been executed.
    pub forgotten_ms: u64,
}

/// The minute over which refusals are counted, in milliseconds.
pub const REFUSALS_MS: u64 = 60_000;

/// How many of an actor's refusals were recorded within a minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Refusals {
    /// When that minute began.
    pub since: At,
    /// Recorded ones.
    pub recorded: u32,
    /// Suppressed ones that are on record, by code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub suppressed: BTreeMap<Code, u64>,
}
