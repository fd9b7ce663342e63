//! The side that asks: one inbox for a process, a line for each repository.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use devmesh_bus::client::Client;
use devmesh_bus::media::{blob, mail};
use devmesh_protocol::{ActorId, Digest, HostId, RepoId, TaskId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::words::{Answer, Ask, Letter, Said, Step, refs_in};
use super::{bus, name_of, pack};
use crate::clock::wall_ms;
use crate::error::{Doing, Error, Result};
use crate::git::Git;
use crate::origin::{Move, Pushed};

/// How long a keeper may take to say that it has read a letter.
const HEARD: Duration = Duration::from_secs(20);
/// And then to do what it is asked.
const DONE: Duration = Duration::from_secs(900);
/// The file in a mirror that says what the other end had last.
const THERE: &str = "devmesh-there";
/// What follows the other end in a mirror; saves are adopted from where they stand here.
const MIRRORED: [&str; 4] =
    ["refs/heads", "refs/tags", "refs/devmesh/there/work", "refs/devmesh/turn"];
/// Tries to move a mirror's refs: another agent of this host may hold its locks.
const TRIES_MAX: u32 = 5;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(200);

/// A process's correspondence with keepers.
#[derive(Clone, Debug)]
pub struct Post {
    client: Client,
    /// Who waits for an answer, and whose.
    waiting: Arc<Mutex<Waiting>>,
    reader: Arc<Mutex<Option<Reader>>>,
}

type Waiting = BTreeMap<String, (ActorId, mpsc::UnboundedSender<Said>)>;

/// Reads the inbox until nobody is left to ask.
#[derive(Debug)]
struct Reader(JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The way to one repository.
#[derive(Clone, Debug)]
pub struct Line {
    post: Post,
    host: HostId,
    repo: RepoId,
}

impl Post {
    /// Nothing is read before the first question.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        let (client, waiting) = (client.clone(), Arc::default());
        Self { client, waiting, reader: Arc::default() }
    }

    /// The way to a repository that lies on `host`.
    #[must_use]
    pub fn line(&self, host: &HostId, repo: &RepoId) -> Line {
        Line { post: self.clone(), host: host.clone(), repo: repo.clone() }
    }

    /// Reads the inbox from now on.
    fn read(&self) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.as_ref().is_some_and(|reader| !reader.0.is_finished()) {
            return;
        }
        let (client, waiting) = (self.client.clone(), self.waiting.clone());
        *reader = Some(Reader(tokio::spawn(async move {
            if let Err(error) = hear(&client, &waiting).await {
                tracing::warn!(%error, "no answers of keepers are heard");
            }
        })));
    }
}

/// Gives each answer to who waits for it. One that nobody waits for came too late.
async fn hear(client: &Client, waiting: &Mutex<Waiting>) -> devmesh_bus::Result<()> {
    let mut inbox = mail::Inbox::of(client);
    loop {
        let letter = inbox.next().await?;
        if let Ok(answer) = serde_json::from_slice::<Answer>(&letter.body) {
            let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let found = waiting.get(&answer.id).filter(|(from, _)| *from == letter.from);
            if let Some((_, asker)) = found {
                let _ = asker.send(answer.said);
            }
        }
        inbox.settle(&letter).await?;
    }
}

/// Taken out of the waiting ones with its question.
struct Waits<'a>(&'a Mutex<Waiting>, &'a str);

impl<'a> Waits<'a> {
    fn begin(
        waiting: &'a Mutex<Waiting>,
        id: &'a str,
        asker: (ActorId, mpsc::UnboundedSender<Said>),
    ) -> Self {
        waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), asker);
        Self(waiting, id)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(self.1);
    }
}

impl Line {
    /// Brings a mirror up to date, its saves under `refs/devmesh/there`.
    ///
    /// # Errors
    /// When the keeper does not answer or what it sends cannot be taken in.
    pub(crate) async fn fetch(&self, git: &Git) -> Result<()> {
        let own = pack::refs_of(git).await?;
        let have = match own.is_empty() {
            true => None,
            false => Some(self.store(own.as_bytes(), "store a list of refs").await?),
        };
        let (refs, bundle) = match self.ask(Ask::Fetch { have }).await? {
            Said::Stands { refs, bundle } => (refs, bundle),
            said => return Err(self.odd(said)),
        };
        let keeper = self.keeper()?;
        let client = &self.post.client;
        let listed = blob::get(client, &keeper, &refs).await.map_err(bus("get a list of refs"))?;
        if let Some(bundle) = bundle {
            pack::take(client, git, &keeper, &bundle).await?;
        }
        let refs = refs_in(&String::from_utf8_lossy(&listed));
        self.mirror(git, &refs).await
    }

    /// The mirror's refs as they are there, in one transaction.
    async fn mirror(&self, git: &Git, refs: &[(String, String)]) -> Result<()> {
        for tries in 1.. {
            let script = script(git, refs).await?;
            let output = git.try_run(&["update-ref", "--stdin"], script.as_bytes()).await?;
            if output.code == 0 {
                break;
            }
            if tries >= TRIES_MAX || !output.stderr.contains("cannot lock ref") {
                return Err(crate::git::refused(&["update-ref"], &output));
            }
            tokio::time::sleep(PAUSE).await;
        }
        let there: String = refs.iter().map(|(object, _)| format!("{object}\n")).collect();
        remember(git.dir(), &there)
    }

    /// Moves refs there, all or none.
    ///
    /// # Errors
    /// When the keeper does not answer: what became of the move is not known then.
    pub(crate) async fn push(&self, git: &Git, task: &str, moves: &[Move<'_>]) -> Result<Pushed> {
        let new: Vec<&str> = moves.iter().map(|one| one.new).collect();
        let bundle = self.bundle(git, &new).await?;
        let step = |one: &Move<'_>| Step {
            name: one.name.to_owned(),
            old: one.old.map(str::to_owned),
            new: one.new.to_owned(),
        };
        let moves = moves.iter().map(step).collect();
        match self.ask(Ask::Move { task: self.task(task)?, moves, bundle }).await? {
            Said::Done => Ok(Pushed::Done),
            Said::Refused { why } => Ok(Pushed::Refused { said: why }),
            said => Err(self.odd(said)),
        }
    }

    /// Puts a commit under a name there.
    ///
    /// # Errors
    /// When the keeper does not answer or refuses. One that is away finds the letter when it is
    /// back.
    pub(crate) async fn send(&self, git: &Git, task: &str, name: &str, commit: &str) -> Result<()> {
        let bundle = self.bundle(git, &[commit]).await?;
        let (name, commit) = (name.to_owned(), commit.to_owned());
        self.done(Ask::Put { task: self.task(task)?, name, commit, bundle }).await
    }

    /// Forgets a landed task's saves there.
    ///
    /// # Errors
    /// When the keeper does not answer or refuses.
    pub(crate) async fn forget(&self, task: &str) -> Result<()> {
        self.done(Ask::Forget { task: self.task(task)? }).await
    }

    async fn done(&self, ask: Ask) -> Result<()> {
        match self.ask(ask).await? {
            Said::Done => Ok(()),
            said => Err(self.odd(said)),
        }
    }

    /// What the other end lacks of these objects. A bundle is of refs, so they get names for it.
    async fn bundle(&self, git: &Git, objects: &[&str]) -> Result<Option<Digest>> {
        let there = tokio::fs::read_to_string(git.dir().join(THERE)).await.unwrap_or_default();
        let there: BTreeSet<String> = there.lines().map(str::to_owned).collect();
        let has = pack::present(git, &there).await?;
        let folder = format!("refs/devmesh/out/{}", crate::id::command());
        let names: Vec<String> = (0..objects.len()).map(|n| format!("{folder}/{n}")).collect();
        let pairs = || names.iter().zip(objects);
        let made: String =
            pairs().map(|(name, object)| format!("create {name} {object}\n")).collect();
        git.run_with(&["update-ref", "--stdin"], made.as_bytes()).await?;
        let bundle = pack::put(&self.post.client, git, &names, &has).await;
        let gone: String = names.iter().map(|name| format!("delete {name}\n")).collect();
        git.run_with(&["update-ref", "--stdin"], gone.as_bytes()).await?;
        bundle
    }

    async fn store(&self, bytes: &[u8], doing: &str) -> Result<Digest> {
        blob::put(&self.post.client, bytes).await.map_err(bus(doing))
    }

    /// Asks, and waits for the last word.
    async fn ask(&self, ask: Ask) -> Result<Said> {
        self.post.read();
        let keeper = self.keeper()?;
        let id = crate::id::command().to_string();
        let (asker, mut answers) = mpsc::unbounded_channel();
        let _waits = Waits::begin(&self.post.waiting, &id, (keeper.clone(), asker));
        let letter = Letter { id: id.clone(), asked_at: wall_ms(), repo: self.repo.clone(), ask };
        let body = serde_json::to_vec(&letter).map_err(|error| self.away(error.to_string()))?;
        let sent = mail::send(&self.post.client, &keeper, &id, body.into()).await;
        sent.map_err(bus(format!("ask the keeper of {}", self.host)))?;
        let mut within = HEARD;
        loop {
            match tokio::time::timeout(within, answers.recv()).await {
                Ok(Some(Said::Begun)) => within = DONE,
                Ok(Some(said)) => return Ok(said),
                Ok(None) => return Err(self.away("nobody listens to it")),
                Err(_) if within == HEARD => {
                    let why = "it does not answer; is `devmesh up` running there?";
                    return Err(self.away(why));
                }
                Err(_) => return Err(self.away("it has begun and does not end")),
            }
        }
    }

    fn keeper(&self) -> Result<ActorId> {
        name_of(&self.host).ok_or_else(|| self.away("no keeper can have such a name"))
    }

    fn task(&self, task: &str) -> Result<TaskId> {
        task.parse().map_err(|_| self.away(format!("{task} is no task of the mesh")))
    }

    fn away(&self, why: impl Into<String>) -> Error {
        Error::Keeper { repo: self.repo.to_string(), host: self.host.to_string(), why: why.into() }
    }

    /// An answer that is none to what was asked.
    fn odd(&self, said: Said) -> Error {
        match said {
            Said::Refused { why } | Said::Failed { why } => self.away(why),
            Said::Begun | Said::Stands { .. } | Said::Done => {
                self.away("it answered another question")
            }
        }
    }
}

/// What makes a mirror's refs those of the other end.
async fn script(git: &Git, refs: &[(String, String)]) -> Result<String> {
    let mut own = crate::git::refs(git, &MIRRORED).await?;
    let mut script = String::new();
    for (object, name) in refs.iter().filter(|(_, name)| is_among(name, &pack::PLACES)) {
        let name = name.replacen("refs/devmesh/work/", "refs/devmesh/there/work/", 1);
        if own.remove(&name).as_ref() != Some(object) {
            script += &format!("update {name} {object}\n");
        }
    }
    for (name, object) in own {
        script += &format!("delete {name} {object}\n");
    }
    Ok(script)
}

/// Keeps what the other end had. Fetches of one mirror meet, so each writes a file of its own.
fn remember(mirror: &Path, there: &str) -> Result<()> {
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(mirror)?;
        file.write_all(there.as_bytes())?;
        file.persist(mirror.join(THERE)).map_err(|error| error.error)
    };
    write().map(|_| ()).doing(|| format!("write {}", mirror.join(THERE).display()))
}

/// Whether a ref's name is below one of the places.
fn is_among(name: &str, places: &[&str]) -> bool {
    places.iter().any(|place| name.strip_prefix(place).is_some_and(|rest| rest.starts_with('/')))
}
