//! `devmesh task`: everything about tasks.

use clap::Subcommand;
use devmesh_protocol::TaskId;
use devmesh_protocol::view::TaskView;
use serde_json::json;

use crate::context::{Context, Link};
use crate::error::Result;
use crate::exit::Exit;

pub(super) mod add;
mod answer;
mod diff;
mod edit;
pub(super) mod follow;
mod list;
mod logs;
mod review;
mod say;
mod show;
mod steer;
mod wait;

use steer::Steer;

/// Add, look at and steer tasks
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Box<add::Args>),
    List(list::Args),
    Show(show::Args),
    Diff(diff::Args),
    Logs(logs::Args),
    Wait(wait::Args),
    Say(say::Args),
    Answer(answer::Args),
    Approve(review::Approve),
    Reject(review::Reject),
    Edit(edit::Args),
    /// Hold a task
    Pause(steer::Args),
    /// Let a held or blocked task go on
    Resume(steer::Args),
    /// Put an ended task back into the queue
    Retry(steer::Args),
    /// End a task for good
    Cancel(steer::Args),
    /// Take back what a task has landed, by a task of its own
    Revert(steer::Args),
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<Exit> {
        let done = |result: Result<()>| result.map(|()| Exit::Ok);
        match self.command {
            Command::Add(args) => done(args.run(context).await),
            Command::List(args) => done(args.run(context).await),
            Command::Show(args) => done(args.run(context).await),
            Command::Diff(args) => done(args.run(context).await),
            Command::Logs(args) => done(args.run(context).await),
            Command::Wait(args) => args.run(context).await,
            Command::Say(args) => done(args.run(context).await),
            Command::Answer(args) => done(args.run(context).await),
            Command::Approve(args) => done(args.run(context).await),
            Command::Reject(args) => done(args.run(context).await),
            Command::Edit(args) => done(args.run(context).await),
            Command::Pause(args) => done(args.run(context, Steer::Pause).await),
            Command::Resume(args) => done(args.run(context, Steer::Resume).await),
            Command::Retry(args) => done(args.run(context, Steer::Retry).await),
            Command::Cancel(args) => done(args.run(context, Steer::Cancel).await),
            Command::Revert(args) => done(args.run(context, Steer::Revert).await),
        }
    }
}

/// Reads the id of a task, `t-17` or `17`.
pub(crate) fn task_id(text: &str) -> std::result::Result<TaskId, String> {
    let whole = if text.starts_with("t-") { text.to_owned() } else { format!("t-{text}") };
    whole.parse().map_err(|_| "the id of a task is t- and a number, as in t-17".to_owned())
}

/// One task in full.
pub(crate) async fn one(link: &Link, task: TaskId) -> Result<TaskView> {
    link.get("task", json!({ "task": task })).await
}
