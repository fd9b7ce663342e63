//! The keeper: answers for the repositories that lie on its host.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use devmesh_bus::client::{Client, Outcome};
use devmesh_bus::media::{blob, mail};
use devmesh_protocol::view::{RepoView, TaskView};
use devmesh_protocol::{ActorId, Digest, HostId, Reply, RepoId, TaskId};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::words::{Answer, Ask, Letter, Said, Step, is_name, is_object, refs_in};
use super::{bus, pack};
use crate::clock::wall_ms;
use crate::error::{Error, Result};
use crate::git::{Git, is_ancestor, resolve, worktrees};
use crate::origin::saved_at;
use crate::save::{self, WORK_REFS};

/// Letters that are answered at once.
const AT_ONCE_MAX: usize = 8;
/// A question about how things stand that is older than this is nobody's any more.
const STALE_MS: u64 = 60_000;
/// How long a save that cannot be taken in is tried again.
const TRIED_MS: u64 = 3_600_000;
/// How long the mesh is asked.
const ASK: Duration = Duration::from_secs(20);
/// The pause before the inbox is read again.
const PAUSE: Duration = Duration::from_secs(2);
/// Where the turns of branches stand.
const TURN_REFS: &str = "refs/devmesh/turn/";
/// Branches of devmesh's own that no queue moves.
const TASK_BRANCHES: &str = "refs/heads/devmesh/task/";

/// Answers for the repositories of `host` until `shutdown`.
pub async fn run(client: Client, host: HostId, shutdown: CancellationToken) {
    let (client, host) = (Arc::new(client), Arc::new(host));
    let (places, hands) = (Arc::new(Semaphore::new(AT_ONCE_MAX)), Arc::<Hands>::default());
    let mut inbox = mail::Inbox::of(&client);
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let letter = tokio::select! {
            () = shutdown.cancelled() => return,
            letter = inbox.next() => letter,
        };
        let letter = match letter {
            Ok(letter) => letter,
            Err(error) => {
                tracing::warn!(%error, "the keeper cannot read its letters");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (client, host, hands) = (client.clone(), host.clone(), hands.clone());
        tokio::spawn(async move {
            let _place = place;
            // One that takes long is delivered again meanwhile.
            let Some(_hand) = Hand::on(&hands, &letter) else { return };
            if !answer(&client, &host, &letter).await {
                return;
            }
            // Only now: who dies in between reads it again.
            if let Err(error) = mail::Inbox::of(&client).settle(&letter).await {
                tracing::debug!(%error, "a letter comes again");
            }
        });
    }
}

/// Letters that are being answered.
type Hands = Mutex<BTreeSet<(ActorId, Digest)>>;

/// One of them, until it is.
struct Hand<'a>(&'a Hands, (ActorId, Digest));

impl<'a> Hand<'a> {
    fn on(hands: &'a Hands, letter: &mail::Letter) -> Option<Self> {
        let it = (letter.from.clone(), Digest::of(&letter.body));
        let mut all = hands.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(it.clone()).then_some(Self(hands, it))
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// Whether it need not come again.
pub(super) async fn answer(client: &Client, host: &HostId, letter: &mail::Letter) -> bool {
    let Ok(asked) = serde_json::from_slice::<Letter>(&letter.body) else {
        tracing::warn!(from = %letter.from, "a letter that is not understood");
        return true;
    };
    let age_ms = wall_ms().saturating_sub(asked.asked_at);
    if matches!(asked.ask, Ask::Fetch { .. }) && age_ms > STALE_MS {
        return true;
    }
    say(client, &letter.from, &asked.id, Said::Begun).await;
    let keeper = Keeper { client, host, from: &letter.from };
    let said = match keeper.reply(&asked).await {
        Ok(said) => said,
        Err(error) => Said::Failed { why: error.chain() },
    };
    if let Said::Refused { why } | Said::Failed { why } = &said {
        tracing::warn!(from = %letter.from, repo = %asked.repo, why, "not done");
    }
    // Whoever sent a save may be gone: what the mesh or the disk failed at is tried again.
    let again = matches!((&asked.ask, &said), (Ask::Put { .. }, Said::Failed { .. }));
    say(client, &letter.from, &asked.id, said).await;
    !again || age_ms > TRIED_MS
}

async fn say(client: &Client, to: &ActorId, id: &str, said: Said) {
    // The first word and the last are two letters.
    let name = format!("{id}.{}", u8::from(said != Said::Begun));
    let answer = Answer { id: id.to_owned(), said };
    let Ok(body) = serde_json::to_vec(&answer) else { return };
    if let Err(error) = mail::send(client, to, &name, body.into()).await {
        tracing::warn!(%to, %error, "the keeper's answer is not sent");
    }
}

/// One letter's answer.
struct Keeper<'a> {
    client: &'a Client,
    host: &'a HostId,
    from: &'a ActorId,
}

/// A repository of this host.
struct Kept {
    git: Git,
    /// The branch that work lands on.
    target: String,
}

/// The objects that a question names.
fn objects(ask: &Ask) -> impl Iterator<Item = &str> {
    let (moves, commit) = match ask {
        Ask::Move { moves, .. } => (&moves[..], None),
        Ask::Put { commit, .. } => (&[][..], Some(commit)),
        Ask::Fetch { .. } | Ask::Forget { .. } => (&[][..], None),
    };
    let moved = moves.iter().flat_map(|step| step.old.iter().chain([&step.new]));
    moved.chain(commit).map(String::as_str)
}

fn refused(why: impl Into<String>) -> Said {
    Said::Refused { why: why.into() }
}

impl Keeper<'_> {
    async fn reply(&self, letter: &Letter) -> Result<Said> {
        // They become words of git's own commands and lines of its scripts.
        if let Some(odd) = objects(&letter.ask).find(|object| !is_object(object)) {
            let odd = crate::text::line(odd);
            return Ok(refused(format!("{odd:?} is not the full name of an object")));
        }
        let kept = match self.kept(&letter.repo).await? {
            Ok(kept) => kept,
            Err(why) => return Ok(refused(why)),
        };
        match &letter.ask {
            Ask::Fetch { have } => self.stands(&kept, have.as_ref()).await,
            Ask::Move { task, moves, bundle } => {
                let turn = match self.task(*task, &letter.repo).await? {
                    Some(task) => self.turn_in(&task, &kept, moves),
                    None => Err(format!("{} has no task {task}", letter.repo)),
                };
                match turn {
                    Ok((turn, target)) => {
                        self.take(&kept, bundle.as_ref()).await?;
                        land(&kept.git, moves, turn, &target, *task).await
                    }
                    Err(why) => Ok(refused(why)),
                }
            }
            Ask::Put { task, name, commit, bundle } => {
                let allowed = match self.task(*task, &letter.repo).await? {
                    Some(view) => self.may_put(&view, name),
                    None => Err(format!("{} has no task {task}", letter.repo)),
                };
                if let Err(why) = allowed {
                    return Ok(refused(why));
                }
                self.take(&kept, bundle.as_ref()).await?;
                put(&kept.git, name, commit).await
            }
            Ask::Forget { task } => {
                let view = self.task(*task, &letter.repo).await?;
                if view.is_none_or(|view| view.state != "completed") {
                    return Ok(refused(format!("{task} has not landed")));
                }
                save::forget(&kept.git, &task.to_string()).await?;
                Ok(Said::Done)
            }
        }
    }

    async fn kept(&self, repo: &RepoId) -> Result<Result<Kept, String>> {
        let found = self.query("repos", json!({})).await?;
        let list = found.get("repos").cloned().unwrap_or(found);
        let repos: Vec<RepoView> = understood(list)?;
        let Some(found) = repos.into_iter().find(|one| one.repo == *repo) else {
            return Ok(Err(format!("the mesh has no repository {repo}")));
        };
        let path = found.path.filter(|_| found.host.as_ref() == Some(self.host));
        let Some(path) = path else {
            return Ok(Err(format!("{repo} does not lie on {}", self.host)));
        };
        Ok(Ok(Kept { git: Git::at(path), target: found.target }))
    }

    /// The task, where it is one of this repository.
    async fn task(&self, task: TaskId, repo: &RepoId) -> Result<Option<TaskView>> {
        let found = self.query("task", json!({ "task": task })).await?;
        let one = found.get("task").filter(|one| one.is_object()).cloned().unwrap_or(found);
        let view: TaskView = understood(one)?;
        Ok(Some(view).filter(|view| view.repo == *repo))
    }

    async fn query(&self, what: &str, body: Value) -> Result<Value> {
        let failed =
            |why: String| Error::Keeper { repo: what.to_owned(), host: self.host.to_string(), why };
        let asked = self.client.query(what, body, ASK).await;
        match asked.map_err(bus(format!("ask the mesh for its {what}")))? {
            Outcome::Reply(Reply::Ok { result, .. }) => Ok(result),
            Outcome::Reply(Reply::Err { error, .. }) => Err(failed(error.to_string())),
            Outcome::Unknown { why } => Err(failed(why)),
        }
    }

    async fn stands(&self, kept: &Kept, have: Option<&Digest>) -> Result<Said> {
        let refs = pack::refs_of(&kept.git).await?;
        let theirs = match have {
            Some(have) => {
                let listed = blob::get(self.client, self.from, have).await;
                refs_in(&String::from_utf8_lossy(&listed.map_err(bus("get a list of refs"))?))
            }
            None => Vec::new(),
        };
        let theirs: BTreeSet<String> = theirs.into_iter().map(|(object, _)| object).collect();
        let lacking: Vec<String> = refs_in(&refs)
            .into_iter()
            .filter_map(|(object, name)| (!theirs.contains(&object)).then_some(name))
            .collect();
        let bundle = match lacking.is_empty() {
            true => None,
            false => {
                let common = pack::present(&kept.git, &theirs).await?;
                pack::put(self.client, &kept.git, &lacking, &common).await?
            }
        };
        let refs = blob::put(self.client, refs.as_bytes()).await;
        Ok(Said::Stands { refs: refs.map_err(bus("store a list of refs"))?, bundle })
    }

    async fn take(&self, kept: &Kept, bundle: Option<&Digest>) -> Result<()> {
        match bundle {
            Some(bundle) => pack::take(self.client, &kept.git, self.from, bundle).await,
            None => Ok(()),
        }
    }

    /// The turn that the asker has, and its branch, where these are the moves of a turn.
    fn turn_in(
        &self,
        task: &TaskView,
        kept: &Kept,
        moves: &[Step],
    ) -> Result<(u64, String), String> {
        let target = if task.target.is_empty() { &kept.target } else { &task.target };
        let attempt = task.attempt.as_ref().filter(|attempt| attempt.actor == *self.from);
        let Some(turn) = attempt.and_then(|attempt| attempt.turn) else {
            return Err(format!("{} has no turn to land {}", self.from, task.task));
        };
        let of_turn = format!("{TURN_REFS}{target}");
        let branch = format!("refs/heads/{target}");
        let known = |step: &Step| step.name == of_turn || step.name == branch;
        if !moves.iter().all(known) || !moves.iter().any(|step| step.name == of_turn) {
            return Err(format!("a turn moves its ref and {target}, nothing else"));
        }
        Ok((turn, target.clone()))
    }

    /// Whether the asker may put a commit under this name for its task.
    fn may_put(&self, task: &TaskView, name: &str) -> Result<(), String> {
        let own = task.task.to_string();
        let attempt = name
            .strip_prefix(WORK_REFS)
            .and_then(|rest| rest.strip_prefix('/')?.strip_prefix(&own)?.strip_prefix('/'))
            .and_then(|number| number.parse::<u32>().ok());
        let now = task.attempt.iter().map(|it| (it.attempt, &it.actor));
        let before = task.attempts.iter().map(|it| (it.attempt, &it.actor));
        let mut tries = now.chain(before).filter(|(_, actor)| *actor == self.from);
        let may = match attempt {
            Some(attempt) => tries.any(|(number, _)| number == attempt),
            None => name.strip_prefix(TASK_BRANCHES) == Some(&own) && tries.next().is_some(),
        };
        if may && is_name(name) {
            return Ok(());
        }
        Err(format!("{} keeps nothing under {name}", self.from))
    }
}

fn understood<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| Error::GitAnswer {
        command: "of the mesh".into(),
        answer: error.to_string(),
    })
}

/// The moves of a turn, in one transaction.
async fn land(git: &Git, moves: &[Step], turn: u64, target: &str, task: TaskId) -> Result<Said> {
    let mut done = true;
    for step in moves {
        done &= resolve(git, &step.name).await?.as_ref() == Some(&step.new);
    }
    if done {
        // A letter that is read again: its keeper died before it could say so.
        return Ok(Said::Done);
    }
    let mut script = "start\n".to_owned();
    for Step { name, old, new } in moves {
        if name.starts_with(TURN_REFS) {
            let says = git.try_run(&["cat-file", "blob", new], &[]).await?;
            if says.code != 0 || says.text().trim().parse() != Ok(turn) {
                return Ok(refused(format!("{name} is to name the turn {turn}")));
            }
        } else if let Some(why) = in_the_way(git, target, old.as_deref(), new).await? {
            return Ok(refused(why));
        }
        let old = old.clone().unwrap_or_else(|| "0".repeat(new.len()));
        script += &format!("update {name} {new} {old}\n");
    }
    script += "prepare\ncommit\n";
    let message = format!("devmesh: land {task}");
    let args = ["update-ref", "--no-deref", "-m", &message, "--stdin"];
    let output = git.try_run(&args, script.as_bytes()).await?;
    if output.code == 0 {
        return Ok(Said::Done);
    }
    Ok(refused(output.stderr.trim_end()))
}

/// Why a branch cannot be moved to a commit.
async fn in_the_way(
    git: &Git,
    target: &str,
    old: Option<&str>,
    new: &str,
) -> Result<Option<String>> {
    if resolve(git, &format!("{new}^{{commit}}")).await?.is_none() {
        return Ok(Some(format!("{new} is not here")));
    }
    if let Some(old) = old
        && !is_ancestor(git, old, new).await?
    {
        return Ok(Some(format!("{target} only moves forward")));
    }
    let branch = format!("refs/heads/{target}");
    let holds = worktrees(git).await?.into_iter();
    let mut holds = holds.filter(|one| one.branch.as_deref() == Some(branch.as_str()));
    let held = holds.next().map(|one| one.path.display().to_string());
    Ok(held.map(|path| format!("{target} is checked out in {path}")))
}

/// Puts a commit under a name; of two saves of one attempt the newer stays.
async fn put(git: &Git, name: &str, commit: &str) -> Result<Said> {
    if resolve(git, &format!("{commit}^{{commit}}")).await?.as_deref() != Some(commit) {
        return Ok(refused(format!("{commit} is not here")));
    }
    let stands = resolve(git, name).await?;
    if let Some(stands) = &stands
        && name.starts_with(WORK_REFS)
        && saved_at(git, stands).await? > saved_at(git, commit).await?
    {
        return Ok(Said::Done);
    }
    if name.starts_with(TASK_BRANCHES) {
        // `git branch` looks at all worktrees, which `update-ref` does not.
        let branch = name.trim_start_matches("refs/heads/");
        let made = git.try_run(&["branch", "--force", "--no-track", branch, commit], &[]).await?;
        return Ok(if made.code == 0 { Said::Done } else { refused(made.stderr.trim_end()) });
    }
    let old = stands.unwrap_or_else(|| "0".repeat(commit.len()));
    let moved = git.try_run(&["update-ref", "--no-deref", name, commit, &old], &[]).await?;
    Ok(if moved.code == 0 { Said::Done } else { refused(moved.stderr.trim_end()) })
}
