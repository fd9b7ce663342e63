//! `devmesh plan`: a goal becomes a framework and tasks.

use std::path::PathBuf;

use devmesh_protocol::view::TaskView;
use devmesh_protocol::{RepoId, TaskId};

use super::task::add::{goal, queue, text_of};
use super::task::follow::{self, exit_of};
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;

/// Have the architect plan a goal: a framework for everybody, and the tasks it takes; prints the
/// id of the planning
///
/// The first agent of the mesh is its architect. Its tool looks at the repository, changes
/// nothing, and answers with a plan; the tasks are queued all at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The goal; `-`, or nothing where stdin is no terminal, reads it from there
    #[arg(conflicts_with = "file")]
    text: Option<String>,
    /// Read the goal from a file
    #[arg(long, short = 'F', value_name = "FILE")]
    file: Option<PathBuf>,
    /// Look at the plan before its tasks are queued
    #[arg(long)]
    approve: bool,
    /// Wait for the plan: exits 0 planned, 6 failed, 7 waits for you
    #[arg(long)]
    wait: bool,
    /// The repository; the one you stand in, where nothing is said
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoId>,
    /// The branch its tasks start from
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<Exit> {
        let text = text_of(self.text.as_deref(), self.file.as_deref(), "the goal")?;
        let link = context.connect().await?;
        let body = goal(context, &link, (self.repo, self.base), &text, self.approve).await?;
        if !self.wait {
            queue(context, &link, body).await?;
            return Ok(Exit::Ok);
        }
        let out = context.out;
        let task = follow::added(out, &link, body, "is to be planned").await?;
        if out.json {
            out.json(&task);
        } else {
            made(&task).iter().for_each(|task| out.line(task.to_string()));
            follow::say_waiting(out, std::iter::once(&task));
        }
        Ok(exit_of(std::iter::once(&task)))
    }
}

/// The tasks that a plan has become.
pub(crate) fn made(task: &TaskView) -> &[TaskId] {
    task.plan.as_ref().map_or(&[], |plan| &plan.tasks)
}
