//! `gemini -o stream-json`. What the model says comes in pieces; they are one message until it
//! calls a tool or ends. On a killed run there is no `result`, whatever the exit code.

use serde_json::Value;

use super::{Done, Fact, Scope, Usage, number, status_in, text};

/// More of one message is not kept.
const SAID_BYTES_MAX: usize = 1 << 20;
/// Tools of the CLI whose input names a file that they write.
const EDITING: [&str; 2] = ["write_file", "replace"];

#[derive(Debug, Default)]
pub(super) struct Reader {
    said: String,
    /// The last whole message.
    last: String,
}

impl Reader {
    pub(super) fn read(&mut self, line: &Value) -> Vec<Fact> {
        match text(line, "/type") {
            Some("init") => {
                text(line, "/session_id").map(|id| Fact::Session(id.into())).into_iter().collect()
            }
            Some("message") if text(line, "/role") == Some("assistant") => {
                let piece = text(line, "/content").unwrap_or_default();
                if self.said.len() < SAID_BYTES_MAX {
                    self.said.push_str(piece);
                }
                Vec::new()
            }
            Some("tool_use") => self.message().into_iter().chain(call(line)).collect(),
            Some("error") => {
                let message = text(line, "/message").unwrap_or_default();
                let is_limit = status_in(message) == Some(429);
                is_limit.then_some(Fact::Throttled { retry_ms: None }).into_iter().collect()
            }
            Some("result") => {
                let message = self.message();
                let end = [Fact::Usage(usage(line)), Fact::Done(self.done(line))];
                message.into_iter().chain(end).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What was said since the last tool, as one.
    fn message(&mut self) -> Option<Fact> {
        let said = std::mem::take(&mut self.said);
        let said = said.trim();
        if said.is_empty() {
            return None;
        }
        self.last = said.to_owned();
        Some(Fact::Message(said.to_owned()))
    }

    fn done(&self, line: &Value) -> Done {
        if text(line, "/status") == Some("success") {
            return Done::success(self.last.clone());
        }
        let message = text(line, "/error/message").unwrap_or("the run failed");
        Done::failure(message, code_in(message).or_else(|| status_in(message)))
    }
}

fn call(line: &Value) -> Option<Fact> {
    match text(line, "/tool_name")? {
        name if EDITING.contains(&name) => {
            text(line, "/parameters/file_path").map(|path| Fact::Edit(path.into()))
        }
        "run_shell_command" => {
            let command = text(line, "/parameters/command")?.to_owned();
            Some(Fact::Command { command, exit: None })
        }
        _ => None,
    }
}

/// The provider's answer stands in the text as JSON: `[API Error: {"error":{"code":500,…}}]`.
fn code_in(message: &str) -> Option<u16> {
    let at = message.find("\"code\":")?;
    let digits = message[at + 7..].trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok().filter(|code| (400..600).contains(code))
}

/// Of this run; input includes cached tokens. No price is told. A failed run tells zeroes that it
/// did not count.
fn usage(line: &Value) -> Usage {
    let counted =
        |name| number(line, name).filter(|_| number(line, "/stats/total_tokens") != Some(0));
    Usage {
        input_tokens: counted("/stats/input_tokens"),
        output_tokens: counted("/stats/output_tokens"),
        cost_micros: None,
        tokens_scope: Scope::Step,
        cost_scope: Scope::Step,
    }
}
