//! What every command knows: which mesh, where it is, who speaks, how to print.

use std::path::PathBuf;
use std::time::Duration;

use devmesh_bus::client::{Client, Outcome, mint};
use devmesh_protocol::id::plain;
use devmesh_protocol::view::RepoView;
use devmesh_protocol::{ActorId, Command, MeshId, Reply, RepoId, Verb};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::git::{self, Repo};
use crate::host::Joined;
use crate::keys;
use crate::output::{Colour, Output};
use crate::state_dir::{RunFile, StateDir};

/// What can be said to every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// The mesh; the one this repository is linked to, else `default`
    #[arg(long, global = true, env = "DEVMESH_MESH", value_name = "NAME", hide_env_values = true)]
    pub(crate) mesh: Option<MeshId>,
    /// Where the mesh keeps its state on this machine
    #[arg(
        long,
        global = true,
        env = "DEVMESH_STATE_DIR",
        value_name = "DIR",
        hide_env_values = true
    )]
    pub(crate) state_dir: Option<PathBuf>,
    /// The bus; the one that `up` started, where nothing is said
    #[arg(
        long,
        global = true,
        env = "DEVMESH_NATS_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(crate) nats_url: Option<String>,
    /// The credential; the one of --as under the state folder, where nothing is said
    #[arg(long, global = true, env = "DEVMESH_CREDS", value_name = "FILE", hide_env_values = true)]
    pub(crate) creds: Option<PathBuf>,
    /// Who speaks: the name on the credential; you, where nothing is said
    #[arg(
        long = "as",
        id = "speaker",
        global = true,
        env = "DEVMESH_AS",
        value_name = "NAME",
        hide_env_values = true
    )]
    pub(crate) speaker: Option<ActorId>,
    /// Print JSON: the answer as it came
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Colour,
    /// Seconds to wait for an answer
    #[arg(
        long = "within",
        id = "within_s",
        global = true,
        env = "DEVMESH_WITHIN_SEC",
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=86_400),
        hide_env_values = true
    )]
    pub(crate) within_s: u64,
    /// Logging.
    #[command(flatten)]
    pub(crate) logging: crate::logging::Logging,
}

/// What a command works with.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// What was said.
    pub(crate) globals: Globals,
    /// How to print.
    pub(crate) out: Output,
}

impl Context {
    /// From what was said.
    pub(crate) fn new(globals: Globals) -> Context {
        let out = Output::new(globals.json, globals.color);
        Context { globals, out }
    }

    /// How long an answer may take.
    pub(crate) fn within(&self) -> Duration {
        Duration::from_secs(self.globals.within_s)
    }

    /// The repository around the working directory.
    pub(crate) fn repo(&self) -> Result<Option<Repo>> {
        Repo::around(&git::here()?)
    }

    /// The mesh's state on this machine.
    pub(crate) fn state(&self) -> Result<StateDir> {
        // Without git there may still be a mesh.
        let repo = self.repo().unwrap_or_default();
        let globals = &self.globals;
        StateDir::resolve(globals.state_dir.as_deref(), globals.mesh.as_ref(), repo.as_ref())
    }

    /// Who speaks where nothing is said: the user, in the alphabet of ids.
    pub(crate) fn person() -> ActorId {
        let user = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
        let user = user.or_else(|| {
            nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name)
        });
        let plain = plain(&user.unwrap_or_default());
        // These names are the mesh's own.
        let taken = ["admin", "coordinator", "dashboard", "replay"].contains(&plain.as_str());
        let name = if taken { format!("{plain}-user") } else { plain };
        ActorId::new(&name)
            .unwrap_or_else(|_| ActorId::new("person").expect("a plain word names an actor"))
    }

    /// Where the bus is, as said or as `up` wrote down.
    pub(crate) fn nats_url(&self, state: &StateDir) -> Result<String> {
        if let Some(url) = self.globals.nats_url.as_ref().filter(|url| !url.trim().is_empty()) {
            return Ok(url.clone());
        }
        match RunFile::read(state)? {
            Some(run) if !run.nats_url.is_empty() => Ok(run.nats_url),
            Some(_) | None if Joined::is_at(state) => Ok(Joined::here(state)?.nats_url()),
            Some(_) | None => Err(Error::unreachable(format!("find mesh {}", state.mesh))
                .because("it does not run on this machine")
                .hint("start it with `devmesh up`, or name its bus with --nats-url")),
        }
    }

    /// Connects as who speaks.
    pub(crate) async fn connect(&self) -> Result<Link> {
        let state = self.state()?;
        let url = self.nats_url(&state)?;
        let actor = match self.globals.speaker.clone() {
            Some(speaker) => speaker,
            None if Joined::is_at(&state) => Joined::here(&state)?.person,
            None => Context::person(),
        };
        let creds = self.globals.creds.clone().unwrap_or_else(|| state.creds_of(actor.as_str()));
        if !creds.exists() {
            let hint =
                format!("`devmesh cred mint {actor} --role person` makes one; --as names another");
            return Err(Error::usage(format!("{} is not there", creds.display())).hint(hint));
        }
        if !keys::is_whole(&creds) {
            return Err(Error::usage(format!("{} is damaged", creds.display()))
                .because("it holds no NATS user token and seed")
                .hint(format!("`devmesh cred mint {actor} --role ROLE` makes it again")));
        }
        let client = Client::connect(&url, Some(&creds), &state.mesh, &actor).await?;
        Ok(Link { client, within: self.within() })
    }

    /// Sends a command and prints what `human` makes of its result.
    pub(crate) async fn act(
        &self,
        verb: Verb,
        human: impl FnOnce(&Value, Option<u64>),
    ) -> Result<()> {
        let reply = self.connect().await?.submit(verb).await?;
        self.out.answer(reply, human)
    }

    /// Asks for a list and prints what `human` makes of its entries.
    pub(crate) async fn list<T: Entry>(
        &self,
        what: &str,
        body: Value,
        human: impl FnOnce(Vec<T>),
    ) -> Result<()> {
        let link = self.connect().await?;
        if !self.out.json {
            human(link.list(what, body).await?);
            return Ok(());
        }
        self.out.answer(link.ask_all::<T>(what, body).await?, |_, _| {})
    }

    /// Prints an answer: as it came where JSON is asked for, else what `human` makes of it.
    pub(crate) fn show<T: DeserializeOwned>(
        &self,
        what: &str,
        reply: Reply,
        human: impl FnOnce(T),
    ) -> Result<()> {
        if self.out.json {
            return self.out.answer(reply, |_, _| {});
        }
        let (_, result) = reply.into_result().map_err(Error::rejected)?;
        human(read(what, result)?);
        Ok(())
    }
}

/// A connection of who speaks.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// The connection.
    pub(crate) client: Client,
    within: Duration,
}

impl Link {
    /// A connection that waits so long for answers.
    pub(crate) fn new(client: Client, within: Duration) -> Link {
        Link { client, within }
    }

    /// How long it waits.
    pub(crate) fn within(&self) -> Duration {
        self.within
    }

    /// Sends a command: its id is minted here, once, and sent again until it is answered.
    pub(crate) async fn submit(&self, verb: Verb) -> Result<Reply> {
        self.submit_within(verb, self.within).await
    }

    /// As [`Link::submit`], for a command that itself waits.
    pub(crate) async fn submit_within(&self, verb: Verb, within: Duration) -> Result<Reply> {
        let actor = self.client.actor().clone();
        let command = Command { id: mint(), actor, session: None, verb };
        let outcome = tokio::select! {
            outcome = self.client.submit(&command, within) => outcome?,
            _ = tokio::signal::ctrl_c() => Outcome::Unknown { why: "you ended the wait".into() },
        };
        match outcome {
            Outcome::Reply(reply) => Ok(reply),
            Outcome::Unknown { why } => Err(Error::unknown(command.verb.name(), &command.id, &why)),
        }
    }

    /// Sends a command; a refusal is an error.
    pub(crate) async fn done(&self, verb: Verb) -> Result<(Option<u64>, Value)> {
        self.submit(verb).await?.into_result().map_err(Error::rejected)
    }

    /// Asks a query.
    pub(crate) async fn ask(&self, what: &str, body: Value) -> Result<Reply> {
        match self.client.query(what, body, self.within).await? {
            Outcome::Reply(reply) => Ok(reply),
            Outcome::Unknown { why } => Err(Error::unreachable("get an answer from the mesh")
                .because(why)
                .hint("`devmesh status` and the logs under .devmesh/logs say more")),
        }
    }

    /// Asks a query and reads its answer; a refusal is an error.
    pub(crate) async fn get<T: DeserializeOwned>(&self, what: &str, body: Value) -> Result<T> {
        let (_, result) = self.ask(what, body).await?.into_result().map_err(Error::rejected)?;
        read(what, result)
    }

    /// Asks for a list part by part; the answer holds all of it, or as much as `body` limits it to.
    pub(crate) async fn ask_all<T: Entry>(&self, what: &str, mut body: Value) -> Result<Reply> {
        let mut whole = self.ask(what, body.clone()).await?;
        if body.get("limit").is_some() {
            return Ok(whole);
        }
        let part_max = usize::try_from(devmesh_protocol::query::LIMIT).unwrap_or(1);
        let mut all = take::<T>(&mut whole);
        let mut had = all.len();
        while had >= part_max {
            body["after"] = all[all.len() - 1][T::KEY].clone();
            let mut more = self.ask(what, body.clone()).await?;
            if matches!(more, Reply::Err { .. }) {
                return Ok(more);
            }
            let part = take::<T>(&mut more);
            had = part.len();
            all.extend(part);
        }
        if let Reply::Ok { result, .. } = &mut whole {
            result[T::LIST] = Value::Array(all);
        }
        Ok(whole)
    }

    /// All entries of a list; a refusal is an error.
    pub(crate) async fn list<T: Entry>(&self, what: &str, body: Value) -> Result<Vec<T>> {
        let reply = self.ask_all::<T>(what, body).await?;
        let (_, mut result) = reply.into_result().map_err(Error::rejected)?;
        read(what, result[T::LIST].take())
    }
}

/// What can be asked for part by part.
pub(crate) trait Entry: DeserializeOwned {
    /// Under which name an answer lists it.
    const LIST: &'static str;
    /// Its field that the next part comes after.
    const KEY: &'static str;
}

macro_rules! entry {
    ($($view:ident: $list:literal by $key:literal,)*) => {
        $(impl Entry for devmesh_protocol::view::$view {
            const LIST: &'static str = $list;
            const KEY: &'static str = $key;
        })*
    };
}
entry! {
    TaskView: "tasks" by "task",
    AgentView: "agents" by "agent",
    HostView: "hosts" by "host",
    RepoView: "repos" by "repo",
    NoteView: "notes" by "key",
    LeaseView: "leases" by "lease",
}

/// Takes the entries out of an answer; of a refusal there are none.
fn take<T: Entry>(reply: &mut Reply) -> Vec<Value> {
    let Reply::Ok { result, .. } = reply else { return Vec::new() };
    match result.get_mut(T::LIST).map(Value::take) {
        Some(Value::Array(part)) => part,
        _ => Vec::new(),
    }
}

fn read<T: DeserializeOwned>(what: &str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| {
        Error::failed(format!("read the answer to {what}"))
            .because(error)
            .hint("is the coordinator of another version than this program?")
    })
}

/// The name that the repository around the working directory has in the mesh; none outside of one,
/// or where the state of the mesh is not on this machine.
pub(crate) async fn repo_here(context: &Context, link: &Link) -> Result<Option<RepoId>> {
    let Some(repo) = context.repo()? else { return Ok(None) };
    let repos: Vec<RepoView> = link.list("repos", json!({})).await?;
    // A path says nothing of another host; in a clone of what the mesh's host has, it may be meant.
    let host = Joined::host_at(&context.state()?)?;
    let near = |known: &&RepoView| known.host.is_none() || known.host == host;
    let here = repo.main_root();
    let is_here = |path: &Option<String>| {
        path.as_ref().is_some_and(|path| {
            let path = PathBuf::from(path);
            path == here || path == repo.root || path.canonicalize().is_ok_and(|real| real == here)
        })
    };
    if let Some(found) = repos.iter().filter(near).find(|known| is_here(&known.path)) {
        return Ok(Some(found.repo.clone()));
    }
    Err(Error::usage(format!("{} is not in this mesh", repo.root.display()))
        .hint("add it with `devmesh repo add`, or name another with --repo"))
}
