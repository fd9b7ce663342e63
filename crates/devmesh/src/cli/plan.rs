//! `devmesh plan`: a goal becomes a framework and tasks.

use std::path::PathBuf;

use devmesh_protocol::view::TaskView;
use devmesh_protocol::{RepoId, TaskId, Verb};
use serde_json::Value;

use super::task::add::{goal, text_of};
use super::task::follow::{self, Ending, exit_of};
use crate::context::Context;
use crate::error::{Error, Result};
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
        let out = context.out;
        if !self.wait {
            let reply = link.submit(Verb::TaskAdd(body)).await?;
            out.answer(reply, |result, _| {
                out.line(result.get("task").and_then(Value::as_str).unwrap_or_default());
            })?;
            return Ok(Exit::Ok);
        }
        let (_, result) = link.done(Verb::TaskAdd(body)).await?;
        let id = result.get("task").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let id: TaskId = id.ok_or_else(|| Error::failed("read the answer to task.add"))?;
        out.say(format!("{id} is to be planned; Ctrl-C leaves it to itself"));
        let following = follow::told(&link, vec![id], Ending::EndedOrPerson, |task| {
            let worker = task.attempt.as_ref().map(|attempt| attempt.actor.to_string());
            let by = worker.map(|worker| format!(" by {worker}")).unwrap_or_default();
            out.say(format!("{id} {}{by}", task.state));
        });
        let tasks = tokio::select! {
            tasks = following => tasks?,
            _ = tokio::signal::ctrl_c() => {
                out.say(format!("{id} goes on; `devmesh task wait {id}` follows it again"));
                return Err(Error::silent(Exit::Unknown));
            }
        };
        for task in tasks.values() {
            if out.json {
                out.json(task);
                continue;
            }
            made(task).iter().for_each(|task| out.line(task.to_string()));
            follow::say_waiting(out, std::iter::once(task));
        }
        Ok(exit_of(tasks.values()))
    }
}

/// The tasks that a plan has become.
pub(crate) fn made(task: &TaskView) -> &[TaskId] {
    task.plan.as_ref().map_or(&[], |plan| &plan.tasks)
}
