//! `goose run --output-format stream-json`. What the model says comes in pieces of one message;
//! `complete` ends a run, `error` before it makes it a failure.

use serde_json::Value;

use super::{Done, Fact, status_in, text};

/// More of one message is not kept.
const SAID_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The message that the pieces in `said` belong to.
    id: String,
    said: String,
    last: String,
    failed: Option<Done>,
    completed: bool,
}

impl Reader {
    pub(super) fn read(&mut self, line: &Value) -> Vec<Fact> {
        match text(line, "/type") {
            Some("message") if text(line, "/message/role") == Some("assistant") => self.said(line),
            Some("error") => {
                let message = text(line, "/error").unwrap_or("the run failed");
                self.failed = Some(Done::failure(message, status_in(message)));
                Vec::new()
            }
            Some("complete") => {
                self.completed = true;
                let message = self.message();
                let done = self.failed.clone();
                let done = done.unwrap_or_else(|| Done::success(self.last.clone()));
                message.into_iter().chain([Fact::Done(done)]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A failed run need not be completed.
    pub(super) fn end(&mut self) -> Vec<Fact> {
        if self.completed {
            return Vec::new();
        }
        self.failed.take().map(Fact::Done).into_iter().collect()
    }

    fn said(&mut self, line: &Value) -> Vec<Fact> {
        let id = text(line, "/message/id").unwrap_or_default();
        let mut facts = Vec::new();
        if id != self.id {
            facts.extend(self.message());
            id.clone_into(&mut self.id);
        }
        let parts = line.pointer("/message/content").and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            match text(part, "/type") {
                Some("text") if self.said.len() < SAID_BYTES_MAX => {
                    self.said.push_str(text(part, "/text").unwrap_or_default());
                }
                Some("toolRequest") => {
                    facts.extend(self.message());
                    facts.extend(call(part));
                }
                _ => {}
            }
        }
        facts
    }

    fn message(&mut self) -> Option<Fact> {
        let said = std::mem::take(&mut self.said);
        let said = said.trim();
        if said.is_empty() {
            return None;
        }
        self.last = said.to_owned();
        Some(Fact::Message(said.to_owned()))
    }
}

/// Tools are named with their extension before them.
fn call(part: &Value) -> Option<Fact> {
    let value = part.pointer("/toolCall/value")?;
    let name = text(value, "/name")?.rsplit("__").next()?;
    match name {
        "shell" => {
            let command = text(value, "/arguments/command")?.to_owned();
            Some(Fact::Command { command, exit: None })
        }
        "write" | "edit" => text(value, "/arguments/path").map(|path| Fact::Edit(path.into())),
        "text_editor" if text(value, "/arguments/command") != Some("view") => {
            text(value, "/arguments/path").map(|path| Fact::Edit(path.into()))
        }
        _ => None,
    }
}
