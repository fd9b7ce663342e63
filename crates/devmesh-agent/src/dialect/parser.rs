//! Reads the lines of one run, whatever language they are in.

use serde_json::Value;

use super::{Dialect, Done, Fact, aider, claude, cn, codex, copilot, cursor, gemini, goose};
use super::{opencode, scripted};

/// How much of what is no JSON is kept, to judge a failure by.
const ENDING_CHARS_MAX: usize = 4_000;

/// Reads one run's lines.
#[derive(Debug)]
pub struct Parser {
    dialect: Dialect,
    reader: Reader,
    last_message: String,
    ending: String,
    done: Option<Done>,
}

/// The language, with what it needs to remember from line to line.
#[derive(Debug)]
enum Reader {
    Aider(aider::Reader),
    Claude,
    Cn(cn::Reader),
    Codex,
    Copilot(copilot::Reader),
    Cursor,
    Gemini(gemini::Reader),
    Goose(goose::Reader),
    Opencode(opencode::Reader),
    Scripted,
    Text,
}

impl Reader {
    fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Aider => Self::Aider(aider::Reader::default()),
            Dialect::Claude => Self::Claude,
            Dialect::Continue => Self::Cn(cn::Reader::default()),
            Dialect::Codex => Self::Codex,
            Dialect::Copilot => Self::Copilot(copilot::Reader::default()),
            Dialect::Cursor => Self::Cursor,
            Dialect::Gemini => Self::Gemini(gemini::Reader::default()),
            Dialect::Goose => Self::Goose(goose::Reader::default()),
            Dialect::Opencode => Self::Opencode(opencode::Reader::default()),
            Dialect::Scripted => Self::Scripted,
            Dialect::Text => Self::Text,
        }
    }

    /// The facts of a line that is a JSON value of its own.
    fn value(&mut self, value: &Value, last_message: &str) -> Vec<Fact> {
        match self {
            Self::Claude => claude::read(value),
            Self::Codex => codex::read(value, last_message),
            Self::Copilot(reader) => reader.read(value),
            Self::Cursor => cursor::read(value),
            Self::Gemini(reader) => reader.read(value),
            Self::Goose(reader) => reader.read(value),
            Self::Opencode(reader) => reader.read(value),
            Self::Scripted => scripted::read(value),
            Self::Aider(_) | Self::Cn(_) | Self::Text => Vec::new(),
        }
    }
}

impl Parser {
    /// A parser at the beginning of a run.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            reader: Reader::new(dialect),
            last_message: String::new(),
            ending: String::new(),
            done: None,
        }
    }

    /// The facts of one line of stdout.
    pub fn read(&mut self, line: &str) -> Vec<Fact> {
        let facts = self.facts(line);
        self.remember(&facts);
        facts
    }

    /// What the end of the output tells, where the tool marks none.
    pub fn end(&mut self) -> Vec<Fact> {
        let facts = match &mut self.reader {
            Reader::Aider(reader) => reader.end(),
            Reader::Goose(reader) => reader.end(),
            Reader::Claude
            | Reader::Cn(_)
            | Reader::Codex
            | Reader::Copilot(_)
            | Reader::Cursor
            | Reader::Gemini(_)
            | Reader::Opencode(_)
            | Reader::Scripted
            | Reader::Text => Vec::new(),
        };
        self.remember(&facts);
        facts
    }

    /// Takes what is known to be a failure though the tool does not call it one.
    pub fn fail(&mut self, message: &str) -> Fact {
        let done = Done::failure(message, super::status_in(message));
        self.done = Some(done.clone());
        Fact::Done(done)
    }

    fn facts(&mut self, line: &str) -> Vec<Fact> {
        if let Reader::Cn(reader) = &mut self.reader {
            return reader.read(line);
        }
        if let Reader::Aider(reader) = &mut self.reader {
            let facts = reader.read(line);
            // A finished answer: what went wrong before it was got over.
            match facts.iter().any(|fact| matches!(fact, Fact::Usage(_))) {
                true => self.ending.clear(),
                false => self.keep(line),
            }
            return facts;
        }
        if self.dialect == Dialect::Text {
            self.keep(line);
            return text_line(line);
        }
        match serde_json::from_str::<Value>(line.trim()) {
            Ok(value) => self.reader.value(&value, &self.last_message),
            Err(_) => {
                self.keep(line);
                Vec::new()
            }
        }
    }

    fn remember(&mut self, facts: &[Fact]) {
        for fact in facts {
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
    }

    fn keep(&mut self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        self.ending.push_str(line);
        self.ending.push('\n');
        if self.ending.len() > 8 * ENDING_CHARS_MAX {
            self.ending = crate::text::tail(&self.ending, ENDING_CHARS_MAX);
        }
    }

    /// The last thing the model said: the final message of a tool that does not mark it.
    pub fn last_message(&self) -> &str {
        &self.last_message
    }

    /// What the tool said at its end, or last.
    pub fn last_word(&self) -> &str {
        self.done.as_ref().map_or(&self.last_message, |done| &done.message)
    }

    /// The end of what it printed that is no JSON; of a tool that speaks in words, what it printed
    /// since the last answer that was whole.
    pub fn ending(&self) -> String {
        crate::text::tail(self.ending.trim_end(), ENDING_CHARS_MAX)
    }

    /// The tool's last word, where it had one.
    pub fn done(&self) -> Option<&Done> {
        self.done.as_ref()
    }

    /// The tool called its run a failure.
    pub fn failed(&self) -> bool {
        self.done.as_ref().is_some_and(|done| !done.success)
    }

    /// Whether the tool marks its end, so that a run without one did not end well.
    pub fn marks_end(&self) -> bool {
        self.dialect.marks_end()
    }
}

fn text_line(line: &str) -> Vec<Fact> {
    let line = line.trim_end();
    if line.is_empty() { Vec::new() } else { vec![Fact::Message(line.to_owned())] }
}
