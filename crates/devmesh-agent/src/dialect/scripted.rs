//! The scripted CLI that stands in for a real one in tests and demos.

use serde_json::Value;

use super::{Done, Fact, Scope, Usage, exit_code, micros, number, text};

pub(super) fn read(line: &Value) -> Vec<Fact> {
    let message = || text(line, "/text").or(text(line, "/message")).unwrap_or_default().to_owned();
    match text(line, "/type") {
        Some("started") => {
            text(line, "/session").map(|id| Fact::Session(id.into())).into_iter().collect()
        }
        Some("message") => vec![Fact::Message(message())],
        Some("command") => {
            let command = text(line, "/command").unwrap_or_default().to_owned();
            vec![Fact::Command { command, exit: exit_code(line, "/exit_code") }]
        }
        Some("usage") => vec![Fact::Usage(Usage {
            input_tokens: number(line, "/input_tokens"),
            output_tokens: number(line, "/output_tokens"),
            cost_micros: micros(line, "/cost_usd"),
            tokens_scope: Scope::Step,
            cost_scope: Scope::Step,
        })],
        Some("done") => vec![Fact::Done(Done::success(message()))],
        Some("failed") => {
            let limited = text(line, "/code") == Some("rate_limit");
            let retry_ms = number(line, "/retry_after_s").map(|seconds| seconds * 1_000);
            let done = Done::failure(message(), limited.then_some(429));
            vec![Fact::Done(Done { retry_ms, ..done })]
        }
        _ => Vec::new(),
    }
}
