//! Events of the mesh as a whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{ActorId, HostId, LeaseId, RepoId, TaskId};
use crate::path::RepoPath;
use crate::reply::{Code, Rejection};

/// A free text, stored beside the log under its digest so that its bytes can be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextRef {
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many they are.
    pub bytes: u64,
}

impl TextRef {
    /// The reference to a text.
    pub fn to(text: &str) -> TextRef {
        TextRef { digest: Digest::of(text.as_bytes()), bytes: text.len() as u64 }
    }
}

/// A term began; alone in its record, its record alone in its batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EpochStarted {
    /// Its number, one above the last.
    pub epoch: u64,
    /// Who leads.
    pub node: String,
    /// Tells two claims of one node apart.
    pub nonce: u64,
    /// The hash of the state before.
    pub hash: Digest,
    /// The format that the leader writes.
    pub format: u32,
}

/// The hash of the state before this record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The hash.
    pub hash: Digest,
}

/// A command was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRejected {
    /// The verb.
    pub verb: String,
    /// The answer it got.
    pub rejection: Rejection,
    /// The task it was about, where it was about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The lease it was about, where it was about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseId>,
}

impl CommandRejected {
    pub(super) fn about(&self) -> String {
        match (self.task, self.lease) {
            (Some(task), _) => task.to_string(),
            (None, Some(lease)) => lease.to_string(),
            (None, None) => "mesh".to_owned(),
        }
    }
}

/// More of an actor's commands were refused within a minute than are recorded one by one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusalsSuppressed {
    /// Whose.
    pub actor: ActorId,
    /// With which answer.
    pub code: Code,
    /// How many.
    pub n: u64,
}

/// The mesh stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeshPaused {
    /// Running tools are stopped too.
    pub now: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The mesh went on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeshResumed {}

/// A setting changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingChanged {
    /// Which.
    pub key: String,
    /// Its value as JSON text; none: back to the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// A text's bytes were forgotten.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redacted {
    /// The text.
    pub digest: Digest,
}

/// A repository joined, or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepoAdded {
    /// What it is called.
    pub repo: RepoId,
    /// Where every host gets it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where it lies on its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The host that joined on which `path` is; none: the one that has the mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// The branch that tasks start from.
    pub base: String,
    /// The branch that work lands on.
    pub target: String,
    /// Shell commands that prove a task of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<String>,
    /// A shell command that makes a fresh worktree ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// Names that differ only by case are one file.
    #[serde(default)]
    pub ignore_case: bool,
    /// Files that everybody writes, as patterns; none: the mesh's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hot: Option<Vec<String>>,
}

/// What a person has changed and not committed in a checkout is this now. It keeps nobody out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckoutChanged {
    /// Of which repository.
    pub repo: RepoId,
    /// Whose checkout.
    pub actor: ActorId,
    /// The paths; none: all is committed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<RepoPath>,
    /// How many more there are than are named.
    #[serde(default)]
    pub more: u32,
}

/// A branch was moved by somebody who is not devmesh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BranchMoved {
    /// Of which repository.
    pub repo: RepoId,
    /// Which.
    pub branch: String,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// To where.
    pub to: String,
}

/// Knowledge was shared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteShared {
    /// What it is about.
    pub key: String,
    /// What is known.
    pub value: TextRef,
    /// How sure its author is, 0 to 100.
    pub confidence: u8,
    /// The paths it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<RepoPath>,
    /// Its author.
    pub by: ActorId,
    /// The repository it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
    /// The task at which it was learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// The plan text was published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameworkPublished {
    /// 1, 2, 3 …
    pub version: u64,
    /// The plan.
    pub text: TextRef,
    /// Its author.
    pub by: ActorId,
}

/// An agent has read the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameworkRead {
    /// Which agent.
    pub actor: ActorId,
    /// Which version.
    pub version: u64,
}
