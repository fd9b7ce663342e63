//! `devmesh task show`: one task in full.

use devmesh_bus::client::Outcome;
use devmesh_protocol::TaskId;
use devmesh_protocol::view::LeaseView;
use serde_json::{Value, json};

use crate::context::{Context, Link};
use crate::error::{Error, Result};
use crate::output::clean_lines;

mod lines;
#[cfg(test)]
mod tests;

/// Lines of a proof's output that are shown.
const TAIL_LINES: usize = 12;
/// Outputs that are fetched.
const TAILS_MAX: usize = 4;

/// Show one task in full: its text, tries and why they ended, proof, leases, cost, what was said
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = super::task_id)]
    task: TaskId,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let link = context.connect().await?;
        let reply = link.ask("task", json!({ "task": self.task })).await?;
        if context.out.json {
            return context.out.answer(reply, |_, _| {});
        }
        let (_, task) = reply.into_result().map_err(Error::rejected)?;
        let mut all = lines::of(&task);
        all.extend(lines::leases(&leases(&link, self.task).await?));
        for (step, output) in tails(&link, &task).await? {
            all.push(String::new());
            all.push(format!("{step} printed last:"));
            let lines: Vec<&str> = output.lines().collect();
            let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
            all.extend(last.iter().map(|line| format!("  {}", clean_lines(line))));
        }
        all.extend(lines::texts(&task));
        for (number, line) in all.iter().enumerate() {
            context.out.line(if number == 0 { context.out.strong(line) } else { line.clone() });
        }
        Ok(())
    }
}

/// The leases that are held for the task.
async fn leases(link: &Link, task: TaskId) -> Result<Vec<LeaseView>> {
    let mut all: Vec<LeaseView> = link.list("locks", json!({})).await?;
    all.retain(|lease| lease.task == Some(task));
    Ok(all)
}

/// What the steps that failed printed, as far as it is kept.
async fn tails(link: &Link, task: &Value) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for (command, digest) in lines::failed_steps(task).into_iter().take(TAILS_MAX) {
        let asked = link.client.query("text", json!({ "digest": digest }), link.within()).await?;
        let Outcome::Reply(reply) = asked else { continue };
        let Ok((_, found)) = reply.into_result() else { continue };
        if let Some(text) = found.get("text").and_then(Value::as_str) {
            all.push((command, text.to_owned()));
        }
    }
    Ok(all)
}
