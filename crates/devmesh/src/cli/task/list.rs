//! `devmesh task list`: the tasks.

use devmesh_protocol::RepoId;
use devmesh_protocol::query::Tasks;
use devmesh_protocol::view::TaskView;
use serde_json::json;

use crate::cli::words;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::Table;

/// List tasks, oldest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those in this state: queued, working, review, completed …
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only those of this repository
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoId>,
    /// At most so many, from the first; all where nothing is said
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let query =
            Tasks { limit: self.limit, state: self.state, repo: self.repo, ..Tasks::default() };
        let body = serde_json::to_value(&query)
            .map_err(|error| Error::failed("write the query").because(error))?;
        context.list("tasks", body, |tasks| show(context, tasks)).await
    }
}

fn show(context: &Context, tasks: Vec<TaskView>) {
    let mut table = Table::new(&["TASK", "STATE", "BY", "TRIES", "TITLE"]);
    for task in tasks {
        let worker = task.attempt.as_ref().map(|attempt| attempt.actor.to_string());
        let worker = worker.or_else(|| task.attempts.last().map(|past| past.actor.to_string()));
        let tries = format!("{}/{}", task.tries, task.max_attempts);
        let state = match &task.blocked {
            Some(blocked) => format!("{}: {}", task.state, words(&json!(blocked))),
            None => task.state.clone(),
        };
        let worker = worker.unwrap_or_else(|| "-".to_owned());
        table.row(&[&task.task.to_string(), &state, &worker, &tries, &task.title]);
    }
    context.out.table(&table, "no tasks");
}
