//! Commands on the mesh as a whole: repositories, framework, notes, settings, pause.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::task::Usage;
use crate::digest::Digest;
use crate::id::{HostId, RepoId, TaskId};
use crate::path::RepoPath;
use crate::plan::Planned;

/// `repo.add`: `url` or `path`. Adding what is there changes what is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepoAdd {
    /// What it is called in the mesh.
    pub name: RepoId,
    /// Where every host gets it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where it lies on its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The host that joined on which `path` is; none: the one that has the mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// The branch that tasks start from; absent: `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Shell commands that prove a task of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<String>,
    /// A shell command that makes a fresh worktree ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// The branch that work lands on; absent: `devmesh/landed/<base>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Names that differ only by case are one file.
    #[serde(default)]
    pub ignore_case: bool,
    /// Files that everybody writes, as patterns: shared at once; absent: the mesh's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hot: Option<Vec<String>>,
}

/// `checkout.report`: what a person has changed in a checkout and not committed. It replaces
/// what the same person told of the same repository before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckoutReport {
    /// Which repository; may be left out where the mesh has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
    /// The paths; none: all is committed.
    #[serde(default)]
    pub paths: Vec<RepoPath>,
    /// How many more there are than are named.
    #[serde(default)]
    pub more: u32,
}

/// `framework.publish`: the plan's text, and the tasks that it takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameworkPublish {
    /// The plan, for everybody.
    pub text: String,
    /// The tasks, all added in one decision; of an agent only as the plan of a task of that kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub graph: Vec<Planned>,
    /// The task of kind `plan` whose plan it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The number of its attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The attempt's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
    /// What was used in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Where a person's tasks go; may be left out where the mesh has one repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
}

/// `framework.read`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameworkRead {
    /// The version that was read.
    pub version: u64,
}

/// `note.share`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteShare {
    /// What it is about, in a word or a few; a later note under it replaces it.
    pub key: String,
    /// What is known.
    pub value: String,
    /// How sure its author is, 0 to 100; absent: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<u8>,
    /// The paths it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<RepoPath>,
    /// The repository it is about; absent: every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<RepoId>,
    /// The task at which it was learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
}

/// `setting.set`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingSet {
    /// Which setting.
    pub key: String,
    /// Its value; null takes it back to the default.
    pub value: serde_json::Value,
}

/// `mesh.pause`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Running tools are stopped too, not only new starts.
    #[serde(default)]
    pub now: bool,
    /// Why, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `mesh.resume`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Why, for the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `redact`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redact {
    /// The text whose bytes are forgotten.
    pub digest: Digest,
}
