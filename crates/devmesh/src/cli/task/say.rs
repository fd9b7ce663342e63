//! `devmesh task say`: a word to the task's worker.

use devmesh_protocol::command::task::Say;
use devmesh_protocol::{TaskId, Verb};

use crate::context::Context;
use crate::error::Result;

/// Say something to the task's worker; it reads it at its next turn
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = super::task_id)]
    task: TaskId,
    /// What to say
    text: String,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let task = self.task;
        let body = Say { task, text: self.text };
        context.act(Verb::TaskSay(body), |_, _| context.out.say(format!("{task} is told"))).await
    }
}
