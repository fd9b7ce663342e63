//! `devmesh up`: the mesh of this machine, begun in a repository.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use devmesh_bus::cred::Role;
use devmesh_bus::server::{self, FETCHED_VERSION};
use devmesh_protocol::Verb;
use devmesh_protocol::command::mesh::RepoAdd;
use serde_json::{Value, json};

use crate::agents::{self, Wanted};
use crate::config::{AgentSpec, Config, User};
use crate::context::{Context, Link};
use crate::error::{Error, Result, chain};
use crate::git::Repo;
use crate::keys;
use crate::mesh::{self, Plan};
use crate::state_dir::{RunFile, StateDir};

mod proposal;

pub(crate) use proposal::{repo_add, verify_of};

/// Start the mesh in this repository: bus, coordinator, probe, dashboard, and the agents it may
///
/// Where the mesh runs already, this repository is added to it.
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
    /// Use this nats-server
    #[arg(long, value_name = "PATH")]
    nats_server: Option<PathBuf>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let repo = Repo::here()?;
        let config = Config::load(Some(&repo.root))?;
        let user = User::load()?;
        let state = context.state()?;
        state.create()?;
        if let Some(run) = RunFile::read(&state)? {
            if run.supervisor().is_some() {
                return self.join_in(context, &state, &run, &repo, &config).await;
            }
            if !run.all_living().is_empty() {
                context.out.say("ending what an earlier `up` has left");
                mesh::end_all(&run).await;
            }
            RunFile::remove(&state);
        }
        let nats_server = self.nats_server(context).await?;
        let person = context.globals.speaker.clone().unwrap_or_else(Context::person);
        let (agents, verify) = self.agree(context, &repo, &config, &user).await?;
        let plan = Plan {
            nats_server,
            port: self.port.filter(|port| *port != 0),
            dashboard_port: self.dashboard_port.filter(|port| *port != 0),
            lite: self.lite,
            agents: agents::named(agents, &user, &repo.root)?,
            env_pass: config.list("env.pass"),
            person,
            repo: repo_add(&repo, &config, verify)?,
            settings: settings(&config),
        };
        state.link(&repo)?;
        if self.detach {
            let run = mesh::detach(&state, &plan).await?;
            tell(context, &state, &run, true);
            return Ok(());
        }
        mesh::supervise(&state, plan, |run| tell(context, &state, run, false)).await
    }

    /// The mesh runs: this repository joins it.
    async fn join_in(
        &self,
        context: &Context,
        state: &StateDir,
        run: &RunFile,
        repo: &Repo,
        config: &Config,
    ) -> Result<()> {
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
            context.out.say("its agents work here too; `devmesh agent --tool NAME` starts another");
        }
        tell(context, state, run, true);
        Ok(())
    }

    /// Finds a nats-server, or fetches the pinned one where a person agrees.
    async fn nats_server(&self, context: &Context) -> Result<PathBuf> {
        let rejected = match server::find(self.nats_server.as_deref()).await {
            Ok(found) => return Ok(found.path),
            Err(error @ server::Error::NotFound { .. }) => error,
            Err(error) => return Err(Error::unreachable("find nats-server").because(chain(&error))),
        };
        let named = self.nats_server.is_some() || std::env::var_os("DEVMESH_NATS_SERVER").is_some();
        let question = format!("no nats-server here; fetch {FETCHED_VERSION} (pinned by SHA-256)?");
        if named || !(self.yes || ask(&question)?) {
            return Err(Error::unreachable("find a nats-server")
                .because(rejected.to_string())
                .hint("`devmesh up --yes` fetches one"));
        }
        context.out.say(format!("fetching nats-server {FETCHED_VERSION}"));
        server::fetch().await.map_err(|error| {
            Error::unreachable("fetch nats-server")
                .because(chain(&error))
                .hint("install one yourself and name it with --nats-server")
        })
    }

    /// The agents to start and the commands that prove work, as said or as a person agrees.
    async fn agree(
        &self,
        context: &Context,
        repo: &Repo,
        config: &Config,
        user: &User,
    ) -> Result<(Vec<AgentSpec>, Vec<String>)> {
        let said = self.said(user).await?;
        if let Some(agents) = said {
            return Ok((agents, verify_of(context, repo, config, self.yes)?));
        }
        let tools = agents::tools().await?;
        let offered = agents::offered(&tools);
        let is_asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if !self.yes && !is_asked {
            context
                .out
                .say("no agent is started: nobody said which (--agent, --agents, [[agents]])");
            return Ok((Vec::new(), verify_of(context, repo, config, false)?));
        }
        proposal::show(context, &offered, repo, config, user);
        if offered.is_empty() || !(self.yes || ask("start one agent of each?")?) {
            return Ok((Vec::new(), verify_of(context, repo, config, self.yes)?));
        }
        let verify = verify_of(context, repo, config, true)?;
        Ok((agents::spread(&offered, offered.len()), verify))
    }

    /// The agents that somebody named; none where nobody did.
    async fn said(&self, user: &User) -> Result<Option<Vec<AgentSpec>>> {
        if self.no_agents || self.lite {
            return Ok(Some(Vec::new()));
        }
        let more = match &self.agents {
            None => Vec::new(),
            Some(Wanted::File(path)) => User::read(path)?.agents,
            Some(Wanted::Count(count)) if !user.agents.is_empty() => {
                user.agents.iter().take(*count).cloned().collect()
            }
            Some(Wanted::Count(count)) => {
                let tools = agents::tools().await?;
                let offered = agents::offered(&tools);
                if offered.is_empty() && *count > 0 {
                    return Err(Error::usage("no coding CLI is installed here")
                        .hint("`devmesh tools` lists those that are looked for"));
                }
                agents::spread(&offered, *count)
            }
        };
        if self.agents.is_some() || !self.agent.is_empty() {
            return Ok(Some(self.agent.iter().cloned().chain(more).collect()));
        }
        Ok((!user.agents.is_empty()).then(|| user.agents.clone()))
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
    if config.is_said("hot.paths") {
        settings.push(("hot".to_owned(), json!(config.list("hot.paths"))));
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

/// A question to who sits at the terminal; no where nobody does.
fn ask(question: &str) -> Result<bool> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(false);
    }
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{question} [Y/n] ");
    let _ = err.flush();
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Error::failed("read your answer").because(error))?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes") || line == "\n")
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
