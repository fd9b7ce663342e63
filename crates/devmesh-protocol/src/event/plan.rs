//! Events of planning: a goal becomes a framework and tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mesh::TextRef;
use crate::command::task::{ReviewBy, Usage};
use crate::id::TaskId;
use crate::path::RepoPath;

/// A task of a plan, as it is on record: its text by digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedTask {
    /// By what the other tasks of the plan name it.
    pub key: String,
    /// One line that names it.
    pub title: String,
    /// What is to be done, where the title does not say it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<TextRef>,
    /// The paths it will touch, as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<RepoPath>,
    /// Keys of the tasks that must be completed before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Capabilities that the agent must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// 0 urgent … 4 idle.
    pub priority: u8,
    /// Who looks at the diff before it lands.
    pub review: ReviewBy,
    /// Its paths may be written by others at the same time.
    #[serde(default)]
    pub share: bool,
}

/// A plan is made and waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanProposed {
    /// The task whose plan it is.
    pub task: TaskId,
    /// By which attempt.
    pub attempt: u32,
    /// What will be the framework.
    pub text: TextRef,
    /// What will be tasks.
    pub tasks: Vec<PlannedTask>,
    /// Capabilities that it needs and that no agent had then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// A goal is planned: the framework stands, its tasks were added in this very record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskPlanned {
    /// The task whose plan it is.
    pub task: TaskId,
    /// By which attempt.
    pub attempt: u32,
    /// The version of the framework that holds its text.
    pub framework: u64,
    /// The tasks.
    pub tasks: Vec<TaskId>,
    /// Capabilities that they need and that no agent had then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// What was used in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}
