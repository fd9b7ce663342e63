//! `devmesh task approve` and `reject`: a reviewer's verdict.

use devmesh_protocol::command::task::{Judgement, Review, Reviewed};
use devmesh_protocol::view::TaskView;
use devmesh_protocol::{TaskId, Verb};

use crate::cli::plan::made;
use crate::context::Context;
use crate::error::Result;

/// Let a reviewed task land, or a plan be worked to
#[derive(Debug, clap::Args)]
pub(crate) struct Approve {
    /// The task
    #[arg(value_name = "TASK", value_parser = super::task_id)]
    task: TaskId,
    /// What the worker is to know
    #[arg(long, short = 'm', value_name = "TEXT")]
    comments: Option<String>,
}

/// Send a reviewed task back to its worker with comments
#[derive(Debug, clap::Args)]
pub(crate) struct Reject {
    /// The task
    #[arg(value_name = "TASK", value_parser = super::task_id)]
    task: TaskId,
    /// What is to be changed
    #[arg(long, short = 'm', value_name = "TEXT")]
    comments: String,
}

impl Approve {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        judge(context, self.task, Judgement::Approve, self.comments, "may land").await
    }
}

impl Reject {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        judge(context, self.task, Judgement::Reject, Some(self.comments), "goes back").await
    }
}

async fn judge(
    context: &Context,
    task: TaskId,
    verdict: Judgement,
    comments: Option<String>,
    said: &str,
) -> Result<()> {
    let body = Review { task, what: Reviewed::Diff, verdict, comments, tree: None };
    context
        .act(Verb::TaskReview(body), |result, _| {
            let view: Option<TaskView> = serde_json::from_value(result.clone()).ok();
            match view.as_ref().map(made).unwrap_or_default() {
                [] => context.out.say(format!("{task} {said}")),
                tasks => {
                    let tasks: Vec<String> = tasks.iter().map(TaskId::to_string).collect();
                    context.out.say(format!("{task} is planned: {}", tasks.join(", ")));
                }
            }
        })
        .await
}
