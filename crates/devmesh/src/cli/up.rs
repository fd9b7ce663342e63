//! `devmesh up`: the mesh of this machine, begun in a repository.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use devmesh_protocol::Verb;
use devmesh_protocol::command::mesh::RepoAdd;
use serde_json::{Value, json};

use crate::agents::{self, Wanted};
use crate::config::{AgentSpec, Config, User};
use crate::context::{Context, Link};
use crate::error::{Error, Result};
use crate::git::Repo;
use crate::host::Joined;
use crate::mesh::{self, Plan};
use crate::state_dir::{RunFile, StateDir};

mod choose;
mod join;
mod joined;
mod proposal;

pub(crate) use proposal::{repo_add, verify_of};

/// How often a start is tried while others begin and end the same mesh.
const BEGIN_MAX: usize = 5;

/// Start the mesh in this repository: bus, coordinator, probe, dashboard, and the agents it may
///
/// Where the mesh runs already, this repository and the named agents are added to it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ask nothing: fetch what is missing, start the detected tools, take the proposed commands
    #[arg(long, short)]
    yes: bool,
    /// Go on in the background; `devmesh down` ends it
    #[arg(long, short)]
    detach: bool,
    /// Start no agent
    #[arg(long, conflicts_with_all = ["agents", "agent"])]
    no_agents: bool,
    /// Bus and coordinator only
    #[arg(long, conflicts_with_all = ["agents", "agent"])]
    lite: bool,
    /// The bus's port; last time's or a free one, where nothing is said
    #[arg(long, env = "DEVMESH_NATS_PORT", value_name = "PORT", hide_env_values = true)]
    port: Option<u16>,
    /// The dashboard's port; last time's, 7701 or a free one, where nothing is said
    #[arg(long, env = "DEVMESH_DASHBOARD_PORT", value_name = "PORT", hide_env_values = true)]
    dashboard_port: Option<u16>,
    /// Start so many agents, or those of a file with [[agents]]
    #[arg(long, value_name = "N|FILE")]
    agents: Option<Wanted>,
    /// Start this agent; may be said again
    #[arg(long, value_name = "NAME=TOOL:COMMAND", value_parser = AgentSpec::parse)]
    agent: Vec<AgentSpec>,
    /// Let other hosts join: listen for them here, with TLS; `devmesh invite` says how
    #[arg(long, env = "DEVMESH_LISTEN", value_name = "HOST[:PORT]", hide_env_values = true,
          value_parser = crate::host::listen_address)]
    listen: Option<String>,
    /// Use this nats-server
    #[arg(long, value_name = "PATH")]
    nats_server: Option<PathBuf>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        if let Ok(state) = context.state()
            && Joined::is_at(&state)
        {
            return self.on_joined(context, &state).await;
        }
        let repo = Repo::here()?;
        let config = Config::load(Some(&repo.root))?;
        let user = User::load()?;
        super::environment::check()?;
        let state = context.state()?;
        state.create()?;
        let mut plan = None;
        for _ in 0..BEGIN_MAX {
            if RunFile::read(&state)?.is_some_and(|run| run.supervisor().is_some())
                && let Some(run) = mesh::begun(&state).await?
            {
                return self.join_in(context, &state, &run, (&repo, &config, &user)).await;
            }
            // Asked once, whoever else begins the mesh meanwhile.
            let plan = match &plan {
                Some(plan) => plan,
                None => plan.insert(self.plan(context, &repo, &config, &user).await?),
            };
            state.link(&repo)?;
            let has_begun = if self.detach {
                let run = mesh::detach(&state, plan).await?;
                run.as_ref().inspect(|run| tell(context, &state, run, true)).is_some()
            } else {
                let told = |run: &RunFile| tell(context, &state, run, false);
                mesh::supervise(&state, plan.clone(), told).await?
            };
            if has_begun {
                return Ok(());
            }
            if let Some(run) = mesh::begun(&state).await? {
                return self.join_in(context, &state, &run, (&repo, &config, &user)).await;
            }
        }
        Err(Error::failed(format!("start mesh {}", state.mesh))
            .because("others begin and end it at the same time")
            .hint(format!("their log is {}", state.log_of("up").display())))
    }

    async fn plan(
        &self,
        context: &Context,
        repo: &Repo,
        config: &Config,
        user: &User,
    ) -> Result<Plan> {
        let nats_server = self.nats_server(context).await?;
        let person = context.globals.speaker.clone().unwrap_or_else(Context::person);
        let (agents, verify) = self.agree(context, repo, config, user).await?;
        Ok(Plan {
            nats_server,
            port: self.port.filter(|port| *port != 0),
            dashboard_port: self.dashboard_port.filter(|port| *port != 0),
            lite: self.lite,
            agents: agents::named(agents, user, &repo.root, BTreeSet::new())?,
            env_pass: config.list("env.pass"),
            person,
            repo: Some(repo_add(repo, config, verify)?),
            listen: self.listen.clone(),
            joined: None,
            settings: settings(config),
        })
    }
}

/// What the repository's file says for the whole mesh.
fn settings(config: &Config) -> Vec<(String, Value)> {
    let mut settings = Vec::new();
    if config.is_said("budget.usd_per_day") {
        settings
            .push(("budget.usd_per_day".to_owned(), json!(config.number("budget.usd_per_day"))));
    }
    let leases = [
        ("lease.ttl_s", "lock.ttl_ms"),
        ("lease.grace_s", "session.grace_ms"),
        ("lease.reconnect_s", "session.silent_ms"),
    ];
    for (key, setting) in leases.into_iter().filter(|(key, _)| config.is_said(key)) {
        let ms = config.number(key).map(|seconds| seconds * 1_000);
        settings.push((setting.to_owned(), json!(ms)));
    }
    settings
}

/// Adds a repository. A coordinator that has just begun may take a moment.
pub(crate) async fn add_repo(link: &Link, body: RepoAdd) -> Result<()> {
    link.submit_within(Verb::RepoAdd(body), Duration::from_secs(20))
        .await?
        .into_result()
        .map_err(Error::rejected)
        .map(|_| ())
}

/// What runs, for the one who started it.
fn tell(context: &Context, state: &StateDir, run: &RunFile, detached: bool) {
    if context.out.json {
        context.out.json(run);
        return;
    }
    let dashboard = run.dashboard_url.as_deref().unwrap_or("none");
    context.out.line(format!("mesh       {}", state.mesh));
    context.out.line(format!("dashboard  {dashboard}"));
    if let Some(listen) = &run.listen {
        context.out.line(format!("listens    {listen}; `devmesh invite` lets another host join"));
    }
    // The link is a secret: for the person at the terminal alone.
    let link = run.dashboard_url.as_deref().and_then(|url| super::dashboard::sign_in(state, url));
    if let Some(link) = link.filter(|_| std::io::stdout().is_terminal()) {
        context.out.line(format!("sign in    {link}"));
    }
    context.out.line(format!("state      {}", state.path.display()));
    context.out.say("next: devmesh task add \"…\" --paths src/ --verify \"cargo test\"");
    context.out.say(if detached {
        "`devmesh status` shows it, `devmesh down` ends it"
    } else {
        "Ctrl-C ends it, `up -d` would go on in the background"
    });
}
