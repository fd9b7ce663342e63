//! What a coding CLI prints, as facts that mean the same for every tool.
//!
//! Unknown and unparsable lines are ignored: tools add line types in every release, and noise on
//! stdout is no reason to lose a run.

mod aider;
mod claude;
mod cn;
mod codex;
mod copilot;
mod cursor;
mod gemini;
mod goose;
mod ledger;
mod opencode;
mod parser;
mod reset;
mod scripted;

#[cfg(test)]
mod tests;

pub use ledger::Ledger;
pub use parser::Parser;
pub use reset::reset_at_ms;

use serde::Deserialize;
use serde_json::Value;

/// Which language a tool speaks on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `codex exec --json`.
    Codex,
    /// `claude -p --output-format stream-json`; amp speaks it too.
    Claude,
    /// `gemini -o stream-json`.
    Gemini,
    /// `opencode run --format json`.
    Opencode,
    /// `copilot --output-format json`, with tokens in a file of their own.
    Copilot,
    /// `cn -p --format json`: one object at the end, with tokens in the session's file.
    Continue,
    /// `cursor-agent -p --output-format stream-json`.
    Cursor,
    /// `goose run --output-format stream-json`.
    Goose,
    /// `aider --no-pretty`: text, with edits, tokens and errors in words.
    Aider,
    /// The scripted CLI of the tests.
    Scripted,
    /// Text for people; its last line is the final message.
    Text,
}

impl Dialect {
    /// Whether the tool marks its end, so that a run without one did not end well.
    pub fn marks_end(self) -> bool {
        !matches!(self, Self::Aider | Self::Text)
    }

    /// What the run used, from the file that a tool writes about it beside its output.
    pub fn usage_in(self, text: &str) -> Option<Usage> {
        let value = serde_json::from_str(text).ok()?;
        match self {
            Self::Copilot => copilot::usage(&value),
            Self::Continue => cn::usage(&value),
            Self::Codex
            | Self::Claude
            | Self::Gemini
            | Self::Opencode
            | Self::Cursor
            | Self::Goose
            | Self::Aider
            | Self::Scripted
            | Self::Text => None,
        }
    }
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

/// The HTTP status that a failure's text names: a provider's code in it, or its words.
fn status_in(text: &str) -> Option<u16> {
    let known = [
        ("429", 429),
        ("too many requests", 429),
        ("rate limit", 429),
        ("quota exceeded", 429),
        ("insufficient_quota", 429),
        ("resource_exhausted", 429),
        ("usage limit", 429),
        ("401", 401),
        ("unauthorized", 401),
        ("currently experiencing high demand", 500),
    ];
    let lower = text.to_lowercase();
    known.iter().find(|(words, _)| holds_word(&lower, words)).map(|(_, status)| *status)
}

/// Whether the words stand in the text by themselves: 429 is no part of 14290.
pub(crate) fn holds_word(text: &str, words: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric();
    text.match_indices(words).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}
