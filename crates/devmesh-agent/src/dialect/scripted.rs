//! The scripted CLI that stands in for a real one in tests and demos.

use serde_json::Value;

use super::{Done, Fact, Scope, Usage, exit_code, micros, number, text};

pub(super) fn read(line: &Value) -> Vec<Fact> {
    let message = || text(line, "/message").or(text(line, "/text")).unwrap_or_default().to_owned();
    match text(line, "/type") {
        Some("started") => {
            text(line, "/session").map(|id| Fact::Session(id.into())).into_iter().collect()
        }
        Some("message") => vec![Fact::Message(message())],
        Some("edit") => {
            text(line, "/path").map(|path| Fact::Edit(path.into())).into_iter().collect()
        }
        Some("command") => {
            let command = text(line, "/command").unwrap_or_default().to_owned();
            let exit = exit_code(line, "/exit").or(exit_code(line, "/exit_code"));
            vec![Fact::Command { command, exit }]
        }
        Some("usage") => vec![Fact::Usage(Usage {
            input_tokens: number(line, "/input_tokens"),
            output_tokens: number(line, "/output_tokens"),
            cost_micros: micros(line, "/cost_usd"),
            tokens_scope: Scope::Step,
            cost_scope: Scope::Step,
        })],
        Some("throttled") => vec![Fact::Throttled { retry_ms: number(line, "/retry_ms") }],
        Some("done") => {
            vec![Fact::Done(Done { success: true, message: message(), status: None })]
        }
        Some("failed" | "error") => {
            let status = number(line, "/status").and_then(|status| u16::try_from(status).ok());
            vec![Fact::Done(Done { success: false, message: message(), status })]
        }
        _ => Vec::new(),
    }
}
