//! `devmesh task wait`: until tasks have ended.

use std::time::Duration;

use devmesh_protocol::TaskId;

use super::follow::{self, Ending};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::output::clean;

/// Wait until tasks have ended: exits 0 when all landed, 6 when one failed, 7 when one cannot begin
///
/// A task that comes after one that failed or was cancelled cannot begin by itself: a person
/// retries that one or cancels this one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tasks
    #[arg(value_name = "TASK", required = true, value_parser = super::task_id)]
    tasks: Vec<TaskId>,
    /// Give up after so many seconds, with exit 5
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// End also when one waits for a person, with exit 7
    #[arg(long)]
    or_person: bool,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<Exit> {
        let link = context.connect().await?;
        let ending = if self.or_person { Ending::EndedOrPerson } else { Ending::Ended };
        let out = context.out;
        let waiting = follow::told(&link, self.tasks.clone(), ending, |task| {
            if !out.json {
                out.say(format!("{}  {}  {}", task.task, task.state, clean(&task.title)));
            }
        });
        let within = self.timeout.map_or(Duration::MAX, Duration::from_secs);
        let tasks = tokio::time::timeout(within, waiting).await.map_err(|_| {
            out.say(format!("not ended within {} s", within.as_secs()));
            Error::silent(Exit::Unknown)
        })??;
        if out.json {
            for task in tasks.values() {
                out.json(task);
            }
        } else {
            for task in tasks.values() {
                let commit = task.commit.as_deref().unwrap_or("-");
                out.line(format!("{} {} {commit}", task.task, task.state));
            }
            follow::say_waiting(out, tasks.values());
        }
        Ok(follow::exit_of(tasks.values()))
    }
}
