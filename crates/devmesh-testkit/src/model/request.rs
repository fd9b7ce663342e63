//! A request in the server's own words, whichever dialect it came in.

use serde_json::Value;

use super::script::{DIRECTIVE, Found, find};

#[cfg(test)]
mod tests;

/// What a coding tool asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The model asked for.
    pub model: String,
    /// Whether the answer shall be a stream of events.
    pub stream: bool,
    /// Everything said as system or developer.
    pub system: String,
    /// The conversation, oldest first.
    pub items: Vec<Item>,
    /// The tools that the client offers in this request.
    pub tools: Vec<Tool>,
    /// The shape asked of the last message.
    pub schema: Option<Value>,
}

/// One piece of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// What the tool put into the user's mouth: environment, reminders, instructions.
    Context(String),
    /// What the user wrote.
    Prompt(String),
    /// What came back from a tool.
    Result(String),
    /// What came back from a search for tools: no step of a script.
    Search,
}

/// A tool that the client offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// The name to call it by.
    pub name: String,
    /// The namespace it stands in.
    pub namespace: Option<String>,
    /// How it takes its arguments.
    pub kind: ToolKind,
    /// The JSON schema of its arguments.
    pub schema: Value,
}

/// How a tool takes its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolKind {
    /// A JSON object.
    Function,
    /// Free text.
    Freeform,
    /// A search that brings in more tools.
    Search,
    /// The shell of the older Responses clients.
    LocalShell,
    /// Run by the provider; never called here.
    Hosted,
}

/// Tags that coding tools wrap around what they add to a conversation in the user's name.
const CONTEXT_TAGS: &[&str] = &[
    "environment_context",
    "session_context",
    "system-reminder",
    "task-notification",
    "turn_aborted",
    "user_instructions",
    "user_shell_command",
];

/// The name by which sgpt calls the model, which offers no tools for any work.
const TEXT_ONLY: &str = "You are ShellGPT";

/// How what they add begins, where no tag stands around it.
const CONTEXT_OPENINGS: &[&str] = &[
    "# AGENTS.md instructions",
    "I added these files to the chat",
    "I have *added these files to the chat*",
    "This is the Gemini CLI. We are setting up the context for our chat.",
];

/// What stands before the directory that the client works in, in small letters, best first.
const CWD_MARKS: &[&str] = &[
    "primary working directory:",
    "current working directory:",
    "working directory:",
    "currently working in the directory:",
    "workspace directories:**",
    "<workspace_root>",
];

impl Item {
    /// Sorts the text parts of a user's message into prompt and context.
    pub fn user<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut prompt, mut context) = (Vec::new(), Vec::new());
        for part in parts {
            if is_context(part) { context.push(part) } else { prompt.push(part) }
        }
        if prompt.is_empty() {
            Self::Context(context.join("\n"))
        } else {
            Self::Prompt(prompt.join("\n"))
        }
    }
}

fn is_context(text: &str) -> bool {
    let text = text.trim();
    if text.contains(DIRECTIVE) {
        return false;
    }
    text.is_empty()
        || CONTEXT_OPENINGS.iter().any(|opening| text.starts_with(opening))
        || CONTEXT_TAGS.iter().any(|tag| {
            text.strip_prefix('<').is_some_and(|rest| rest.starts_with(tag))
                && text.ends_with(&format!("</{tag}>"))
        })
}

impl Request {
    /// The newest thing the user wrote.
    pub fn prompt(&self) -> &str {
        self.prompts().next().unwrap_or_default()
    }

    /// What the user wrote, newest first.
    fn prompts(&self) -> impl Iterator<Item = &str> {
        self.items.iter().rev().filter_map(|item| match item {
            Item::Prompt(text) => Some(text.as_str()),
            Item::Context(_) | Item::Result(_) | Item::Search => None,
        })
    }

    /// The directive in force, and whether it stands in the newest prompt.
    pub fn directive(&self) -> Option<(Found, bool)> {
        self.prompts()
            .enumerate()
            .find_map(|(age, prompt)| find(prompt).map(|found| (found, age == 0)))
    }

    /// How many steps of this turn are done: tool results since the newest prompt.
    pub fn done(&self) -> usize {
        self.since_prompt().filter(|item| matches!(item, Item::Result(_))).count()
    }

    /// Whether this turn has searched for tools already.
    pub fn searched(&self) -> bool {
        self.since_prompt().any(|item| *item == Item::Search)
    }

    /// What the newest tool result of this turn says.
    pub fn last_result(&self) -> Option<&str> {
        self.since_prompt().find_map(|item| match item {
            Item::Result(text) => Some(text.as_str()),
            Item::Context(_) | Item::Prompt(_) | Item::Search => None,
        })
    }

    fn since_prompt(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().rev().take_while(|item| !matches!(item, Item::Prompt(_)))
    }

    /// Whether this is the work itself and not a title, a summary or a routing question.
    pub fn is_work(&self) -> bool {
        self.tools.iter().any(|tool| {
            tool.kind == ToolKind::Freeform
                || tool.kind == ToolKind::LocalShell
                || super::call::is_for_work(&tool.name)
        }) || super::blocks::are_expected(self)
            || self.system.contains(TEXT_ONLY)
    }

    /// A tool by the first of these names that is offered.
    pub fn tool(&self, names: &[&str]) -> Option<&Tool> {
        names.iter().find_map(|name| self.tools.iter().find(|tool| tool.name == *name))
    }

    /// The directory that the client works in, as far as it says.
    pub fn cwd(&self) -> Option<&str> {
        let said = self.items.iter().rev().filter_map(|item| match item {
            Item::Context(text) => Some(text.as_str()),
            Item::Prompt(_) | Item::Result(_) | Item::Search => None,
        });
        said.chain([self.system.as_str()]).find_map(cwd_in)
    }
}

fn cwd_in(text: &str) -> Option<&str> {
    if let Some((_, rest)) = text.rsplit_once("<cwd>") {
        return rest.split_once("</cwd>").map(|(dir, _)| dir.trim());
    }
    // Small letters of ASCII take the same room, so that places stay what they are.
    let small = text.to_ascii_lowercase();
    CWD_MARKS.iter().find_map(|mark| {
        let rest = &text[small.rfind(mark)? + mark.len()..];
        let line = rest.lines().map(str::trim).find(|line| !line.is_empty())?;
        let path = line.trim_start_matches(['-', ' ', '`']);
        let path = path.split(['`', '<']).next().unwrap_or_default().trim_end();
        path.starts_with('/').then_some(path)
    })
}

/// The text of a message's content in any of the forms that clients send.
pub fn text_of(content: &Value) -> String {
    texts_of(content).join("\n")
}

/// The text parts of a message's content.
pub fn texts_of(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text],
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
        }
        Value::Object(part) => part.get("text").and_then(Value::as_str).into_iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
