//! `devmesh task pause|resume|retry|cancel|revert`: one task, one verb, and why.

use devmesh_protocol::command::task::Reasoned;
use devmesh_protocol::{TaskId, Verb};
use serde_json::Value;

use crate::context::Context;
use crate::error::Result;

/// What all of them take.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = super::task_id)]
    task: TaskId,
    /// Why, for the log
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
}

/// What is done to the task.
#[derive(Clone, Copy, Debug)]
pub(super) enum Steer {
    Pause,
    Resume,
    Retry,
    Cancel,
    Revert,
}

impl Args {
    pub(super) async fn run(self, context: &Context, steer: Steer) -> Result<()> {
        let task = self.task;
        let body = Reasoned { task, reason: self.reason };
        let verb = match steer {
            Steer::Pause => Verb::TaskPause(body),
            Steer::Resume => Verb::TaskResume(body),
            Steer::Retry => Verb::TaskRetry(body),
            Steer::Cancel => Verb::TaskCancel(body),
            Steer::Revert => Verb::TaskRevert(body),
        };
        context.act(verb, |result, _| context.out.say(steer.done(task, result))).await
    }
}

impl Steer {
    /// What has become of the task.
    fn done(self, task: TaskId, result: &Value) -> String {
        match self {
            Steer::Pause => {
                format!("{task} is held; `devmesh task resume {task}` lets it go on")
            }
            Steer::Resume => format!("{task} goes on"),
            Steer::Retry => format!("{task} is queued again"),
            Steer::Cancel => format!("{task} is cancelled"),
            Steer::Revert => match result.get("task").and_then(Value::as_str) {
                Some(inverse) if inverse != task.to_string() => {
                    format!("{inverse} takes back what {task} has landed")
                }
                _ => format!("what {task} has landed is taken back"),
            },
        }
    }
}
