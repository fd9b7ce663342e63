//! Events of actors, agents, sessions and hosts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::agent::{Needs, Role};
use crate::id::{ActorId, HostId, RepoId, SessionId};

/// An actor got its role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActorAdded {
    /// Who.
    pub actor: ActorId,
    /// What it may do.
    pub role: Role,
}

/// An actor was ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActorEnded {
    /// Who.
    pub actor: ActorId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An agent joined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentJoined {
    /// Who.
    pub actor: ActorId,
    /// Under which session.
    pub session: SessionId,
    /// With which tool.
    pub tool: String,
    /// On which host.
    pub host: HostId,
    /// With which model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it can do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// What it takes of the host.
    pub needs: Needs,
    /// The repositories it can work on; empty: every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repos: Vec<RepoId>,
    /// The persons whose tasks it takes; empty: everybody's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub for_persons: Vec<ActorId>,
}

/// An agent was heard again within the grace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentResumed {
    /// Who.
    pub actor: ActorId,
    /// Under which session.
    pub session: SessionId,
}

/// An agent left; its leases are free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentLeft {
    /// Who.
    pub actor: ActorId,
    /// Under which session.
    pub session: SessionId,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An agent gets nothing new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentDrained {
    /// Who.
    pub actor: ActorId,
}

/// A session was silent for longer than its leases live, and the grace: they are free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeasesLapsed {
    /// Whose.
    pub actor: ActorId,
    /// Which.
    pub session: SessionId,
    /// For how long it had been silent.
    pub silent_ms: u64,
}

/// A session was silent for so long that it ended; it never acts again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionLost {
    /// Whose.
    pub actor: ActorId,
    /// Which.
    pub session: SessionId,
    /// For how long it had been silent.
    pub silent_ms: u64,
}

/// An agent became the architect, or nobody is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArchitectNamed {
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<ActorId>,
}

/// What an agent lacks.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Memory in MiB.
    Ram,
    /// Memory of one GPU in MiB.
    Vram,
    /// Places.
    Slots,
}

/// An agent's host lacks what it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSuspended {
    /// Who.
    pub actor: ActorId,
    /// What is lacking.
    pub resource: Resource,
    /// How much it needs.
    pub needs: u64,
    /// How much there is.
    pub free: u64,
}

/// An agent's host has again what it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentUnsuspended {
    /// Who.
    pub actor: ActorId,
}

/// What a host can give to agents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Capacity {
    /// Memory in MiB: the smaller of the limit set and the memory there is.
    pub ram_mb: u64,
    /// Memory of each GPU in MiB, by device; empty: no GPU.
    pub vram_mb: Vec<u64>,
    /// Places for agents at work.
    pub slots: u32,
}

/// A host's capacity became known, or changed. Samples are not events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostMeasured {
    /// Which.
    pub host: HostId,
    /// What it can give.
    pub capacity: Capacity,
}
