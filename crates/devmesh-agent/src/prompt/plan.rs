//! The question that an architect's tool is asked about a goal, and the plan in its answer.

use std::fmt::Write;

use devmesh_protocol::limits::PLAN_TASKS_MAX;
use devmesh_protocol::plan::{self, Plan};
use serde_json::Value;

use super::{FRAMEWORK_CHARS_MAX, Parts, section};

/// Capabilities that are named.
const CAPABILITIES_MAX: usize = 100;
/// Braces of an answer that are tried as the beginning of a plan.
const TRIES_MAX: usize = 20_000;

/// Asks for the plan of a goal.
pub fn plan(parts: &Parts, capabilities: &[String]) -> String {
    let mut text = format!("# Goal {}: {}\n", parts.task, parts.title);
    if let Some(prompt) = &parts.prompt {
        let _ = write!(text, "\n{}\n", prompt.trim_end());
    }
    let _ = write!(
        text,
        "\nYou are the architect. Plan how several agents reach this goal, each in a worktree of \
         its own and at the same time wherever one does not need what another makes. Read the \
         repository as far as you need to; do not edit, create or delete any file, and commit \
         nothing: only your answer counts.\n"
    );
    if !parts.said.is_empty() {
        section(&mut text, "Said about it", &parts.said.join("\n\n"));
    }
    if let Some(framework) = &parts.framework {
        let now = crate::text::head(framework, FRAMEWORK_CHARS_MAX);
        let words = format!("Your text takes its place; keep what still holds.\n\n{now}");
        section(&mut text, "The plan that all work to now", &words);
    }
    if !parts.verify.is_empty() {
        let words = "Every task of the plan is done when these pass, so each leaves the \
                     repository whole:\n\n";
        section(&mut text, "Proof", &format!("{words}{}", parts.verify.join("\n")));
    }
    let known = match capabilities {
        [] => "No agent has said what it is capable of; leave `needs` empty.".to_owned(),
        known => {
            let known = known[..known.len().min(CAPABILITIES_MAX)].join(", ");
            format!("Agents that are there are capable of: {known}. Name others only if needed.")
        }
    };
    section(&mut text, "Capabilities", &known);
    if !parts.map.is_empty() {
        section(&mut text, "Repository", &parts.map);
    }
    let mut rules = String::new();
    for (id, rule) in &parts.rules {
        let _ = writeln!(rules, "{id} {rule}");
    }
    if !rules.is_empty() {
        section(&mut text, "Rules of those who will work to it", &rules);
    }
    section(&mut text, "Your answer", &answer());
    text
}

fn answer() -> String {
    format!(
        "End with one JSON object of the schema below, and nothing after it. `text` is the \
         framework: what everybody has to know and keep to (interfaces, names, formats, who owns \
         what), in Markdown. `tasks` are 1 to {PLAN_TASKS_MAX}; each is small enough for one \
         agent in one go, says all in its `prompt` that is needed beside the framework, names in \
         `paths` the files and folders that it writes, relative to the repository, and in \
         `depends_on` the keys of those tasks that must have landed before. Nothing may depend \
         on itself, directly or over others; two tasks that write the same paths go one after \
         the other.\n\n{}",
        plan::schema()
    )
}

/// The plan in what a tool has said: the last JSON object with tasks in it, in a fence or not.
///
/// # Errors
/// What is wrong with it, to be told to the tool.
pub fn plan_in(words: &str) -> Result<Plan, String> {
    let (mut at, mut last, mut broken) = (0, None, None::<(usize, String)>);
    let named = words.rfind("\"tasks\"");
    for _ in 0..TRIES_MAX {
        let Some(start) = words[at..].find('{').map(|more| at + more) else { break };
        let rest = &words[start..];
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) => {
                let end = start + stream.byte_offset();
                if value.get("tasks").is_some() {
                    last = Some(&words[start..end]);
                }
                at = end;
            }
            Some(Err(error)) => {
                let reached = start + offset(rest, error.line(), error.column());
                if named.is_some_and(|named| start < named)
                    && broken.as_ref().is_none_or(|b| b.0 < reached)
                {
                    broken = Some((reached, error.to_string()));
                }
                at = start + 1;
            }
            None => break,
        }
    }
    match (last, broken) {
        (Some(json), _) => plan::read(json).map_err(|bad| bad.to_string()),
        (None, Some((_, why))) => Err(format!("the JSON of the plan cannot be read: {why}")),
        (None, None) => {
            Err("the answer holds no JSON object with the fields `text` and `tasks`".to_owned())
        }
    }
}

/// The bytes before a line and column, both counted from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before + column
}

#[cfg(test)]
mod tests;
