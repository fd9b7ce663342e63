//! `devmesh task edit`: changes a task that is not running.

use devmesh_protocol::command::task::Edit;
use devmesh_protocol::{TaskId, Verb};

use crate::context::Context;
use crate::error::Result;

/// Change a task that is not running; what is given replaces what was
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true)
    .args(["title", "prompt", "paths", "priority", "after"]))]
pub(crate) struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = super::task_id)]
    task: TaskId,
    /// One line that names it
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// What is to be done, in full
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// The paths it will touch
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    paths: Option<Vec<String>>,
    /// 0 urgent … 4 idle
    #[arg(long, value_name = "0-4", value_parser = clap::value_parser!(u8).range(0..=4))]
    priority: Option<u8>,
    /// Tasks that must be completed before
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    #[arg(value_parser = super::task_id)]
    after: Option<Vec<TaskId>>,
    /// Why, for the log
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let task = self.task;
        let paths = match &self.paths {
            Some(paths) => Some(super::super::paths::resolve(context, paths)?),
            None => None,
        };
        let body = Edit {
            task,
            title: self.title,
            prompt: self.prompt,
            paths,
            priority: self.priority,
            depends_on: self.after,
            reason: self.reason,
        };
        context
            .act(Verb::TaskEdit(body), |_, _| context.out.say(format!("{task} is changed")))
            .await
    }
}
