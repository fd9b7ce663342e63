//! `up` where the mesh runs already: the repository and the named agents are added to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use devmesh_bus::cred::Role;
use devmesh_protocol::ActorId;
use devmesh_protocol::view::AgentView;
use serde_json::json;

use super::{Args, add_repo, repo_add, tell, verify_of};
use crate::agents;
use crate::config::{AgentSpec, Config, User};
use crate::context::{Context, Link};
use crate::error::{Error, Result};
use crate::git::Repo;
use crate::keys;
use crate::mesh;
use crate::state_dir::{RunFile, StateDir};

/// How long an added agent may take to join; later it still comes.
const JOINS_WITHIN: Duration = Duration::from_secs(15);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);

impl Args {
    /// The mesh runs: this repository joins it, and so do the agents that are named.
    pub(super) async fn join_in(
        &self,
        context: &Context,
        state: &StateDir,
        run: &RunFile,
        (repo, config, user): (&Repo, &Config, &User),
    ) -> Result<()> {
        self.fits(run)?;
        context.out.say(format!(
            "mesh {} runs already; adding {}",
            state.mesh,
            repo.root.display()
        ));
        state.link(repo)?;
        let person = context.globals.speaker.clone().unwrap_or_else(Context::person);
        keys::ensure(&keys::open(state)?, &person, Role::Person)?;
        let admin = keys::admin(state, &run.nats_url, context.within()).await?;
        keys::register(&admin, &BTreeMap::from([(person.to_string(), Role::Person)])).await?;
        let link = context.connect().await?;
        let verify = verify_of(context, repo, config, self.yes)?;
        add_repo(&link, repo_add(repo, config, verify)?).await?;
        if !self.agent.is_empty() || self.agents.is_some() {
            let said = self.said(user).await?.unwrap_or_default();
            let added = self.added(context, run, said, user, repo)?;
            add(context, state, (&admin, &link), &added, &config.list("env.pass")).await?;
        }
        tell(context, state, run, true);
        Ok(())
    }

    /// What counts at a start alone must not be taken for done.
    fn fits(&self, run: &RunFile) -> Result<()> {
        let port_of = |url: &str| url.trim_end_matches('/').rsplit(':').next()?.parse::<u16>().ok();
        let differs = |said: Option<u16>, url: &str| {
            said.is_some_and(|said| said != 0 && port_of(url) != Some(said))
        };
        let other = if differs(self.port, &run.nats_url) {
            Some("--port")
        } else if differs(self.dashboard_port, run.dashboard_url.as_deref().unwrap_or_default()) {
            Some("--dashboard-port")
        } else if self.lite && run.dashboard_url.is_some() {
            Some("--lite")
        } else if self.listen.is_some() && self.listen != run.listen {
            Some("--listen")
        } else {
            None
        };
        other.map_or(Ok(()), |flag| {
            Err(Error::usage(format!("{flag} counts at a start alone, and the mesh runs already"))
                .hint("leave it out, or `devmesh down` first"))
        })
    }

    /// The agents that do not run yet, each with a name.
    fn added(
        &self,
        context: &Context,
        run: &RunFile,
        said: Vec<AgentSpec>,
        user: &User,
        repo: &Repo,
    ) -> Result<Vec<AgentSpec>> {
        let runs: BTreeSet<ActorId> =
            run.all_living().iter().filter_map(|(name, _)| ActorId::new(name).ok()).collect();
        let (there, more): (Vec<_>, Vec<_>) = said
            .into_iter()
            .partition(|agent| agent.name.as_ref().is_some_and(|name| runs.contains(name)));
        for agent in there.iter().filter_map(|agent| agent.name.as_ref()) {
            context.out.say(format!("{agent} runs already, as it was started"));
        }
        agents::named(more, user, &repo.root, runs)
    }
}

/// Has them started, and waits until each has joined or cannot be started.
async fn add(
    context: &Context,
    state: &StateDir,
    (admin, link): (&Link, &Link),
    agents: &[AgentSpec],
    env_pass: &[String],
) -> Result<()> {
    let mut wanted: BTreeSet<ActorId> =
        agents.iter().filter_map(|agent| agent.name.clone()).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let trust = keys::open(state)?;
    for name in &wanted {
        keys::ensure(&trust, name, Role::Agent)?;
        let actor = BTreeMap::from([(name.to_string(), Role::Agent)]);
        keys::register(admin, &actor).await?;
    }
    let run = RunFile::read(state)?
        .ok_or_else(|| Error::failed("add agents to the mesh").because("it has ended meanwhile"))?;
    mesh::add(state, &run, agents, env_pass)?;
    let deadline = Instant::now() + JOINS_WITHIN;
    while !wanted.is_empty() {
        let there: Vec<AgentView> = link.list("agents", json!({})).await?;
        let given_up = RunFile::read(state)?.unwrap_or(run.clone()).given_up;
        wanted.retain(|name| {
            if there.iter().any(|agent| agent.agent == *name) {
                context.out.say(format!("agents       {name} has joined"));
                return false;
            }
            // What was given up before is not this time's end.
            if given_up.contains_key(name.as_str())
                && given_up.get(name.as_str()) != run.given_up.get(name.as_str())
            {
                let said = mesh::last_words(state, name.as_str());
                context.out.say(format!("agents       {name} cannot be started:\n{said}"));
                return false;
            }
            true
        });
        if Instant::now() >= deadline {
            let log = state.logs();
            let all: Vec<&str> = wanted.iter().map(ActorId::as_str).collect();
            let all = all.join(", ");
            context.out.say(format!("agents       {all}: not joined yet; see {}", log.display()));
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
