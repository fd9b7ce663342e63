//! Reads: tasks, repositories, notes, texts, and what this host is like.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use devmesh_bus::client::Outcome;
use devmesh_protocol::command::mesh::FrameworkRead;
use devmesh_protocol::event::TextRef;
use devmesh_protocol::query::LIMIT_MAX;
use devmesh_protocol::view::{AgentView, AttemptView, LeaseView, NoteView, RepoView, TaskView};
use devmesh_protocol::{Reply, RepoId, RepoPath, SessionId, TaskId, Verb};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{World, mesh};
use crate::git::Git;
use crate::input::{Input, LeasesSeen, Sight, Unable};
use crate::land;
use crate::origin;
use crate::view::{Job, Key};

/// Paths that a prompt names as changed by hand; more would bury the rest of it.
const NAMED_MAX: usize = 32;
/// Notes that are read for a prompt; of short ones it holds no more.
const NOTES_MAX: u32 = 32;
/// Parts of a list that are read.
const PAGES_MAX: usize = 32;
/// How long a question is asked again.
const ASK: Duration = Duration::from_secs(20);

/// Asks until there is an answer; none where it is refused or there is none in time.
async fn ask(world: &World, what: &str, body: Value) -> Option<Value> {
    match world.client.query(what, body, ASK).await {
        Ok(Outcome::Reply(Reply::Ok { result, .. })) => Some(result),
        Ok(Outcome::Reply(Reply::Err { error, .. })) => {
            tracing::info!(what, %error, "the question was refused");
            None
        }
        Ok(Outcome::Unknown { why }) => {
            tracing::info!(what, why, "the question was not answered");
            None
        }
        Err(error) => {
            tracing::warn!(what, %error, "the question was not asked");
            None
        }
    }
}

/// A result that is the thing itself or holds it under its name.
fn one<T: DeserializeOwned>(value: Value, name: &str) -> Option<T> {
    let inner = value.get(name).filter(|inner| inner.is_object()).cloned();
    match serde_json::from_value(inner.unwrap_or(value)) {
        Ok(one) => Some(one),
        Err(error) => {
            tracing::warn!(name, %error, "the answer was not understood");
            None
        }
    }
}

/// A result that is a list or holds one under its name. What is not understood is left out.
fn many<T: DeserializeOwned>(value: Value, name: &str) -> Vec<T> {
    let list = match value {
        Value::Array(list) => list,
        Value::Object(mut fields) => match fields.remove(name) {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    list.into_iter().filter_map(|entry| one(entry, name)).collect()
}

async fn task_of(world: &World, task: TaskId, at_least: Option<u64>) -> Option<TaskView> {
    let mut body = json!({ "task": task });
    if let Some(seq) = at_least {
        body["at_least"] = json!(seq);
    }
    one(ask(world, "task", body).await?, "task")
}

async fn repo_of(world: &World, repo: &RepoId) -> Option<RepoView> {
    let repos: Vec<RepoView> = many(ask(world, "repos", json!({})).await?, "repos");
    repos.into_iter().find(|view| view.repo == *repo)
}

pub(super) async fn reconcile(world: World) {
    let mut tasks = Vec::new();
    for state in
        ["queued", "claimed", "working", "verifying", "review", "landing", "paused", "blocked"]
    {
        let body = json!({ "state": state });
        if let Some(value) = ask(&world, "tasks", body).await {
            tasks.extend(many::<TaskView>(value, "tasks"));
        }
    }
    world.put(Input::Reconciled(tasks)).await;
}

/// One task instead of all that there are.
pub(super) async fn find_work(world: World, task: TaskId) {
    let found = task_of(&world, task, None).await;
    world.put(Input::Reconciled(found.into_iter().collect())).await;
}

/// What the session's leases are for. A list that cannot be read to its end is no answer.
pub(super) async fn leases(world: World, session: SessionId) {
    if let Some(seen) = leases_of(&world, &session).await {
        world.put(Input::LeasesSeen { session, seen }).await;
    }
}

async fn leases_of(world: &World, session: &SessionId) -> Option<LeasesSeen> {
    let mut seen = LeasesSeen::default();
    let mut body = json!({ "actor": world.config.actor, "limit": LIMIT_MAX });
    for _ in 0..PAGES_MAX {
        let page: Vec<LeaseView> = many(ask(world, "locks", body.clone()).await?, "leases");
        let Some(last) = page.last() else { break };
        body["after"] = json!(last.lease);
        seen.leases.extend(page.into_iter().filter(|it| it.session.as_ref() == Some(session)));
    }
    let tasks: BTreeSet<TaskId> = seen.leases.iter().filter_map(|lease| lease.task).collect();
    for task in tasks {
        let running = task_of(world, task, None).await.map(|task| task.attempt);
        let own = |it: &AttemptView| it.actor == world.config.actor && it.session == *session;
        if running.is_none_or(|running| running.as_ref().is_some_and(own)) {
            seen.awarded.insert(task);
        }
    }
    Some(seen)
}

pub(super) async fn look_at(world: World, task: TaskId) {
    let sight = sight_of(&world, task).await;
    let seen = sight.as_ref().ok().map(|sight| sight.repo.clone());
    world.put(Input::LookedAt { task, sight }).await;
    // For the next bid, and for the work if this one wins.
    if let Some(repo) = seen.filter(|repo| world.origin(repo).is_some()) {
        let _ = repo_path(&world, &repo).await;
    }
}

async fn sight_of(world: &World, task: TaskId) -> Result<Sight, Unable> {
    let (task, repo) = asked(world, task, None).await?;
    let path = repo_at_hand(world, &repo).await?;
    let base_commit = standing_point(&path, &task, &repo).await?;
    has_room(&world.config.worktrees)?;
    let warm = (1..=crate::slot::SLOTS_MAX).any(|number| {
        let slot = world.config.worktrees.join(number.to_string());
        slot.join(repo.repo.as_str()).exists()
    });
    Ok(Sight { repo, warm, base_commit })
}

async fn asked(
    world: &World,
    task: TaskId,
    at_least: Option<u64>,
) -> Result<(TaskView, RepoView), Unable> {
    let unheard = |what: &str| Unable::Unheard(format!("{what} cannot be read"));
    let task = task_of(world, task, at_least).await.ok_or_else(|| unheard("the task"))?;
    let repo = repo_of(world, &task.repo).await.ok_or_else(|| unheard("the repository"))?;
    Ok((task, repo))
}

/// As [`repo_path`], with a mirror as it is: an auction is over before another host has answered.
/// One that was not reached the last time is asked all the same.
async fn repo_at_hand(world: &World, repo: &RepoView) -> Result<PathBuf, Unable> {
    let reached = || world.reached.lock().unwrap_or_else(PoisonError::into_inner);
    if reached().contains(&repo.repo) {
        return Ok(origin::mirror_at(&world.config.mirrors, &repo.repo));
    }
    repo_path(world, repo).await
}

/// Where the repository lies on this host. What is but a mirror of another host's is brought up to
/// date first.
async fn repo_path(world: &World, repo: &RepoView) -> Result<PathBuf, Unable> {
    if let Some(origin) = world.origin(repo) {
        let mirror = origin.mirror(&world.config.mirrors, &repo.repo).await;
        let mut reached = world.reached.lock().unwrap_or_else(PoisonError::into_inner);
        match &mirror {
            Ok(_) => reached.insert(repo.repo.clone()),
            Err(_) => reached.remove(&repo.repo),
        };
        return mirror.map_err(|error| {
            let why = error.chain();
            Unable::Unheard(format!("repository {} is not reached: {why}", repo.repo))
        });
    }
    let named = world.config.repos.get(&repo.repo).cloned();
    match named.or_else(|| repo.path.as_ref().map(PathBuf::from)) {
        Some(path) if path.is_dir() => Ok(path),
        Some(path) => {
            let path = path.display();
            Err(Unable::Place(format!("repository {} is not at {path}", repo.repo)))
        }
        None => Err(Unable::Place(format!("repository {} is not on this host", repo.repo))),
    }
}

/// Whether worktrees can be made at all; what else may fail shows when one is made.
fn has_room(worktrees: &Path) -> Result<(), Unable> {
    let no_room = |why: &dyn std::fmt::Display| {
        let path = worktrees.display();
        Unable::Place(format!("no worktree can be made in {path}: {why}"))
    };
    std::fs::create_dir_all(worktrees).map_err(|error| no_room(&error))?;
    nix::unistd::access(worktrees, nix::unistd::AccessFlags::W_OK).map_err(|error| no_room(&error))
}

async fn standing_point(path: &Path, task: &TaskView, repo: &RepoView) -> Result<String, Unable> {
    let git = Git::at(path);
    let author = super::worktree::person(&git, task.by.as_str()).await;
    let target = if task.target.is_empty() { &repo.target } else { &task.target };
    match land::standing_point(&git, &task.base, target, &author).await {
        Ok(Some(commit)) => Ok(commit),
        Ok(None) => {
            let text = format!("there is no branch {} in repository {}", task.base, repo.repo);
            Err(Unable::Base(text))
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the base was not found");
            Err(Unable::Place(error.chain()))
        }
    }
}

pub(super) async fn look_up(world: World, key: Key, seen: u64) {
    let job = job_of(&world, key, seen).await.map(Box::new);
    world.put(Input::LookedUp { key, job }).await;
}

pub(super) async fn job_of(world: &World, key: Key, seen: u64) -> Result<Job, Unable> {
    let (task, repo) = asked(world, key.task, Some(seen)).await?;
    let path = repo_path(world, &repo).await?;
    let base = standing_point(&path, &task, &repo).await?;
    Ok(Job { task, repo, repo_path: path, base_commit: base })
}

pub(super) async fn said(world: World, key: Key, known: usize) {
    let task = task_of(&world, key.task, None).await;
    let words = task.map(|task| crate::prompt::words_of(&task)).unwrap_or_default();
    let words = words.into_iter().skip(known).collect();
    world.put(Input::Said { key, words }).await;
}

/// What the agents that are there say they are capable of.
pub(super) async fn capabilities(world: &World) -> Vec<String> {
    let Some(value) = ask(world, "agents", json!({})).await else { return Vec::new() };
    let agents: Vec<AgentView> = many(value, "agents");
    let known: BTreeSet<String> = agents.into_iter().flat_map(|it| it.capabilities).collect();
    known.into_iter().collect()
}

/// What people change by hand of what the task declares: who, and which path.
pub(super) async fn by_hand(world: &World, task: &TaskView) -> Vec<(String, String)> {
    if task.paths.is_empty() {
        return Vec::new();
    }
    let body = json!({ "repo": task.repo, "paths": task.paths, "mode": "intent" });
    let Some(value) = ask(world, "lock.check", body).await else { return Vec::new() };
    advisories(&value)
}

/// The advisory holders that an answer names.
fn advisories(value: &Value) -> Vec<(String, String)> {
    let text = |one: &Value, name: &str| one.get(name)?.as_str().map(str::to_owned);
    let one = |one: &Value| Some((text(one, "actor")?, text(one, "path")?));
    let list = value.get("advisory").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(one).take(NAMED_MAX).collect()
}

/// What is known about the paths of the task, the best first; of a task that declares none,
/// about any.
pub(super) async fn notes(world: &World, task: &TaskView) -> Vec<NoteView> {
    let about = match &*task.paths {
        [] => vec![RepoPath::root()],
        paths => paths.to_vec(),
    };
    let body = json!({ "repo": task.repo, "about": about, "limit": NOTES_MAX });
    ask(world, "notes", body).await.map(|value| many(value, "notes")).unwrap_or_default()
}

pub(super) async fn framework(world: World, session: SessionId, version: u64, text: TextRef) {
    let Some(value) = ask(&world, "text", json!({ "digest": text.digest })).await else { return };
    let text = value.as_str().or_else(|| value.get("text").and_then(Value::as_str));
    let Some(text) = text else { return };
    world.put(Input::FrameworkRead(text.to_owned())).await;
    mesh::tell(world, session, Verb::FrameworkRead(FrameworkRead { version })).await;
}
