//! Leases, and the requests that wait for one.

mod hot;
mod overlap;
mod wait;

pub use hot::HOT;
pub(crate) use overlap::Ask;
pub(crate) use wait::Standing;

use std::fmt;

use devmesh_protocol::command::lock::Share;
use devmesh_protocol::event::lock::Sharing;
use devmesh_protocol::{
    ActorId, At, CommandId, LeaseId, Mode, RepoId, RepoPath, SessionId, TaskId,
};
use serde::Serialize;

use super::is_default;

/// Who holds or waits: a holder never conflicts with itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Holder {
    /// Whose.
    pub actor: ActorId,
    /// An agent's session; people have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The task it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

impl Holder {
    /// A task that nobody works on yet and that waits for its paths itself.
    pub fn line(task: TaskId) -> Holder {
        Holder { actor: ActorId::coordinator(), session: None, task: Some(task) }
    }

    /// It is such a task. The coordinator never holds a lease.
    pub fn is_line(&self) -> bool {
        self.actor.as_str() == ActorId::COORDINATOR
    }
}

/// As people are told of it.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.task {
            Some(task) if self.is_line() => write!(f, "{task}, which has waited long,"),
            Some(task) => write!(f, "{} for {task}", self.actor),
            None => write!(f, "{}", self.actor),
        }
    }
}

/// A live lease. Its id is the key of its row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lease {
    /// Whose.
    pub holder: Holder,
    /// In which repository.
    pub repo: RepoId,
    /// Which file or folder.
    pub path: RepoPath,
    /// How.
    pub mode: Mode,
    /// Since when.
    pub granted_at: At,
    /// Time to live in milliseconds.
    pub ttl_ms: u64,
    /// When it ends, where no heartbeat keeps it alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<At>,
    /// Why, in its holder's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The request that it was granted to; what gives that request back gives the lease back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<CommandId>,
    /// Whether it may be shared, where its holder says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
}

impl Lease {
    /// Whether a request that shares need not wait for it. A lease ends by the clock exactly
    /// where it is a person's.
    pub fn is_shared_with(&self, sharing: Sharing) -> bool {
        self.share != Some(Share::Never) && (sharing == Sharing::All || self.expires_at.is_none())
    }
}

/// A request that waits. Its place in the queue is the key of its row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Waiter {
    /// Whose.
    pub holder: Holder,
    /// The request.
    pub id: CommandId,
    /// In which repository.
    pub repo: RepoId,
    /// Which files and folders.
    pub paths: Vec<RepoPath>,
    /// How.
    pub mode: Mode,
    /// Time to live in milliseconds once granted.
    pub ttl_ms: u64,
    /// Since when.
    pub queued_at: At,
    /// Until when.
    pub deadline: At,
    /// The lease to be converted, where it is a conversion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convert: Option<LeaseId>,
    /// Whether it may be shared, where its waiter says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// When it begins to share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_at: Option<At>,
    /// It takes its paths together with these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    /// Why, in its waiter's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Conflicting requests that were granted past it.
    #[serde(skip_serializing_if = "is_default")]
    pub bypasses: u32,
    /// The record of the newest of them: a request of many paths counts once.
    #[serde(skip_serializing_if = "is_default")]
    pub bypassed_seq: u64,
}

impl Waiter {
    /// One that only waits: its lease lives by nothing of its own, and it shares with nobody.
    pub(crate) fn plain(
        (holder, id): (Holder, CommandId),
        (repo, paths): (RepoId, Vec<RepoPath>),
        mode: Mode,
        (queued_at, deadline): (At, At),
    ) -> Waiter {
        Waiter {
            holder,
            id,
            repo,
            paths,
            mode,
            ttl_ms: 0,
            queued_at,
            deadline,
            convert: None,
            share: None,
            share_at: None,
            sharing: None,
            reason: None,
            bypasses: 0,
            bypassed_seq: 0,
        }
    }
}
