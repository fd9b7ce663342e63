//! `codex exec --json`. Only `turn.failed` is final; `error` lines are notices of its retries.

use serde_json::Value;

use super::{Done, Fact, Scope, Usage, exit_code, number, text};

pub(super) fn read(line: &Value, last_message: &str) -> Vec<Fact> {
    match text(line, "/type") {
        Some("thread.started") => {
            text(line, "/thread_id").map(|id| Fact::Session(id.into())).into_iter().collect()
        }
        Some("item.completed") => item(line),
        Some("turn.completed") => {
            vec![Fact::Usage(usage(line)), Fact::Done(Done::success(last_message))]
        }
        Some("turn.failed") => {
            let message = text(line, "/error/message").unwrap_or("the turn failed");
            vec![Fact::Done(Done::failure(message, status(message)))]
        }
        Some("error") if text(line, "/message").and_then(status) == Some(429) => {
            vec![Fact::Throttled { retry_ms: None }]
        }
        _ => Vec::new(),
    }
}

fn item(line: &Value) -> Vec<Fact> {
    match text(line, "/item/type") {
        Some("agent_message") => {
            text(line, "/item/text").map(|said| Fact::Message(said.into())).into_iter().collect()
        }
        Some("file_change") if text(line, "/item/status") != Some("failed") => {
            let changes = line.pointer("/item/changes").and_then(Value::as_array);
            let paths = changes.into_iter().flatten().filter_map(|change| text(change, "/path"));
            paths.map(|path| Fact::Edit(path.into())).collect()
        }
        Some("command_execution") => {
            let command = text(line, "/item/command").unwrap_or_default().to_owned();
            vec![Fact::Command { command, exit: exit_code(line, "/item/exit_code") }]
        }
        _ => Vec::new(),
    }
}

/// Cumulative over resumes of the session; input includes cached tokens. No price is told.
fn usage(line: &Value) -> Usage {
    Usage {
        input_tokens: number(line, "/usage/input_tokens"),
        output_tokens: number(line, "/usage/output_tokens"),
        cost_micros: None,
        tokens_scope: Scope::Session,
        cost_scope: Scope::Step,
    }
}

/// The HTTP status that a message names in words.
fn status(message: &str) -> Option<u16> {
    let known = [
        ("429", 429),
        ("Too Many Requests", 429),
        ("Quota exceeded", 429),
        ("usage limit", 429),
        ("401 Unauthorized", 401),
        ("currently experiencing high demand", 500),
    ];
    known.iter().find(|(words, _)| message.contains(words)).map(|(_, status)| *status)
}
