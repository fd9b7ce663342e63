//! The start of a mesh, step by step, each waited for by what it brings about.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use devmesh_bus::client::Client;
use devmesh_bus::cred::Role;
use devmesh_protocol::command::mesh::SettingSet;
use devmesh_protocol::view::{AgentView, HostView};
use devmesh_protocol::{ActorId, HostId, Verb};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::bus;
use super::child::{Kind, Spec, last_words};
use super::plan::Membership;
use super::watch::{Mesh, News};
use crate::context::Link;
use crate::error::{Error, Result};
use crate::keys;
use crate::output::say;
use crate::process::Known;
use crate::state_dir::{Ports, SUPERVISOR};

/// How long the coordinator may take to lead: it reads the whole log first.
const LEADS_WITHIN: Duration = Duration::from_secs(60);
/// Ports that are tried for a dashboard for which none was asked.
const PORTS_MAX: usize = 3;
/// How long the others may take to be seen; later they still come.
const SEEN_WITHIN: Duration = Duration::from_secs(15);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(30);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);

impl Mesh {
    /// Starts everything.
    pub(super) async fn start(&mut self) -> Result<()> {
        if let Some(own) = Known::own() {
            self.run.put(SUPERVISOR, &own);
        }
        if let Some(joined) = self.plan.joined.clone() {
            return self.start_joined(&joined).await;
        }
        self.mint()?;
        self.launch_bus().await?;
        say(format!("bus          {}", self.run.nats_url));
        bus::provision(&self.state, &self.run.nats_url, self.keys()?).await?;
        let admin = self.start_coordinator().await?;
        keys::register(&admin, &keys::users(self.keys()?)?).await?;
        let person = self.person().await?;
        if let Some(repo) = self.plan.repo.clone() {
            let base = repo.base.as_deref().unwrap_or("main").to_owned();
            let told = format!("repository   {}, from {base}", repo.name);
            person.done(Verb::RepoAdd(repo)).await?;
            say(told);
        }
        for (key, value) in self.plan.settings.clone() {
            person.done(Verb::SettingSet(SettingSet { key, value })).await?;
        }
        if !self.plan.lite {
            self.start_probe(&person, &probe_name()).await?;
            self.start_dashboard().await?;
            self.start_agents(&person).await?;
        }
        self.open_gate().await?;
        let port = self.plan.port.unwrap_or_default();
        let dashboard = self.plan.dashboard_port.unwrap_or_default();
        Ports { nats: port, dashboard }.write(&self.state)?;
        self.run.ready = true;
        self.run.write(&self.state)
    }

    /// On a host that joined: its probe and its agents.
    async fn start_joined(&mut self, joined: &Membership) -> Result<()> {
        self.run.nats_url = joined.nats_url.clone();
        say(format!("bus          {}, of another host", joined.nats_url));
        let person = self.link(&self.plan.person.clone()).await?;
        self.start_probe(&person, &joined.host).await?;
        // Before the agents: they may need what it has.
        self.keep_repositories().await?;
        self.start_agents(&person).await?;
        self.run.ready = true;
        self.run.write(&self.state)
    }

    fn mint(&self) -> Result<()> {
        let trust = self.keys()?;
        keys::refresh(trust, &self.state)?;
        let own = |name: &str| ActorId::new(name).expect("a plain word names an actor");
        let mut wanted = vec![
            (ActorId::admin(), Role::Admin),
            (ActorId::coordinator(), Role::Coordinator),
            (self.plan.person.clone(), Role::Person),
            (own("replay"), Role::Replay),
        ];
        if !self.plan.lite {
            wanted.push((own("dashboard"), Role::Dashboard));
            wanted.push((probe_name(), Role::Probe));
        }
        let agents = self.plan.agents.iter().filter_map(|agent| agent.name.clone());
        wanted.extend(agents.map(|name| (name, Role::Agent)));
        wanted.iter().try_for_each(|(name, role)| keys::ensure(trust, name, *role))
    }

    async fn start_coordinator(&mut self) -> Result<Link> {
        let url = self.run.nats_url.clone();
        let spec = Spec::new("coordinator", "coordinator", &self.state, &url);
        let store = bus::options(&self.state, &self.plan, self.keys()?)?.store_dir();
        self.launch(spec.with(["--store-dir".into(), store.into_os_string()]))?;
        let admin = keys::admin(&self.state, &url, LEADS_WITHIN).await?;
        let state: Value = tokio::select! {
            state = admin.get("state", json!({})) => state.map_err(|_| self.does_not_lead())?,
            error = self.lost() => return Err(error),
        };
        let term = state.get("epoch").and_then(Value::as_u64).unwrap_or_default();
        say(format!("coordinator  leads term {term}"));
        keys::admin(&self.state, &url, ANSWER).await
    }

    /// The coordinator runs and does not answer: it says why in its log.
    fn does_not_lead(&self) -> Error {
        let said = last_words(&self.state, "coordinator");
        Error::failed("see the coordinator lead")
            .because(format!("it runs and does not answer\n{said}"))
            .hint(format!("the whole log is {}", self.state.log_of("coordinator").display()))
    }

    /// What is still started must not end; returns when something did.
    async fn lost(&mut self) -> Error {
        match self.news.join_next().await {
            Some(Ok(News::Ended { name, how, .. })) => self.ended_at_once(&name, &how),
            Some(Ok(News::Again { .. } | News::Store(_)) | Err(_)) | None => {
                Error::failed("start the mesh").because("nothing runs")
            }
        }
    }

    /// A connection of whose mesh it is.
    pub(super) async fn person(&self) -> Result<Link> {
        self.link(&self.plan.person).await
    }

    async fn link(&self, actor: &ActorId) -> Result<Link> {
        let creds = self.state.creds_of(actor.as_str());
        let url = &self.run.nats_url;
        let client = Client::connect(url, Some(&creds), &self.state.mesh, actor).await?;
        Ok(Link::new(client, ANSWER))
    }

    async fn start_probe(&mut self, person: &Link, host: &ActorId) -> Result<()> {
        let spec = Spec::new("probe", "probe", &self.state, &self.run.nats_url);
        let spec = spec.with(["--host", host.as_str()]);
        let disk = self.state.path.clone().into_os_string();
        self.launch(spec.with(["--disk".into(), disk]))?;
        let seen = async || {
            let hosts: Vec<HostView> = person.list("hosts", json!({})).await?;
            Ok(hosts.iter().any(|known| known.host.as_str() == host.as_str()))
        };
        if self.until(seen).await? {
            say(format!("probe        measures {host}"));
        } else {
            say("probe        not heard yet; see its log");
        }
        Ok(())
    }

    /// On the port that was asked for; on another free one where nobody asked and somebody else
    /// has taken it since it was looked at.
    async fn start_dashboard(&mut self) -> Result<()> {
        let asked = self.plan.dashboard_port.is_some();
        let mut port = bus::dashboard_port(&self.state, &self.plan)?;
        for _ in 0..PORTS_MAX {
            match self.dashboard_at(port).await {
                Err(_) if !asked && bus::is_taken(port) => {
                    self.run.take("dashboard");
                    port = bus::any_free();
                }
                started => return started,
            }
        }
        self.dashboard_at(port).await
    }

    async fn dashboard_at(&mut self, port: u16) -> Result<()> {
        self.plan.dashboard_port = Some(port);
        let person = self.plan.person.as_str();
        let (spec, url) = crate::cli::dashboard::spec(port, &self.state, person);
        let base = Spec::new("dashboard", "dashboard", &self.state, &self.run.nats_url);
        self.launch(base.with(spec))?;
        let open = async || Ok(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
        if self.until(open).await? {
            // What answers may be another's: then this one ends now.
            self.pause().await?;
            self.run.dashboard_url = Some(url.clone());
            self.run.write(&self.state)?;
            say(format!("dashboard    {url}"));
        } else {
            say("dashboard    does not answer yet; see its log");
        }
        Ok(())
    }

    async fn start_agents(&mut self, person: &Link) -> Result<()> {
        let mut wanted = BTreeSet::new();
        for agent in self.plan.agents.clone() {
            let Some(name) = agent.name.clone() else { continue };
            let url = self.run.nats_url.clone();
            let spec = Spec::agent(&name, &agent, &self.plan.env_pass, &self.state, &url);
            self.launch(spec)?;
            wanted.insert(name);
        }
        if wanted.is_empty() {
            say("agents       none; `devmesh agent --tool NAME` starts one");
            return Ok(());
        }
        let deadline = Instant::now() + SEEN_WITHIN;
        loop {
            let agents: Vec<AgentView> = person.list("agents", json!({})).await?;
            let there: BTreeSet<ActorId> = agents.into_iter().map(|one| one.agent).collect();
            // One that cannot be started was told with its last words.
            wanted.retain(|name| !self.run.given_up.contains_key(name.as_str()));
            if wanted.is_subset(&there) {
                let all = list(&wanted);
                say(format!("agents       {}", if all.is_empty() { "none" } else { &all }));
                return Ok(());
            }
            if Instant::now() >= deadline {
                let all = list(&wanted);
                say(format!("agents       {all}; not all have joined yet, see their logs"));
                return Ok(());
            }
            self.pause().await?;
        }
    }

    /// Asks until the answer is yes; whether it was before it took too long. What is started must
    /// not end meanwhile.
    async fn until(&mut self, mut ask: impl AsyncFnMut() -> Result<bool>) -> Result<bool> {
        let deadline = Instant::now() + SEEN_WITHIN;
        loop {
            if ask().await? {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.pause().await?;
        }
    }

    /// A moment, in which no process may end but an agent.
    async fn pause(&mut self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + LOOK;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return Ok(()),
                Some(Ok(news)) = self.news.join_next() => match news {
                    News::Ended { name, how, .. } if Kind::of(&name) != Kind::Agent => {
                        return Err(self.ended_at_once(&name, &how));
                    }
                    news => self.take(news).await?,
                },
            }
        }
    }

    fn ended_at_once(&self, name: &str, how: &str) -> Error {
        let said = last_words(&self.state, name);
        Error::failed(format!("start {name}"))
            .because(format!("it ended with {how}\n{said}"))
            .hint(format!("the whole log is {}", self.state.log_of(name).display()))
    }
}

/// The name of this host, which its probe speaks under: as the probe itself will find it.
fn probe_name() -> ActorId {
    let said = std::env::var("DEVMESH_HOST").ok().and_then(|name| HostId::new(&name).ok());
    let host = said.unwrap_or_else(devmesh_probe::measure::own_name);
    ActorId::new(host.as_str()).expect("the name of a host is the name of an actor")
}

fn list(names: &BTreeSet<ActorId>) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
