//! Events of leases and of those who wait for them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::lock::Share;
use crate::id::{ActorId, CommandId, LeaseId, RepoId, SessionId, TaskId};
use crate::mode::Mode;
use crate::path::RepoPath;
use crate::time::At;

/// A lease was granted. Its id, and with it its token, is the record's `seq` and `index`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockGranted {
    /// Its place among the grants of the record.
    pub index: u32,
    /// Whose.
    pub actor: ActorId,
    /// An agent's session; people have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The task it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// In which repository.
    pub repo: RepoId,
    /// Which file or folder.
    pub path: RepoPath,
    /// How.
    pub mode: Mode,
    /// Time to live in milliseconds.
    pub ttl_ms: u64,
    /// When it ends, where no heartbeat keeps it alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<At>,
    /// The request that had waited for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<CommandId>,
    /// Whether it may be shared, where its holder says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// Why, in its holder's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A request waits, in the order of these events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockQueued {
    /// Whose.
    pub actor: ActorId,
    /// An agent's session; people have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The request, by which it is asked for again and withdrawn.
    pub id: CommandId,
    /// The task it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// In which repository.
    pub repo: RepoId,
    /// Which files and folders.
    pub paths: Vec<RepoPath>,
    /// How.
    pub mode: Mode,
    /// Time to live in milliseconds once granted.
    pub ttl_ms: u64,
    /// When the wait ends.
    pub deadline: At,
    /// The lease to be converted, where it is a conversion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convert: Option<LeaseId>,
    /// Whether it may be shared, where its waiter says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// When it has waited long enough to share what it asks for; none where it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_at: Option<At>,
    /// It shares from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    /// Why, in its waiter's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whose leases a request takes its path together with.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// Agents'.
    Agents,
    /// People's too, for else everybody would wait for ever.
    All,
}

/// A request has waited for as long as it must: it takes its paths together with the agents that
/// hold them, as soon as nobody else is in its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharingBegan {
    /// Whose.
    pub actor: ActorId,
    /// Which request.
    pub id: CommandId,
}

/// A lease is its holder's no longer alone: another needed a path of it. Its token stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseShared {
    /// Which.
    pub lease: LeaseId,
    /// Whose.
    pub actor: ActorId,
    /// The task that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// In which repository.
    pub repo: RepoId,
    /// Which file or folder.
    pub path: RepoPath,
    /// Its mode from now on.
    pub to: Mode,
    /// Who needed it.
    pub with: ActorId,
    /// For which task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_task: Option<TaskId>,
}

/// One command of an attempt wrote many files that it had not asked for, as a formatter does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WideWrite {
    /// Whose.
    pub actor: ActorId,
    /// The task it is for.
    pub task: TaskId,
    /// In which repository.
    pub repo: RepoId,
    /// How many paths.
    pub paths: u32,
    /// How many leases of others are shared for it.
    pub shared: u32,
}

/// Why a wait ended without a grant.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawnWhy {
    /// Its waiter asked for it.
    Asked,
    /// Its deadline came.
    TimedOut,
    /// Its session, attempt or lease ended.
    Ended,
}

/// A wait ended without a grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockWithdrawn {
    /// Whose.
    pub actor: ActorId,
    /// Which request.
    pub id: CommandId,
    /// Why.
    pub why: WithdrawnWhy,
}

/// A lease changed its mode in place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockConverted {
    /// Which.
    pub lease: LeaseId,
    /// Its new mode.
    pub to: Mode,
    /// Where the new mode is stronger, the lease's new id is the record's `seq` and this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The request that had waited for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited: Option<CommandId>,
    /// In which repository; an answer that is given again shows it when the lease is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
    /// Which file or folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<RepoPath>,
    /// When it ends, where no heartbeat keeps it alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<At>,
}

/// A lease was given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockReleased {
    /// Which.
    pub lease: LeaseId,
}

/// A person's leases live on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockRenewed {
    /// Whose.
    pub actor: ActorId,
    /// Which.
    pub leases: Vec<LeaseId>,
    /// Time to live from this record on, in milliseconds.
    pub ttl_ms: u64,
    /// Until when.
    pub expires_at: At,
}

/// A lease's time was over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockExpired {
    /// Which.
    pub lease: LeaseId,
}

/// A person ended somebody's lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockBroken {
    /// Which.
    pub lease: LeaseId,
    /// Who ended it.
    pub by: ActorId,
    /// Whose it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<ActorId>,
    /// The task it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Which file or folder it was on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<RepoPath>,
    /// Why.
    pub reason: String,
}
