//! `devmesh task show`: one task in full.

use devmesh_protocol::TaskId;
use devmesh_protocol::command::task::Receipt;
use devmesh_protocol::view::TaskView;
use serde_json::json;

use crate::cli::words;
use crate::context::Context;
use crate::error::Result;
use crate::output::{clean, clean_lines};

/// Show one task in full: its text, tries, proof and what was said
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = super::task_id)]
    task: TaskId,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let body = json!({ "task": self.task });
        context.ask("task", body, |task: TaskView| show(context, &task)).await
    }
}

fn show(context: &Context, task: &TaskView) {
    let out = context.out;
    out.line(out.strong(&format!("{}  {}", task.task, clean(&task.title))));
    let mut state = task.state.clone();
    if let Some(blocked) = &task.blocked {
        state = format!("{state}: {}", words(&json!(blocked)));
    }
    let field = |name: &str, value: String| {
        if !value.is_empty() {
            out.line(format!("{name:<10} {}", clean(&value)));
        }
    };
    field("state", state);
    field("repo", format!("{}, from {} to {}", task.repo, task.base, task.target));
    field("paths", join(&task.paths));
    field("after", join(&task.depends_on));
    field("needs", task.needs.join(", "));
    field("tool", task.tool.clone().unwrap_or_default());
    field("verify", task.verify.join("; "));
    field("added", format!("{} by {}", task.added_at, task.by));
    field("tries", format!("{} of {}", task.tries, task.max_attempts));
    field("landed", task.commit.clone().unwrap_or_default());
    for past in &task.attempts {
        field(&format!("try {}", past.attempt), format!("{}: {}", past.actor, past.why));
    }
    if let Some(attempt) = &task.attempt {
        field(
            &format!("try {}", attempt.attempt),
            format!("{} on {}", attempt.actor, attempt.host),
        );
        field("says", attempt.message.clone().unwrap_or_default());
        if let Some(receipt) = &attempt.receipt {
            field("proof", proof(receipt));
        }
    }
    if let Some(question) = &task.question {
        let text = question.text.as_deref().unwrap_or("(forgotten)");
        out.line(format!("{} asks: {}", question.question, clean_lines(text)));
        field("options", question.options.join(", "));
    }
    if let Some(prompt) = &task.prompt {
        out.line("");
        out.line(clean_lines(prompt));
    }
    for said in &task.said {
        let text = said.text.as_deref().unwrap_or("(forgotten)");
        out.line("");
        out.line(format!("{} {} ({}): {}", said.at, said.by, said.kind, clean_lines(text)));
    }
}

fn proof(receipt: &Receipt) -> String {
    let steps: Vec<&str> = receipt.steps.iter().map(|step| step.command.as_str()).collect();
    let verdict = words(&json!(receipt.verdict));
    format!("{verdict} on {}: {}", receipt.host, steps.join("; "))
}

fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
