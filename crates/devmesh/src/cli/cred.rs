//! `devmesh cred`: who may speak on the bus.

use std::collections::BTreeMap;

use clap::Subcommand;
use devmesh_bus::cred::{Role, Trust, role_name, role_named};
use devmesh_protocol::command::agent::ActorEnd;
use devmesh_protocol::{ActorId, Verb};
use serde_json::json;

use crate::context::Context;
use crate::error::{Error, Result, chain};
use crate::keys;
use crate::output::Table;
use crate::state_dir::StateDir;

/// Mint, revoke and list credentials of this machine's mesh
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a credential file that any NATS client can use; prints its path
    Mint {
        /// The name on it
        name: ActorId,
        /// What it is for: agent, person, probe, dashboard, coordinator, viewer, admin, replay
        #[arg(long, value_parser = role)]
        role: Role,
    },
    /// End a credential: at once, everywhere
    Revoke {
        /// The name on it
        name: ActorId,
        /// Why, for the log
        #[arg(long, short = 'm', value_name = "TEXT")]
        reason: Option<String>,
    },
    /// List those in use
    List,
}

fn role(text: &str) -> std::result::Result<Role, String> {
    role_named(text).map_err(|error| error.to_string())
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let state = context.state()?;
        if !state.has_keys() {
            return Err(Error::usage(format!("the keys of mesh {} are not here", state.mesh))
                .hint("credentials are minted where `devmesh up` was first run"));
        }
        let trust = keys::open(&state)?;
        match self.command {
            Command::Mint { name, role } => mint(context, &state, &trust, &name, role).await,
            Command::Revoke { name, reason } => {
                revoke(context, &state, &trust, &name, reason).await
            }
            Command::List => list(context, &trust),
        }
    }
}

async fn mint(
    context: &Context,
    state: &StateDir,
    trust: &Trust,
    name: &ActorId,
    role: Role,
) -> Result<()> {
    keys::mint(trust, name, role)?;
    let path = state.creds_of(name.as_str());
    match context.nats_url(state) {
        Ok(url) => {
            let admin = keys::admin(state, &url, context.within()).await?;
            keys::register(&admin, &BTreeMap::from([(name.to_string(), role)])).await?;
        }
        Err(_) => context.out.say("the mesh does not run; it learns of it at its next start"),
    }
    if context.out.json {
        context.out.json(&json!({ "name": name, "role": role, "file": path }));
    } else {
        context.out.line(path.display().to_string());
    }
    Ok(())
}

async fn revoke(
    context: &Context,
    state: &StateDir,
    trust: &Trust,
    name: &ActorId,
    reason: Option<String>,
) -> Result<()> {
    use devmesh_bus::cred::Error as CredError;
    crate::host::members::forget(state, name)?;
    // A host's agents came with it.
    let own = format!("{name}-");
    let agents = keys::users(trust)?;
    let is_host = agents.get(name.as_str()) == Some(&Role::Probe);
    for (agent, _) in agents
        .iter()
        .filter(|(one, role)| is_host && **role == Role::Agent && one.starts_with(&own))
    {
        let agent = ActorId::new(agent).map_err(|e| Error::failed("revoke it").because(e))?;
        Box::pin(revoke(context, state, trust, &agent, reason.clone())).await?;
    }
    let role = keys::users(trust)?.get(name.as_str()).copied();
    let url = context.nats_url(state).ok();
    // Where nothing runs there is nobody to tell: the next start knows it.
    let told = url.clone().unwrap_or_else(|| "nats://127.0.0.1:9".to_owned());
    match trust.revoke(name.as_str(), &told).await {
        Ok(_) => {}
        Err(CredError::NotPushed { .. }) if url.is_none() => {}
        Err(error @ CredError::Unknown { .. }) => {
            return Err(
                Error::usage(error.to_string()).hint("`devmesh cred list` shows those in use")
            );
        }
        Err(error) => return Err(Error::failed("revoke it").because(chain(&error))),
    }
    let speaks = matches!(role, Some(Role::Agent | Role::Person | Role::Viewer));
    if let (Some(url), true) = (url, speaks) {
        let admin = keys::admin(state, &url, context.within()).await?;
        let body = ActorEnd { actor: name.clone(), reason };
        admin.done(Verb::ActorEnd(body)).await?;
    }
    context.out.say(format!("{name} is revoked"));
    Ok(())
}

fn list(context: &Context, trust: &Trust) -> Result<()> {
    let users = keys::users(trust)?;
    if context.out.json {
        let all = users.iter().map(|(name, role)| json!({ "name": name, "role": role }));
        context.out.json(&all.collect::<Vec<_>>());
        return Ok(());
    }
    let mut table = Table::new(&["NAME", "ROLE"]);
    for (name, role) in users {
        table.row(&[&name, role_name(role)]);
    }
    context.out.table(&table, "none");
    Ok(())
}
