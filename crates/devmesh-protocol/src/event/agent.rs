//! Events of actors, agents, sessions and hosts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::command::agent::{Needs, Role};
use crate::id::{ActorId, HostId, RepoId, SessionId};

pub use super::host::{Capacity, HostMeasured, HostSilent, Measured, Resource, Strain};

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

/// An agent's host lacks what it needs, or is strained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSuspended {
    /// Who.
    pub actor: ActorId,
    /// What is lacking.
    pub resource: Resource,
    /// How much it needs; of a strain the mark that was passed.
    pub needs: u64,
    /// How much there is; of a strain what was measured when it began.
    pub free: u64,
}

/// An agent's host has again what it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentUnsuspended {
    /// Who.
    pub actor: ActorId,
}
