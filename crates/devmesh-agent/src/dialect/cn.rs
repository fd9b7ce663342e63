//! `cn -p --format json`: one JSON value at the end, on one line or on several. An answer that is
//! JSON itself comes as it is, any other in an object with its status. Errors go to stderr.

use serde_json::Value;

use super::{Done, Fact, Scope, Usage, micros, number, status_in, text};

/// A longer value is not read.
const VALUE_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct Reader {
    held: String,
}

impl Reader {
    pub(super) fn read(&mut self, line: &str) -> Vec<Fact> {
        let begins = line.trim_start().starts_with(['{', '[']);
        if self.held.is_empty() && !begins {
            return Vec::new();
        }
        if self.held.len() + line.len() > VALUE_BYTES_MAX {
            self.held.clear();
            return Vec::new();
        }
        self.held.push_str(line);
        self.held.push('\n');
        if !line.trim_end().ends_with(['}', ']']) {
            return Vec::new();
        }
        let Ok(value) = serde_json::from_str::<Value>(&self.held) else { return Vec::new() };
        let whole = std::mem::take(&mut self.held);
        facts(&value, whole.trim())
    }
}

fn facts(value: &Value, whole: &str) -> Vec<Fact> {
    match text(value, "/status") {
        Some("success") if value.get("response").is_some() => {
            let said = text(value, "/response").unwrap_or(whole).to_owned();
            vec![Fact::Message(said.clone()), Fact::Done(Done::success(said))]
        }
        Some("error") if value.get("message").is_some() => {
            let message = text(value, "/message").unwrap_or("the run failed");
            vec![Fact::Done(Done::failure(message, status_in(message)))]
        }
        _ => vec![Fact::Message(whole.into()), Fact::Done(Done::success(whole))],
    }
}

/// The session's file: all of the session; the price of an unknown model is nothing in it.
pub(super) fn usage(file: &Value) -> Option<Usage> {
    let usage = file.get("usage")?;
    Some(Usage {
        input_tokens: number(usage, "/promptTokens"),
        output_tokens: number(usage, "/completionTokens"),
        cost_micros: micros(usage, "/totalCost").filter(|cost| *cost > 0),
        tokens_scope: Scope::Session,
        cost_scope: Scope::Session,
    })
}
