//! `cursor-agent -p --output-format stream-json`: the lines of claude, but for tool calls, which
//! come as `tool_call` with one member that names the tool.

use serde_json::Value;

use super::{Fact, claude, exit_code, text};

pub(super) fn read(line: &Value) -> Vec<Fact> {
    match (text(line, "/type"), text(line, "/subtype")) {
        (Some("tool_call"), Some("completed")) => call(line).into_iter().collect(),
        (Some("tool_call"), _) => Vec::new(),
        _ => claude::read(line),
    }
}

fn call(line: &Value) -> Option<Fact> {
    let (name, call) = line.get("tool_call")?.as_object()?.iter().next()?;
    match name.as_str() {
        "writeToolCall" | "editToolCall" | "deleteToolCall" => {
            call.pointer("/result/success")?;
            text(call, "/args/path").map(|path| Fact::Edit(path.into()))
        }
        "shellToolCall" => {
            let command = text(call, "/args/command")?.to_owned();
            Some(Fact::Command { command, exit: exit_code(call, "/result/success/exitCode") })
        }
        _ => None,
    }
}
