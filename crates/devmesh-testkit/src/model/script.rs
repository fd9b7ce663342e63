//! What the scripted model is told to do: steps, a last word, faults, and where it is told.
//!
//! A script travels inside the prompt, as `[[model {"steps":[…],"final":"…"}]]`, so that one
//! server serves a whole fleet and needs no state to know which task a request belongs to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(test)]
mod tests;

/// What opens a directive in a prompt; `]]` closes it.
pub const DIRECTIVE: &str = "[[model";

/// One scripted conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// A named scenario to start from; what this script says itself goes before it.
    pub scenario: Option<String>,
    /// Separates the fault counters of runs that share a script.
    pub key: Option<String>,
    /// The tool calls to make, in order.
    pub steps: Vec<Step>,
    /// The last message of the turn.
    #[serde(rename = "final")]
    pub last: Option<String>,
    /// What each answer claims to have used.
    pub usage: Option<Usage>,
    /// What goes wrong, and how often.
    pub fault: Option<Fault>,
    /// Milliseconds before each answer.
    pub delay_ms: Option<u64>,
    /// The turn after the one that carried the directive: a resumed session.
    pub again: Option<Part>,
    /// Other turns, chosen by what the newest prompt says besides the directive.
    pub cases: Vec<Case>,
}

/// One step. Only a step that calls a tool counts; `say` is spoken with the next call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Creates a file, or with `existing` replaces one.
    Write(Write),
    /// Replaces whole lines of a file.
    Edit(Edit),
    /// Reads a file.
    Read(Read),
    /// Runs a shell command.
    Shell(String),
    /// Says something before the next call.
    Say(String),
    /// Calls a tool of an MCP server.
    Mcp(Mcp),
    /// Calls a tool by its exact name.
    Call(Call),
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Relative to the working directory, or absolute.
    pub path: String,
    /// The whole content.
    pub content: String,
    /// The file is there already: read it first where the tool insists on that.
    #[serde(default)]
    pub existing: bool,
}

/// Lines to replace. Whole lines, because a patch tool knows nothing smaller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Relative to the working directory, or absolute.
    pub path: String,
    /// The lines as they stand.
    pub old: String,
    /// The lines as they shall be.
    pub new: String,
}

/// A file to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Relative to the working directory, or absolute.
    pub path: String,
}

/// A call of an MCP server's tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    /// The server's name in the tool's configuration.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Value,
}

/// A call of any tool that the client offers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The tool's exact name.
    pub tool: String,
    /// Its arguments: an object, or the text of a freeform tool.
    #[serde(default)]
    pub args: Value,
}

/// The steps and the last word of one turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Part {
    /// The tool calls to make, in order.
    pub steps: Vec<Step>,
    /// The last message of the turn.
    #[serde(rename = "final")]
    pub last: Option<String>,
}

/// A turn that is taken when the newest prompt contains a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The text to look for, outside the directive.
    pub contains: String,
    /// The tool calls to make, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// The last message of the turn.
    #[serde(rename = "final", default)]
    pub last: Option<String>,
}

/// Tokens that an answer claims to have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Tokens read from a cache.
    pub cached: u64,
    /// Tokens of reasoning, part of `output`.
    pub reasoning: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { input: 1200, output: 85, cached: 300, reasoning: 0 }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// The way it goes wrong.
    pub kind: FaultKind,
    /// The HTTP status of `status`.
    pub status: u16,
    /// Seconds told in `retry-after`.
    pub retry_after: Option<u64>,
    /// How many requests of a key it befalls; none means every one.
    pub first: Option<u32>,
    /// Only when this many steps are done.
    pub on_step: Option<usize>,
    /// Small requests beside the work (titles, summaries) suffer too.
    pub aside: bool,
    /// The error's text, where the usual one will not do.
    pub message: Option<String>,
    /// The error's code, such as `insufficient_quota`.
    pub code: Option<String>,
    /// More response headers.
    pub headers: BTreeMap<String, String>,
    /// How long a hang lasts, in seconds.
    pub seconds: u64,
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            kind: FaultKind::Status,
            status: 500,
            retry_after: None,
            first: None,
            on_step: None,
            aside: false,
            message: None,
            code: None,
            headers: BTreeMap::new(),
            seconds: 600,
        }
    }
}

/// The ways in which an answer goes wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// An HTTP error.
    #[default]
    Status,
    /// Not even response headers.
    Hang,
    /// The beginning of a stream, then silence.
    HangMidstream,
    /// The connection closes without an answer.
    Drop,
    /// The connection closes after the beginning of a stream.
    DropMidstream,
}

impl Script {
    /// This script on top of a named one: what is said here goes first.
    pub fn over(self, base: Self) -> Self {
        Self {
            scenario: self.scenario.or(base.scenario),
            key: self.key.or(base.key),
            steps: if self.steps.is_empty() { base.steps } else { self.steps },
            last: self.last.or(base.last),
            usage: self.usage.or(base.usage),
            fault: self.fault.or(base.fault),
            delay_ms: self.delay_ms.or(base.delay_ms),
            again: self.again.or(base.again),
            cases: if self.cases.is_empty() { base.cases } else { self.cases },
        }
    }

    /// The script as text that a prompt can carry.
    pub fn directive(&self) -> String {
        let body = serde_json::to_string(self).expect("a script holds nothing JSON cannot say");
        format!("{DIRECTIVE} {body}]]")
    }
}

/// A directive cut out of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The script, or why it cannot be read.
    pub script: Result<Script, String>,
    /// The directive's own text: its default key.
    pub raw: String,
    /// The prompt without it.
    pub rest: String,
}

/// Finds the last directive of a prompt.
pub fn find(prompt: &str) -> Option<Found> {
    let start = prompt.rfind(DIRECTIVE)?;
    let tail = &prompt[start + DIRECTIVE.len()..];
    let (script, used) = match read(tail) {
        Ok((script, used)) => (Ok(script), used),
        Err(why) => match read_requoted(tail) {
            Some((script, used)) => (Ok(script), used),
            None => (Err(why), 0),
        },
    };
    let end = start + DIRECTIVE.len() + used;
    let close = prompt[end..].find("]]").map_or(prompt.len(), |at| end + at + 2);
    Some(Found {
        script,
        raw: prompt[start..close].to_owned(),
        rest: format!("{}{}", &prompt[..start], &prompt[close..]),
    })
}

fn read(tail: &str) -> Result<(Script, usize), String> {
    let mut values = serde_json::Deserializer::from_str(tail).into_iter::<Script>();
    match values.next() {
        Some(Ok(script)) => Ok((script, values.byte_offset())),
        Some(Err(why)) => Err(why.to_string()),
        None => Err("the directive holds no JSON".to_owned()),
    }
}

/// Some tools quote an argument that holds spaces once more before the model sees it.
fn read_requoted(tail: &str) -> Option<(Script, usize)> {
    let line = &tail[..tail.find("}]]")? + 1];
    let plain = line.replace("\\\"", "\"").replace("\\\\", "\\");
    read(&plain).ok().map(|(script, _)| (script, line.len()))
}

/// The scenarios that every server knows by name.
pub fn built_in() -> BTreeMap<String, Script> {
    serde_json::from_str(include_str!("scenarios.json")).expect("the built-in scenarios are valid")
}
