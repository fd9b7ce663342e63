//! `opencode run --format json`. There is no line that ends a run: a step that finished for
//! another reason than a tool call is its last, and `error` ends it otherwise.

use serde_json::Value;

use super::{Done, Fact, Scope, Usage, exit_code, micros, number, status_in, text};

/// Tools of the CLI whose input names a file that they write.
const EDITING: [&str; 4] = ["write", "edit", "multiedit", "patch"];

#[derive(Debug, Default)]
pub(super) struct Reader {
    session: String,
    last: String,
}

impl Reader {
    pub(super) fn read(&mut self, line: &Value) -> Vec<Fact> {
        let session = text(line, "/sessionID").filter(|id| *id != self.session);
        let session = session.map(str::to_owned).inspect(|id| self.session.clone_from(id));
        let mut facts: Vec<Fact> = session.map(Fact::Session).into_iter().collect();
        match text(line, "/type") {
            Some("text") => {
                if let Some(said) = text(line, "/part/text") {
                    said.clone_into(&mut self.last);
                    facts.push(Fact::Message(said.into()));
                }
            }
            Some("tool_use") => facts.extend(call(line)),
            Some("step_finish") => {
                facts.push(Fact::Usage(usage(line)));
                facts.extend(self.done(line).map(Fact::Done));
            }
            Some("error") => facts.push(Fact::Done(failure(line))),
            _ => {}
        }
        facts
    }

    fn done(&self, line: &Value) -> Option<Done> {
        match text(line, "/part/reason")? {
            "tool-calls" => None,
            reason @ ("length" | "content-filter" | "error") => {
                Some(Done::failure(format!("the model's answer ended by {reason}"), None))
            }
            _ => Some(Done::success(self.last.clone())),
        }
    }
}

/// Told when the call is over.
fn call(line: &Value) -> Option<Fact> {
    let state = line.pointer("/part/state")?;
    match text(line, "/part/tool")? {
        name if EDITING.contains(&name) && text(state, "/status") == Some("completed") => {
            text(state, "/input/filePath").map(|path| Fact::Edit(path.into()))
        }
        "bash" => {
            let command = text(state, "/input/command")?.to_owned();
            Some(Fact::Command { command, exit: exit_code(state, "/metadata/exit") })
        }
        _ => None,
    }
}

fn failure(line: &Value) -> Done {
    let name = text(line, "/error/name").unwrap_or("error");
    let message = text(line, "/error/data/message").or(text(line, "/error/message"));
    let told = number(line, "/error/data/statusCode");
    let told = told.and_then(|status| u16::try_from(status).ok());
    let said = message.unwrap_or(name);
    let status = match name {
        "ProviderAuthError" => Some(401),
        _ => told.or_else(|| status_in(said)),
    };
    Done::failure(format!("{name}: {said}"), status)
}

/// Of this step; cached tokens are counted apart. A model without a known price costs nothing in
/// its words, which is not to be believed.
fn usage(line: &Value) -> Usage {
    let part = |name: &str| number(line, &format!("/part/tokens/{name}"));
    let cached = part("cache/read").unwrap_or(0) + part("cache/write").unwrap_or(0);
    let input = part("input").map(|fresh| fresh.saturating_add(cached));
    let output = part("output").map(|text| text.saturating_add(part("reasoning").unwrap_or(0)));
    Usage {
        input_tokens: input,
        output_tokens: output,
        cost_micros: micros(line, "/part/cost").filter(|cost| *cost > 0),
        tokens_scope: Scope::Step,
        cost_scope: Scope::Step,
    }
}
