//! Plans of goals, and what waits for them.

use devmesh_protocol::command::task::Kind;
use devmesh_protocol::event::mesh::TextRef;
use devmesh_protocol::event::plan::PlannedTask;
use devmesh_protocol::event::task::TaskAdded;
use devmesh_protocol::{ActorId, TaskId};
use serde::Serialize;

use super::State;

/// What a task that plans has come to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The attempt that made it.
    pub attempt: u32,
    /// That attempt's token.
    pub token: u64,
    /// Who made it.
    pub actor: ActorId,
    /// What it says to everybody, until that is the framework.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextRef>,
    /// Its tasks, until they are added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proposed: Vec<PlannedTask>,
    /// Capabilities that it needs and that no agent had when it was made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// The version of the framework that it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framework: Option<u64>,
    /// The tasks that it became.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskId>,
}

impl State {
    /// The tasks that one waits for: those it comes after, and the plan that it is part of. Work
    /// on a goal waits until its framework is published (R02).
    pub fn before<'s>(&'s self, spec: &'s TaskAdded) -> impl Iterator<Item = TaskId> + 's {
        let plans =
            |id: &TaskId| self.tasks.get(id).is_some_and(|task| task.spec.kind == Kind::Plan);
        spec.depends_on.iter().copied().chain(spec.parent.filter(plans))
    }
}
