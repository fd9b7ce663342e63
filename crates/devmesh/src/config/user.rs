//! The user's own file, `~/.config/devmesh/config.toml`: which agents `up` starts, what tools may
//! do, where notices go. What grants rights stands here and in no repository.

use std::path::{Path, PathBuf};

use devmesh_agent::profile::Permission;
use devmesh_protocol::ActorId;
use serde::Deserialize;

use crate::error::{Error, Result};

/// The file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct User {
    /// The agents that `up` starts.
    pub(crate) agents: Vec<AgentSpec>,
    /// What tools may do.
    pub(crate) permissions: Permissions,
    /// Where notices go.
    pub(crate) notices: Notices,
}

/// What tools may do on their own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Permissions {
    /// The mode of agents that say none; the tool's own default where this is none.
    pub(crate) mode: Option<Permission>,
}

/// Where notices go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Notices {
    /// A command that gets each notice as JSON on its stdin.
    pub(crate) command: Option<String>,
}

/// One agent to start.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentSpec {
    /// Its name; the tool's with a number where it has none.
    #[serde(default)]
    pub(crate) name: Option<ActorId>,
    /// Its tool.
    pub(crate) tool: String,
    /// The command of a custom tool, word by word.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// Its model.
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// What it may do on its own.
    #[serde(default)]
    pub(crate) permission: Option<Permission>,
    /// What it can do, as words that tasks ask for.
    #[serde(default)]
    pub(crate) capabilities: Vec<String>,
    /// Further arguments of `devmesh agent`.
    #[serde(default)]
    pub(crate) args: Vec<String>,
}

impl AgentSpec {
    /// An agent of a tool, all else as it comes.
    pub(crate) fn of(tool: &str) -> AgentSpec {
        AgentSpec {
            name: None,
            tool: tool.to_owned(),
            command: Vec::new(),
            model: None,
            permission: None,
            capabilities: Vec::new(),
            args: Vec::new(),
        }
    }

    /// Reads `NAME=TOOL` or `NAME=TOOL:COMMAND`.
    pub(crate) fn parse(text: &str) -> std::result::Result<AgentSpec, String> {
        let wanted = "give it as NAME=TOOL or NAME=TOOL:COMMAND";
        let (name, rest) = text.split_once('=').ok_or(wanted)?;
        let (tool, command) = rest.split_once(':').unwrap_or((rest, ""));
        if tool.is_empty() {
            return Err(wanted.to_owned());
        }
        let name = ActorId::new(name).map_err(|error| error.to_string())?;
        Ok(AgentSpec { name: Some(name), command: words(command)?, ..AgentSpec::of(tool) })
    }
}

impl User {
    /// Reads the user's file; none is no problem.
    pub(crate) fn load() -> Result<User> {
        match path() {
            Some(path) if path.exists() => User::read(&path),
            Some(_) | None => Ok(User::default()),
        }
    }

    /// Reads one file.
    pub(crate) fn read(path: &Path) -> Result<User> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::usage(format!("{} cannot be read", path.display())).because(error)
        })?;
        toml::from_str(&text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let line = line.map(|line| format!(":{line}")).unwrap_or_default();
            Error::usage(format!("{}{line}: {}", path.display(), error.message()))
                .hint("it holds [[agents]], [permissions] and [notices]")
        })
    }
}

/// Where the user's file is.
pub(crate) fn path() -> Option<PathBuf> {
    Some(dir()?.join("config.toml"))
}

/// The user's own folder.
pub(crate) fn dir() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let root = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(root.join("devmesh"))
}

/// Parts a command into words as a shell would, without running one: blanks part words, quotes
/// and backslashes keep them.
pub(crate) fn words(text: &str) -> std::result::Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => {
                word.get_or_insert_default().extend(chars.next());
            }
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        Some(open) => Err(format!("{text}: a {open} is never closed")),
        None => Ok(words),
    }
}
