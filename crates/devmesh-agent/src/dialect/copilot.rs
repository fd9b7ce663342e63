//! `copilot --output-format json`. The session's id comes in the last line alone, tokens in no
//! line at all: they are in the file of `--usage-output-file`. A run that was ended may still
//! print a result with exit code 0; its `abort` tells.

use serde_json::Value;

use super::{Done, Fact, Scope, Usage, exit_code, number, status_in, text};

#[derive(Debug, Default)]
pub(super) struct Reader {
    last: String,
    failed: Option<Done>,
    /// The command of a shell call that is under way, by the call's id.
    commands: Vec<(String, String)>,
}

/// More shell calls than this at once are not told.
const COMMANDS_MAX: usize = 64;

impl Reader {
    pub(super) fn read(&mut self, line: &Value) -> Vec<Fact> {
        if line.pointer("/ephemeral").and_then(Value::as_bool) == Some(true) {
            return Vec::new();
        }
        match text(line, "/type") {
            Some("assistant.message") => self.said(line),
            Some("tool.execution_start") => {
                self.begun(line);
                Vec::new()
            }
            Some("tool.execution_complete") => self.called(line),
            Some("assistant.turn_retry") => {
                let reason = text(line, "/data/reason");
                let is_limit = reason.is_some_and(|it| it.contains("rate_limit") || it == "429");
                let retry_ms = number(line, "/data/delayMs");
                is_limit.then_some(Fact::Throttled { retry_ms }).into_iter().collect()
            }
            Some("session.error") => {
                let done = failure(line);
                self.failed = Some(done.clone());
                vec![Fact::Done(done)]
            }
            Some("abort") => {
                let done = Done::failure("the run was aborted", None);
                self.failed.get_or_insert(done);
                Vec::new()
            }
            Some("result") => self.result(line),
            _ => Vec::new(),
        }
    }

    fn said(&mut self, line: &Value) -> Vec<Fact> {
        let said = text(line, "/data/content").map(str::trim).filter(|said| !said.is_empty());
        let Some(said) = said else { return Vec::new() };
        said.clone_into(&mut self.last);
        vec![Fact::Message(said.into())]
    }

    fn begun(&mut self, line: &Value) {
        let id = text(line, "/data/toolCallId");
        let command = text(line, "/data/arguments/command");
        if let (Some(id), Some(command)) = (id, command)
            && self.commands.len() < COMMANDS_MAX
        {
            self.commands.push((id.to_owned(), command.to_owned()));
        }
    }

    fn called(&mut self, line: &Value) -> Vec<Fact> {
        let edits = line.pointer("/data/fileEdits").or(line.pointer("/data/result/fileEdits"));
        let edits = edits.and_then(Value::as_array).into_iter().flatten();
        let paths = edits.filter_map(|edit| text(edit, "/path"));
        let mut facts: Vec<Fact> = paths.map(|path| Fact::Edit(path.into())).collect();
        let id = text(line, "/data/toolCallId").unwrap_or_default();
        if let Some(at) = self.commands.iter().position(|(known, _)| known == id) {
            let (_, command) = self.commands.swap_remove(at);
            let exit = exit_code(line, "/data/shellExecution/exitCode");
            let exit = exit.or_else(|| exit_code(line, "/data/result/shellExecution/exitCode"));
            facts.push(Fact::Command { command, exit });
        }
        facts
    }

    fn result(&self, line: &Value) -> Vec<Fact> {
        let session = text(line, "/sessionId").map(|id| Fact::Session(id.into()));
        let done = match &self.failed {
            Some(failed) => failed.clone(),
            None if exit_code(line, "/exitCode") == Some(0) => Done::success(self.last.clone()),
            None => Done::failure("the run failed", None),
        };
        session.into_iter().chain([Fact::Done(done)]).collect()
    }
}

fn failure(line: &Value) -> Done {
    let message = text(line, "/data/message").unwrap_or("the session failed");
    let told = number(line, "/data/statusCode").and_then(|status| u16::try_from(status).ok());
    let status = told.or_else(|| match text(line, "/data/errorType") {
        Some("rate_limit" | "quota") => Some(429),
        Some("authentication" | "authorization") => Some(401),
        _ => status_in(message),
    });
    Done::failure(message, status)
}

/// The usage file: of this run, by model; input includes cached tokens. No price is told.
pub(super) fn usage(file: &Value) -> Option<Usage> {
    let models = file.pointer("/modelMetrics")?.as_object()?;
    let sum = |name: &str| {
        let each = models.values().filter_map(|model| number(model, &format!("/usage/{name}")));
        each.fold(None, |sum: Option<u64>, one| Some(sum.unwrap_or(0).saturating_add(one)))
    };
    Some(Usage {
        input_tokens: sum("inputTokens"),
        output_tokens: sum("outputTokens"),
        cost_micros: None,
        tokens_scope: Scope::Step,
        cost_scope: Scope::Step,
    })
}
