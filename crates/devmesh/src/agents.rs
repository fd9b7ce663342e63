//! Which agents `up` starts: as said on the command line, as the user's file says, or as a person
//! at a terminal agrees to.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use devmesh_agent::profile::{self, Permission, Profile, SignIn};
use devmesh_protocol::ActorId;
use devmesh_protocol::id::plain;
use futures::StreamExt;
use serde::Serialize;

use crate::config::{AgentSpec, User, words};
use crate::error::{Error, Result, chain};

/// The names of the mesh's own actors and processes.
const OWN: [&str; 7] =
    ["admin", "coordinator", "dashboard", "nats-server", "probe", "replay", "up"];

/// Tools that are asked for their version at once.
const ASKED_AT_ONCE: usize = 2;

/// A coding CLI that there is a profile for, and what a run of it would be here.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tool {
    /// Its name in the mesh.
    pub(crate) tool: String,
    /// Its program, where it is installed.
    pub(crate) program: Option<String>,
    /// Its version, where it tells.
    pub(crate) version: Option<String>,
    /// What a run of it would be allowed; none where it cannot be allowed what it needs.
    pub(crate) permission: Option<Permission>,
    /// What it can be allowed, the narrowest first; nothing where it knows no modes.
    pub(crate) modes: Vec<Permission>,
    /// Whether one is signed in; none where that was not looked for.
    pub(crate) sign_in: Option<SignIn>,
    /// It can do tasks here.
    pub(crate) usable: bool,
    /// Why it cannot.
    pub(crate) why: Option<String>,
    /// It goes on in its session after a failed check.
    pub(crate) resumes: bool,
    /// It was run with this profile; else the profile is from its documentation.
    pub(crate) proven: bool,
}

/// All profiles: the binary's and the user's.
pub(crate) fn profiles() -> Result<BTreeMap<String, Profile>> {
    let user = crate::config::user_dir().map(|dir| dir.join("tools"));
    profile::load(user.as_deref())
        .map_err(|error| Error::usage("a tool's profile cannot be used").because(chain(&error)))
}

/// The environment that a run of the tool would have.
pub(crate) fn env_of(profile: &Profile) -> Vec<(OsString, OsString)> {
    devmesh_agent::process::allowed(std::env::vars_os(), &profile.pass)
}

/// The tools that there are profiles for, installed or not, by name.
pub(crate) async fn tools(user: &User) -> Result<Vec<Tool>> {
    looked_at(user, false).await
}

/// As [`tools`], with whether one is signed in.
pub(crate) async fn tools_signed_in(user: &User) -> Result<Vec<Tool>> {
    looked_at(user, true).await
}

async fn looked_at(user: &User, asks_sign_in: bool) -> Result<Vec<Tool>> {
    let profiles = profiles()?;
    let looks = profiles.into_values().map(|profile| look(profile, user, asks_sign_in));
    // Some take seconds of a processor to say a word: all at once, none would say it in time.
    Ok(futures::stream::iter(looks).buffered(ASKED_AT_ONCE).collect().await)
}

async fn look(profile: Profile, user: &User, asks_sign_in: bool) -> Tool {
    let env = env_of(&profile);
    let found = profile.detect(&env).await;
    let sign_in = match &found {
        Some(found) if asks_sign_in => Some(profile.sign_in(&found.program, &env).await),
        Some(_) | None => None,
    };
    let permission = profile.permission_for(user.permissions.mode);
    let why = obstacle(&profile, found.is_some(), sign_in.as_ref(), permission.as_ref().err());
    let (program, version) = match found {
        Some(found) => (Some(found.program.display().to_string()), found.version),
        None => (None, None),
    };
    Tool {
        program,
        version,
        permission: permission.ok(),
        modes: profile.permissions.keys().copied().collect(),
        sign_in,
        usable: why.is_none(),
        why,
        resumes: profile.resume_args.is_some(),
        proven: profile.proven,
        tool: profile.name,
    }
}

/// Why a tool can do no task here.
fn obstacle(
    profile: &Profile,
    is_found: bool,
    sign_in: Option<&SignIn>,
    refused: Option<&String>,
) -> Option<String> {
    if profile.programs.is_empty() {
        return Some("any program: give its command after --".to_owned());
    }
    if !is_found {
        return Some("not installed".to_owned());
    }
    if !profile.edits {
        return Some("it prints text and changes no file".to_owned());
    }
    if let Some(refused) = refused {
        return Some(refused.clone());
    }
    match sign_in {
        Some(SignIn::SignedOut { how }) => Some(format!("not signed in: {how}")),
        Some(SignIn::NotNeeded | SignIn::SignedIn { .. } | SignIn::Unknown { .. }) | None => None,
    }
}

/// The installed tools that `up` offers: real coding CLIs.
pub(crate) fn offered(tools: &[Tool]) -> Vec<&Tool> {
    tools.iter().filter(|tool| tool.usable && tool.tool != "scripted").collect()
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
