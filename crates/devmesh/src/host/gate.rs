//! What the gate of a mesh answers other hosts. It runs in the supervising process, which holds the
//! mesh's keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use devmesh_bus::cred::Role;
use devmesh_bus::gate::{Lines, Served};
use devmesh_protocol::view::RepoView;
use devmesh_protocol::{ActorId, RepoId};
use serde_json::json;

use super::words::Granted;
use super::{Answer, Ask, Hello, git, invitations, members, now};
use crate::error::{Error, Result};
use crate::keys;
use crate::state_dir::StateDir;

/// How long a host may take to ask.
const ASKS_WITHIN: Duration = Duration::from_secs(30);
/// How long the mesh may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// Questions on one connection.
const ASKS_MAX: usize = 16;

/// The mesh behind a gate.
#[derive(Debug)]
pub(crate) struct Door {
    /// Its state.
    pub(crate) state: StateDir,
    /// Its bus.
    pub(crate) nats_url: String,
    /// Its authority, PEM.
    pub(crate) authority: String,
}

/// Answers one connection.
pub(crate) async fn answer(door: Arc<Door>, mut wire: Served) {
    for _ in 0..ASKS_MAX {
        let heard = tokio::time::timeout(ASKS_WITHIN, wire.hear::<Ask>()).await;
        let Ok(Ok(Some(ask))) = heard else { return };
        if let Ask::Git { host, key, repo, service } = ask {
            match door.repository(&host, &key, &repo, &service).await {
                Ok((service, path, target)) => {
                    if wire.say(&Answer::Git).await.is_ok() {
                        git::serve(wire, service, &path, &target).await;
                    }
                }
                Err(why) => drop(wire.say(&Answer::Refused { why }).await),
            }
            return;
        }
        let said = door.reply(ask).await;
        if let Answer::Refused { why } = &said {
            tracing::warn!(why, "another host was refused");
        }
        if wire.say(&said).await.is_err() {
            return;
        }
    }
}

impl Door {
    async fn reply(&self, ask: Ask) -> Answer {
        let said = match ask {
            Ask::Hello { secret } => self.hello(&secret),
            Ask::Join { secret, host } => self.join(&secret, &host).await,
            Ask::Agent { host, key, name } => self.agent(&host, &key, &name).await,
            Ask::Git { .. } => Err("ask for one repository on a connection".to_owned()),
        };
        said.unwrap_or_else(|why| Answer::Refused { why })
    }

    fn hello(&self, secret: &str) -> std::result::Result<Answer, String> {
        invitations::look(&self.state, secret, now())?;
        Ok(Answer::Hello(Hello {
            mesh: self.state.mesh.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at_ms: now(),
        }))
    }

    async fn join(&self, secret: &str, host: &ActorId) -> std::result::Result<Answer, String> {
        // Looked at first: a name that will not do must not cost the code.
        invitations::look(&self.state, secret, now())?;
        let trust = keys::open(&self.state).map_err(told)?;
        if let Some(why) = members::taken(host, &keys::users(&trust).map_err(told)?) {
            return Err(why);
        }
        let invitation = invitations::take(&self.state, secret, host, now())?;
        let person = invitation.person;
        let mint = |name: &ActorId, role| {
            trust.mint_away(name.as_str(), role, host.as_str()).map_err(|error| error.to_string())
        };
        let person_credential = mint(&person, Role::Person)?;
        let probe_credential = mint(host, Role::Probe)?;
        let key = members::keep(&self.state, host, &person, now()).map_err(told)?;
        let actors = [(person.to_string(), Role::Person), (host.to_string(), Role::Probe)];
        self.register(BTreeMap::from(actors)).await?;
        tracing::info!(%host, %person, "a host has joined");
        let authority = self.authority.clone();
        let granted = Granted { authority, key, person, person_credential, probe_credential };
        Ok(Answer::Joined(granted))
    }

    async fn agent(
        &self,
        host: &ActorId,
        key: &str,
        name: &ActorId,
    ) -> std::result::Result<Answer, String> {
        self.check(host, key)?;
        if !name.as_str().starts_with(&format!("{host}-")) {
            return Err(format!("an agent of the host {host} is called {host}-SOMETHING"));
        }
        let trust = keys::open(&self.state).map_err(told)?;
        let credential = trust.mint_away(name.as_str(), Role::Agent, host.as_str());
        let credential = credential.map_err(|error| error.to_string())?;
        self.register(BTreeMap::from([(name.to_string(), Role::Agent)])).await?;
        Ok(Answer::Agent { credential })
    }

    /// The service's name, where the repository lies, and the branch that work lands on.
    async fn repository(
        &self,
        host: &ActorId,
        key: &str,
        repo: &RepoId,
        service: &str,
    ) -> std::result::Result<(&'static str, String, String), String> {
        self.check(host, key)?;
        let service = git::named(service).ok_or("git has no such service")?;
        let admin = keys::admin(&self.state, &self.nats_url, ANSWERS_WITHIN).await.map_err(told)?;
        let repos: Vec<RepoView> = admin.list("repos", json!({})).await.map_err(told)?;
        let found = repos.into_iter().find(|one| one.repo == *repo);
        let found = found.ok_or_else(|| format!("the mesh has no repository {repo}"))?;
        let path = found.path.filter(|_| found.host.is_none());
        let path = path.ok_or_else(|| format!("{repo} does not lie on this host"))?;
        Ok((service, path, found.target))
    }

    fn check(&self, host: &ActorId, key: &str) -> std::result::Result<(), String> {
        if members::is_member(&self.state, host, key) {
            return Ok(());
        }
        Err(format!("the host {host} is not of this mesh, or no longer; `devmesh invite` it anew"))
    }

    async fn register(&self, actors: BTreeMap<String, Role>) -> std::result::Result<(), String> {
        let tell = async {
            let admin = keys::admin(&self.state, &self.nats_url, ANSWERS_WITHIN).await?;
            keys::register(&admin, &actors).await
        };
        let done: Result<()> = tell.await;
        done.map_err(told)
    }
}

/// An error in one line, as the other host reads it.
fn told(error: Error) -> String {
    error.lines().first().cloned().unwrap_or_default()
}
