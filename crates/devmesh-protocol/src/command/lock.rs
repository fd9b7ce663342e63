//! Commands on leases.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{CommandId, LeaseId, RepoId, TaskId};
use crate::mode::Mode;
use crate::path::RepoPath;

/// Whether a lease may be shared, where it is not left to the rule.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// Neither the request after a wait, nor its lease afterwards.
    Never,
}

/// `lock.acquire`: all paths or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acquire {
    /// What to lease; a folder means all that is in it.
    pub paths: Vec<RepoPath>,
    /// How.
    pub mode: Mode,
    /// In which repository; may be left out where the mesh has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
    /// The caller's own task that the lease is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Time to live in milliseconds. An agent's lease lives as long as its heartbeats, a
    /// person's until it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// How long to wait for a conflict to end; 0 or absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// `never` keeps the path for the caller alone. Absent: what an attempt waits for it is
    /// given together with the holder after a while, and an agent's lease is shared so with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// Why, for those who wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `lock.release`: exactly one of the four.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// These leases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<LeaseId>,
    /// The caller's leases on exactly these paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<RepoPath>,
    /// In which repository the paths are; may be left out where the mesh has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
    /// The caller's leases for this task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The requests of these ids: a wait is withdrawn, what was granted meanwhile given back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<CommandId>,
}

/// `lock.renew`: a person's leases live on from now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// These leases; empty means all of the caller's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<LeaseId>,
    /// Time to live from now in milliseconds; absent: as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
}

/// `lock.convert`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Convert {
    /// The lease.
    pub lease: LeaseId,
    /// Its new mode. A stronger one waits like any request and gets a new token.
    pub mode: Mode,
    /// How long to wait for a conflict to end; 0 or absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// `lock.break`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Break {
    /// The lease that ends.
    pub lease: LeaseId,
    /// Why; its holder is told.
    pub reason: String,
}
