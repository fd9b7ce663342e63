//! `devmesh task pause`: holds it.

use devmesh_protocol::command::task::Reasoned;
use devmesh_protocol::{TaskId, Verb};

use crate::context::Context;
use crate::error::Result;

/// Hold a task
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = super::task_id)]
    task: TaskId,
    /// Why, for the log
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let task = self.task;
        let body = Reasoned { task, reason: self.reason };
        context
            .act(Verb::TaskPause(body), |_, _| {
                context
                    .out
                    .say(format!("{task} is held; `devmesh task resume {task}` lets it go on"))
            })
            .await
    }
}
