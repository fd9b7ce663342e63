//! What a person or a script reads: data on stdout, talk on stderr.
//!
//! Text that comes from agents and tools is data: control and direction-changing characters are
//! shown as escapes, so that no output of theirs can move a cursor or hide a word.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use devmesh_protocol::Reply;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::exit::Exit;

mod table;
#[cfg(test)]
mod tests;

pub(crate) use table::Table;

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Where output goes and how it looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Data is JSON.
    pub(crate) json: bool,
    colour: bool,
}

impl Output {
    /// Looks once at the streams and the environment.
    pub(crate) fn new(json: bool, colour: Colour) -> Output {
        let colour = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                std::io::stdout().is_terminal() && !refused
            }
        };
        Output { json, colour: colour && !json }
    }

    /// One line of data. A reader that has gone, `head` for instance, is no error.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{}", text.as_ref());
    }

    /// Data as it is, without a line's end.
    pub(crate) fn raw(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
    }

    /// A value as JSON: indented on a terminal, one line for programs.
    pub(crate) fn json(&self, value: &impl serde::Serialize) {
        let text = if std::io::stdout().is_terminal() {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        self.line(text.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")));
    }

    /// A table, or a word that there is nothing.
    pub(crate) fn table(&self, table: &Table, nothing: &str) {
        if table.is_empty() {
            self.say(nothing);
        } else {
            self.raw(&table.render(self.colour));
        }
    }

    /// Talk: one line on stderr.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        say(text);
    }

    /// Bold, where colour is on.
    pub(crate) fn strong(&self, text: &str) -> String {
        if self.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Prints an answer: as it came where JSON is asked for, else what `human` makes of its result.
    pub(crate) fn answer(
        &self,
        reply: Reply,
        human: impl FnOnce(&Value, Option<u64>),
    ) -> Result<()> {
        if self.json {
            self.json(&reply);
            return match reply {
                Reply::Ok { .. } => Ok(()),
                Reply::Err { .. } => Err(Error::silent(Exit::Rejected)),
            };
        }
        let (seq, result) = reply.into_result().map_err(Error::rejected)?;
        human(&result, seq);
        Ok(())
    }
}

/// Talk: one line on stderr.
pub(crate) fn say(text: impl AsRef<str>) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "{}", text.as_ref());
}

/// Text from outside with control and direction-changing characters as escapes.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Several lines, each cleaned; line ends and tabs stay.
pub(crate) fn clean_lines(text: &str) -> String {
    let line = |line: &str| clean(&line.replace('\t', "    ")).into_owned();
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}
