//! What a coding CLI prints, as facts that mean the same for every tool.
//!
//! Unknown and unparsable lines are ignored: tools add line types in every release, and noise on
//! stdout is no reason to lose a run.

mod claude;
mod codex;
mod reset;
mod scripted;

#[cfg(test)]
mod tests;

pub use reset::reset_at_ms;

use serde::Deserialize;
use serde_json::Value;

/// Which language a tool speaks on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `codex exec --json`.
    Codex,
    /// `claude -p --output-format stream-json`.
    Claude,
    /// The scripted CLI of the tests.
    Scripted,
    /// Text for people; its last paragraph is the final message.
    Text,
}

/// One thing that a tool told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The session's id, by which it can be resumed.
    Session(String),
    /// The model said something.
    Message(String),
    /// The tool changed a file; the path as the tool wrote it.
    Edit(String),
    /// The tool ran a command.
    Command {
        /// The command line.
        command: String,
        /// Its exit code, where the tool tells.
        exit: Option<i32>,
    },
    /// Tokens and money.
    Usage(Usage),
    /// The provider throttles; the tool goes on trying by itself.
    Throttled {
        /// How long the tool means to wait.
        retry_ms: Option<u64>,
    },
    /// The tool's last word.
    Done(Done),
}

/// The tool's last word on a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    /// The tool calls it a success. That alone proves nothing.
    pub success: bool,
    /// The final message, or what went wrong.
    pub message: String,
    /// The HTTP status behind a failure, where the tool tells.
    pub status: Option<u16>,
    /// How long to wait before another try, where the tool tells.
    pub retry_ms: Option<u64>,
}

impl Done {
    fn success(message: impl Into<String>) -> Self {
        Self { success: true, message: message.into(), ..Self::default() }
    }

    fn failure(message: impl Into<String>, status: Option<u16>) -> Self {
        Self { success: false, message: message.into(), status, retry_ms: None }
    }
}

/// Tokens and money; none where the tool does not tell, never zero for unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
    /// Price in micro-dollars.
    pub cost_micros: Option<u64>,
    /// What the token numbers sum up.
    pub tokens_scope: Scope,
    /// What the price sums up.
    pub cost_scope: Scope,
}

/// What a number sums up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// What was used since the last such number.
    #[default]
    Step,
    /// All of the session, earlier runs included.
    Session,
}

/// Reads one run's lines.
#[derive(Debug)]
pub struct Parser {
    dialect: Dialect,
    last_message: String,
    done: Option<Done>,
}

impl Parser {
    /// A parser at the beginning of a run.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, last_message: String::new(), done: None }
    }

    /// The facts of one line of stdout.
    pub fn read(&mut self, line: &str) -> Vec<Fact> {
        if self.dialect == Dialect::Text {
            return self.read_text(line);
        }
        let Ok(value) = serde_json::from_str::<Value>(line.trim()) else { return Vec::new() };
        let facts = match self.dialect {
            Dialect::Codex => codex::read(&value, &self.last_message),
            Dialect::Claude => claude::read(&value),
            Dialect::Scripted => scripted::read(&value),
            Dialect::Text => Vec::new(),
        };
        for fact in &facts {
            match fact {
                Fact::Message(text) => self.last_message.clone_from(text),
                Fact::Done(done) => self.done = Some(done.clone()),
                Fact::Session(_)
                | Fact::Edit(_)
                | Fact::Command { .. }
                | Fact::Usage(_)
                | Fact::Throttled { .. } => {}
            }
        }
        facts
    }

    /// The last thing the model said: the final message of a tool that does not mark it.
    pub fn last_message(&self) -> &str {
        &self.last_message
    }

    /// What the tool said at its end, or last.
    pub fn last_word(&self) -> &str {
        self.done.as_ref().map_or(&self.last_message, |done| &done.message)
    }

    /// The tool called its run a failure.
    pub fn failed(&self) -> bool {
        self.done.as_ref().is_some_and(|done| !done.success)
    }

    /// Whether the tool marks its end, so that a run without one did not end well.
    pub fn marks_end(&self) -> bool {
        self.dialect != Dialect::Text
    }

    fn read_text(&mut self, line: &str) -> Vec<Fact> {
        let line = line.trim_end();
        if line.is_empty() {
            return Vec::new();
        }
        self.last_message = line.to_owned();
        vec![Fact::Message(line.to_owned())]
    }
}

/// What a run used beyond what is booked for its session already. The scopes of the tools differ:
/// codex counts tokens over resumes, claude counts money so but tokens per run.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Ledger {
    input_tokens: u64,
    output_tokens: u64,
    cost_micros: u64,
}

impl Ledger {
    /// The part of `usage` that is new; remembers the session's sums.
    pub fn book(&mut self, usage: &Usage) -> Usage {
        let tokens = usage.tokens_scope;
        Usage {
            input_tokens: beyond(usage.input_tokens, tokens, &mut self.input_tokens),
            output_tokens: beyond(usage.output_tokens, tokens, &mut self.output_tokens),
            cost_micros: beyond(usage.cost_micros, usage.cost_scope, &mut self.cost_micros),
            tokens_scope: Scope::Step,
            cost_scope: Scope::Step,
        }
    }
}

fn beyond(now: Option<u64>, scope: Scope, booked: &mut u64) -> Option<u64> {
    let now = now?;
    Some(match scope {
        Scope::Step => now,
        Scope::Session => {
            // A sum that shrank is a new count: some versions count per run.
            let new = now.checked_sub(*booked).unwrap_or(now);
            *booked = now;
            new
        }
    })
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer)?.as_u64()
}

/// Dollars with decimals, as all tools write them, to micro-dollars.
fn micros(value: &Value, pointer: &str) -> Option<u64> {
    let dollars = value.pointer(pointer)?.as_f64()?;
    let micros = (dollars * 1_000_000.0).round();
    // Beyond this the number is no price.
    if !(0.0..=1e15).contains(&micros) {
        return None;
    }
    Some(micros as u64)
}

fn exit_code(value: &Value, pointer: &str) -> Option<i32> {
    i32::try_from(value.pointer(pointer)?.as_i64()?).ok()
}
