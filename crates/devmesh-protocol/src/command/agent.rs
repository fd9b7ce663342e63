//! Commands of and about agents and actors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ActorId, HostId, RepoId};

/// What an agent needs of its host while it works.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Needs {
    /// Memory in MiB.
    pub ram_mb: u64,
    /// Memory of one GPU in MiB.
    pub vram_mb: u64,
    /// Places of the host's; 0 counts as one.
    pub slots: u32,
}

/// `agent.join`. The session stands in the command; the same session within the grace resumes
/// its leases and task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The coding tool: `codex`, `claude`, `custom` …
    pub tool: String,
    /// The host it runs on.
    pub host: HostId,
    /// The model, where the tool tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it can do, as words that tasks ask for in `needs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// What it takes of the host.
    #[serde(default)]
    pub needs: Needs,
    /// The repositories it can work on; empty means every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repos: Vec<RepoId>,
    /// The persons whose tasks it takes; empty means everybody's.
    #[serde(default, rename = "for", skip_serializing_if = "Vec::is_empty")]
    pub for_persons: Vec<ActorId>,
    /// The highest `seq` it has seen; a leader below it halts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

/// `agent.leave`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// Why, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `agent.drain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// The agent that gets nothing new.
    pub agent: ActorId,
    /// Why, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a credential is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A coding CLI's process.
    Agent,
    /// A person, with the rights of an operator.
    Person,
    /// A host's hardware probe.
    Probe,
    /// The web page's process.
    Dashboard,
    /// The single writer.
    Coordinator,
    /// Sees, and changes nothing.
    Viewer,
    /// The mesh's own administrator.
    Admin,
    /// Reads the log.
    Replay,
}

/// `actor.add`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActorAdd {
    /// The name of the credential.
    pub actor: ActorId,
    /// What it is for.
    pub role: Role,
}

/// `actor.end`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActorEnd {
    /// The name of the credential.
    pub actor: ActorId,
    /// Why, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
