//! What this host joined: kept beside the credentials it was given, for its owner alone.

use std::fs;
use std::path::{Path, PathBuf};

use devmesh_bus::connect::AUTHORITY;
use devmesh_bus::gate::{self, Dialed, Lines, Trusted};
use devmesh_protocol::{ActorId, HostId};
use serde::{Deserialize, Serialize};

use super::words::Granted;
use super::{Answer, Ask, Code};
use crate::error::{Error, Result};
use crate::keys;
use crate::state_dir::{StateDir, write_whole};

/// The mesh of another host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Joined {
    /// `HOST:PORT` of its gate.
    pub(crate) address: String,
    /// This host's name there.
    pub(crate) host: ActorId,
    /// What proves it.
    key: String,
    /// Whose host this is.
    pub(crate) person: ActorId,
}

impl Joined {
    /// Whether this state is of a mesh that was joined.
    pub(crate) fn is_at(state: &StateDir) -> bool {
        path(state).is_file()
    }

    /// This host's name in the mesh, where it joined one: repositories of it lie there.
    pub(crate) fn host_at(state: &StateDir) -> Result<Option<HostId>> {
        if !Joined::is_at(state) {
            return Ok(None);
        }
        let host = Joined::here(state)?.host;
        HostId::new(host.as_str())
            .map(Some)
            .map_err(|error| Error::usage("no host has that name").because(error))
    }

    /// What was joined.
    pub(crate) fn here(state: &StateDir) -> Result<Joined> {
        let path = path(state);
        let failed = || {
            Error::usage(format!("{} cannot be read", path.display()))
                .hint("ask for another code (`devmesh invite` on the first host) and join again")
        };
        let text = fs::read_to_string(&path).map_err(|error| failed().because(error))?;
        serde_json::from_str(&text).map_err(|error| failed().because(error))
    }

    /// Keeps all that was given.
    pub(crate) fn keep(
        state: &StateDir,
        code: &Code,
        host: &ActorId,
        granted: Granted,
    ) -> Result<Joined> {
        state.create()?;
        let creds = state.path.join("creds");
        let private = || -> std::io::Result<()> {
            use std::os::unix::fs::DirBuilderExt as _;
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&creds)
        };
        private().map_err(|error| Error::failed("keep the credentials").because(error))?;
        write_whole(&creds.join(AUTHORITY), &granted.authority)?;
        let probe = state.creds_of(host.as_str());
        write_whole(&probe, &granted.probe_credential)?;
        let person = state.creds_of(granted.person.as_str());
        write_whole(&person, &granted.person_credential)?;
        let joined = Joined {
            address: code.address.clone(),
            host: host.clone(),
            key: granted.key,
            person: granted.person,
        };
        let text = serde_json::to_string(&joined)
            .map_err(|error| Error::failed("keep what was joined").because(error))?;
        write_whole(&path(state), &text)?;
        Ok(joined)
    }

    /// Its bus, through its gate.
    pub(crate) fn nats_url(&self) -> String {
        format!("tls://{}", self.address)
    }

    /// The name of an agent of this host: every one begins with the host's.
    pub(crate) fn own(&self, name: &ActorId) -> Result<ActorId> {
        let own = format!("{}-", self.host);
        if name.as_str().strip_prefix(&own).unwrap_or(name.as_str()) == "keeper" {
            return Err(Error::usage("the keeper of this host's repositories has that name")
                .hint("choose another with --name"));
        }
        if name.as_str().starts_with(&own) {
            return Ok(name.clone());
        }
        ActorId::new(&format!("{own}{name}")).map_err(|error| {
            Error::usage(format!("no agent of {} can be named {name}", self.host)).because(error)
        })
    }

    /// The credential of an agent of this host, asked for where there is none.
    pub(crate) async fn ensure(&self, state: &StateDir, name: &ActorId) -> Result<()> {
        let path = state.creds_of(name.as_str());
        if keys::is_whole(&path) {
            return Ok(());
        }
        let (host, key) = (self.host.clone(), self.key.clone());
        let mut wire = self.dial(state).await?;
        match ask(&mut wire, &Ask::Agent { host, key, name: name.clone() }).await? {
            Answer::Agent { credential } => write_whole(&path, &credential),
            other => Err(odd(&other)),
        }
    }

    /// A connection that is git's.
    pub(crate) async fn git(&self, state: &StateDir, service: &str, repo: &str) -> Result<Dialed> {
        let repo = devmesh_protocol::RepoId::new(repo)
            .map_err(|error| Error::usage("no repository has that name").because(error))?;
        let (host, key) = (self.host.clone(), self.key.clone());
        let mut wire = self.dial(state).await?;
        let service = service.to_owned();
        match ask(&mut wire, &Ask::Git { host, key, repo, service }).await? {
            Answer::Git => Ok(wire),
            other => Err(odd(&other)),
        }
    }

    /// Where git finds the mesh's repositories from here: this program, as a tunnel.
    pub(crate) fn origin(state: &StateDir) -> Result<String> {
        let exe = std::env::current_exe()
            .map_err(|error| Error::failed("find this program").because(error))?;
        let words = [&exe, Path::new("tunnel"), Path::new("--state-dir"), &state.path];
        Ok(devmesh_agent::origin::through(&words))
    }

    async fn dial(&self, state: &StateDir) -> Result<Dialed> {
        let authority = state.path.join("creds").join(AUTHORITY);
        Ok(gate::dial(&self.address, &Trusted::File(authority)).await?)
    }
}

/// Asks; a refusal is an error.
pub(crate) async fn ask(wire: &mut Dialed, ask: &Ask) -> Result<Answer> {
    wire.say(ask).await?;
    match wire.hear::<Answer>().await? {
        Some(Answer::Refused { why }) => Err(Error::refused(why)),
        Some(answer) => Ok(answer),
        None => Err(Error::unreachable("hear an answer").because("the gate hung up")),
    }
}

/// An answer to another question.
pub(crate) fn odd(answer: &Answer) -> Error {
    tracing::debug!(?answer, "odd");
    Error::failed("understand the gate")
        .because("it answered another question")
        .hint("are both hosts of the same version? see `devmesh --version`")
}

fn path(state: &StateDir) -> PathBuf {
    state.path.join("joined.json")
}
