//! `devmesh run`: add a task, follow it, exit by its outcome.

use devmesh_protocol::{TaskId, Verb};
use serde_json::Value;

use super::task::add::{Spec, build};
use super::task::follow::{self, Ending, exit_of};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::exit::Exit;

/// Add a task and follow it: exits 0 landed, 6 failed, 7 waits for a person
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is to be done
    text: String,
    #[command(flatten)]
    spec: Spec,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<Exit> {
        let link = context.connect().await?;
        let body = build(context, &link, self.spec, &self.text).await?;
        let (_, result) = link.done(Verb::TaskAdd(body)).await?;
        let id = result.get("task").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let id: TaskId = id.ok_or_else(|| Error::failed("read the answer to task.add"))?;
        let out = context.out;
        out.say(format!("{id} is queued; Ctrl-C leaves it to itself"));
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
        let exit = exit_of(tasks.values());
        for task in tasks.into_values() {
            if out.json {
                out.json(&task);
                continue;
            }
            out.line(format!("{id} {} {}", task.state, task.commit.as_deref().unwrap_or("-")));
            follow::say_waiting(out, std::iter::once(&task));
        }
        Ok(exit)
    }
}
