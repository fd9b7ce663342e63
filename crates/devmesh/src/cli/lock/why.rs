//! `devmesh lock why`: who holds it, since when, why one waits, when it comes.

use devmesh_protocol::{ActorId, RepoId, TaskId};
use serde_json::{Value, json};

use super::repo_of;
use crate::cli::paths::resolve;
use crate::context::Context;
use crate::error::Result;

mod lines;

pub(super) use lines::{by_hand, held};

/// Say who holds a path and since when, why a request waits, and when it is its turn
///
/// Without a path: every request that waits.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who holds what overlaps this path, and who waits for it
    #[arg(value_name = "PATH")]
    path: Option<String>,
    /// Only requests of this actor
    #[arg(long, value_name = "NAME")]
    actor: Option<ActorId>,
    /// Only requests for this task
    #[arg(long, value_name = "TASK", value_parser = crate::cli::task::task_id)]
    task: Option<TaskId>,
    /// The repository of the path; the one you stand in, where nothing is said
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoId>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let link = context.connect().await?;
        let mut body = json!({});
        if let Some(path) = resolve(context, self.path.as_slice())?.into_iter().next() {
            body["path"] = json!(path);
            body["repo"] = json!(repo_of(context, &link, self.repo).await?);
        }
        if let Some(actor) = self.actor {
            body["actor"] = json!(actor);
        }
        if let Some(task) = self.task {
            body["task"] = json!(task);
        }
        let reply = link.ask("lock.why", body).await?;
        context.out.answer(reply, |result, _| show(context, result))
    }
}

fn show(context: &Context, answer: &Value) {
    let all = lines::of(answer);
    if all.is_empty() {
        context.out.say("nobody holds it, and nobody waits");
    }
    for line in all {
        context.out.line(line);
    }
}

#[cfg(test)]
mod tests;
