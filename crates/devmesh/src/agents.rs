//! Which agents `up` starts: as said on the command line, as the user's file says, or as a person
//! at a terminal agrees to.

use std::collections::BTreeSet;
use std::path::Path;

use devmesh_agent::profile::{self, Permission};
use devmesh_protocol::ActorId;
use devmesh_protocol::id::plain;

use crate::config::{AgentSpec, User, words};
use crate::error::{Error, Result, chain};

/// The names of the mesh's own actors and processes.
const OWN: [&str; 7] =
    ["admin", "coordinator", "dashboard", "nats-server", "probe", "replay", "up"];

/// A coding CLI on this machine.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Tool {
    /// Its name in the mesh.
    pub(crate) tool: String,
    /// Its program, where it is installed.
    pub(crate) program: Option<String>,
    /// Its version, where it tells.
    pub(crate) version: Option<String>,
    /// What it may do unless told otherwise.
    pub(crate) permission: Permission,
}

/// The tools that there are profiles for, installed or not.
pub(crate) async fn tools() -> Result<Vec<Tool>> {
    let user = crate::config::user_dir().map(|dir| dir.join("tools"));
    let profiles = profile::load(user.as_deref())
        .map_err(|error| Error::usage("a tool's profile cannot be used").because(chain(&error)))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut tools = Vec::new();
    for (name, profile) in profiles {
        let found = profile.detect(&path).await;
        let permission = profile.default_permission();
        let (program, version) = match found {
            Some(found) => (Some(found.program.display().to_string()), found.version),
            None => (None, None),
        };
        tools.push(Tool { tool: name, program, version, permission });
    }
    Ok(tools)
}

/// The installed tools that `up` offers: real coding CLIs.
pub(crate) fn offered(tools: &[Tool]) -> Vec<&Tool> {
    let is_real = |tool: &&Tool| tool.program.is_some() && tool.tool != "scripted";
    tools.iter().filter(is_real).collect()
}

/// Gives each agent a name that is not taken, makes its program's path whole, and fills in the
/// mode of the user's file.
pub(crate) fn named(
    agents: Vec<AgentSpec>,
    user: &User,
    at: &Path,
    mut taken: BTreeSet<ActorId>,
) -> Result<Vec<AgentSpec>> {
    for name in agents.iter().filter_map(|agent| agent.name.clone()) {
        if OWN.contains(&name.as_str()) {
            return Err(Error::usage(format!("no agent can be named {name}: a process is"))
                .hint("give it another name"));
        }
        if !taken.insert(name.clone()) {
            return Err(Error::usage(format!("two agents are named {name}"))
                .hint("give each a name of its own"));
        }
    }
    let mut all = Vec::new();
    for mut agent in agents {
        let mut number = 1;
        while agent.name.is_none() {
            let name = numbered(&agent.tool, number)?;
            if taken.insert(name.clone()) {
                agent.name = Some(name);
            }
            number += 1;
        }
        agent.permission = agent.permission.or(user.permissions.mode);
        if let Some(program) = agent.command.first_mut()
            && program.contains('/')
        {
            *program = at.join(&*program).display().to_string();
        }
        all.push(agent);
    }
    Ok(all)
}

/// The name of a tool's agent of that number.
pub(crate) fn numbered(tool: &str, number: u32) -> Result<ActorId> {
    ActorId::new(&format!("{}-{number}", plain(tool))).map_err(|error| {
        Error::usage(format!("no agent can be named after {tool:?}")).because(error)
    })
}

/// What stands in `--agents`: a file with `[[agents]]`, or how many.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// So many, tool after tool.
    Count(usize),
    /// Those of a file.
    File(std::path::PathBuf),
}

impl std::str::FromStr for Wanted {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Wanted, String> {
        match text.parse() {
            Ok(count) if count <= 64 => Ok(Wanted::Count(count)),
            Ok(_) => Err("at most 64 agents on one machine".to_owned()),
            Err(_) if words(text).is_ok_and(|words| words.is_empty()) => Err("name a file".into()),
            Err(_) => Ok(Wanted::File(text.into())),
        }
    }
}

/// So many agents, the tools in turn.
pub(crate) fn spread(tools: &[&Tool], count: usize) -> Vec<AgentSpec> {
    tools
        .iter()
        .cycle()
        .take(if tools.is_empty() { 0 } else { count })
        .map(|tool| AgentSpec::of(&tool.tool))
        .collect()
}
