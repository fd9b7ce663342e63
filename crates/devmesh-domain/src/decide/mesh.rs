//! Decisions about the mesh itself: terms, settings, repositories, notes, the framework; and
//! which refusals go on record.

mod setting;

use std::collections::BTreeMap;

use devmesh_protocol::command::lock::Release;
use devmesh_protocol::command::mesh as body;
use devmesh_protocol::event::TextRef;
use devmesh_protocol::event::mesh::{
    Checkpoint, CommandRejected, EpochStarted, MeshPaused, MeshResumed, NoteShared, Redacted,
    RefusalsSuppressed, RepoAdded,
};
use devmesh_protocol::limits::REFUSALS_PER_MINUTE_MAX;
use devmesh_protocol::version::FORMAT;
use devmesh_protocol::{
    ActorId, At, Code, Command, Digest, Event, HostId, LeaseId, Rejection, TaskId, Verb,
};

use super::agent;
use crate::state::State;
use crate::state::mesh::REFUSALS_MS;

pub use setting::SETTINGS;
pub(super) use setting::setting_set;

type Decided = Result<Vec<Event>, Rejection>;

/// Notes that a mesh keeps; a later note under the same key replaces the one before.
const NOTES_MAX: usize = 10_000;
/// Repositories that a mesh takes.
const REPOS_MAX: usize = 1_000;

pub(super) fn epoch_start(epoch: u64, node: &str, nonce: u64, hash: Digest) -> Vec<Event> {
    vec![EpochStarted { epoch, node: node.to_owned(), nonce, hash, format: FORMAT }.into()]
}

pub(super) fn checkpoint(hash: Digest) -> Vec<Event> {
    vec![Checkpoint { hash }.into()]
}

/// Adds a repository, or changes what is given of one that is there. Whether case counts is
/// settled once: every lease is known by a key that depends on it.
pub(super) fn repo_add(state: &State, command: &Command, body: &body::RepoAdd) -> Decided {
    agent::require_person(state, command)?;
    let old = state.repos.get(&body.name).map(|repo| &repo.added);
    if old.is_none() && state.repos.len() >= REPOS_MAX {
        let text = format!("the mesh has {REPOS_MAX} repositories; it takes no more");
        return Err(Rejection::new(Code::LimitExceeded, text));
    }
    let host = match body.path {
        Some(_) => body.host.clone(),
        None => old.and_then(|old| old.host.clone()),
    };
    if let Some(old) = old.filter(|old| old.path.is_some() && old.host != host) {
        // The same name there and here: work would land in two places.
        let place = old.host.as_ref().map_or("the host that has the mesh", HostId::as_str);
        let text = format!("{} lies on {place}; give this repository another name", body.name);
        return Err(Rejection::bad_field("name", text));
    }
    let kept = |new: &Option<String>, old: Option<&String>| new.clone().or_else(|| old.cloned());
    let base = kept(&body.base, old.map(|o| &o.base)).unwrap_or_else(|| "main".to_owned());
    let moved = old.is_some_and(|old| old.base != base);
    let old_target = old.map(|old| &old.target).filter(|_| !moved);
    let target = kept(&body.target, old_target);
    let added = RepoAdded {
        repo: body.name.clone(),
        url: kept(&body.url, old.and_then(|old| old.url.as_ref())),
        path: kept(&body.path, old.and_then(|old| old.path.as_ref())),
        host,
        target: target.unwrap_or_else(|| format!("devmesh/landed/{base}")),
        base,
        verify: match (&*body.verify, old) {
            ([], Some(old)) => old.verify.clone(),
            _ => body.verify.clone(),
        },
        setup: kept(&body.setup, old.and_then(|old| old.setup.as_ref())),
        ignore_case: old.map_or(body.ignore_case, |old| old.ignore_case),
        hot: body.hot.clone().or_else(|| old.and_then(|old| old.hot.clone())),
    };
    Ok(if old == Some(&added) { Vec::new() } else { vec![added.into()] })
}

/// A later note under the same key replaces the one before; an agent's never replaces a person's.
pub(super) fn note_share(state: &State, command: &Command, body: &body::NoteShare) -> Decided {
    if !agent::is_person(state, &command.actor) {
        agent::live_session(state, command)?;
    }
    if state.notes.len() >= NOTES_MAX && !state.notes.contains_key(&body.key) {
        let text = format!("the mesh has {NOTES_MAX} notes; replace one under its key");
        return Err(Rejection::new(Code::LimitExceeded, text));
    }
    let old = state.notes.get(&body.key).filter(|old| old.by != command.actor);
    if let Some(old) = old.filter(|old| agent::is_person(state, &old.by))
        && !agent::is_person(state, &command.actor)
    {
        let text =
            format!("the note on {} is {}'s; share yours under another key", body.key, old.by);
        return Err(Rejection::new(Code::NotOwner, text).with("owner", old.by.as_str()));
    }
    if let Some(repo) = body.repo.as_ref().filter(|repo| !state.repos.contains_key(repo)) {
        return Err(Rejection::bad_field("repo", format!("there is no repository {repo}")));
    }
    if let Some(task) = body.task.filter(|task| !state.tasks.contains_key(task)) {
        return Err(Rejection::new(Code::TaskNotFound, format!("there is no task {task}")));
    }
    let shared = NoteShared {
        key: body.key.clone(),
        value: TextRef::to(&body.value),
        confidence: body.confidence.unwrap_or(100),
        paths: body.paths.clone(),
        by: command.actor.clone(),
        repo: body.repo.clone(),
        task: body.task,
    };
    Ok(vec![shared.into()])
}

pub(super) fn pause(state: &State, command: &Command, body: &body::Pause) -> Decided {
    agent::require_person(state, command)?;
    let mesh = state.mesh();
    if mesh.paused && (mesh.paused_now || !body.now) {
        return Ok(Vec::new());
    }
    Ok(vec![MeshPaused { now: body.now, reason: body.reason.clone() }.into()])
}

pub(super) fn resume(state: &State, command: &Command) -> Decided {
    agent::require_person(state, command)?;
    Ok(if state.mesh().paused { vec![MeshResumed {}.into()] } else { Vec::new() })
}

pub(super) fn redact(state: &State, command: &Command, body: &body::Redact) -> Decided {
    agent::require_person(state, command)?;
    if state.redacted.contains_key(&body.digest) {
        return Ok(Vec::new());
    }
    Ok(vec![Redacted { digest: body.digest }.into()])
}

/// The record of a refusal, where it gets one. Of an actor's refusals within a minute the first
/// thirty are recorded one by one; then, once for each code, that more of them follow. Nothing
/// where the refusal is only to be counted: whoever asks counts those, and tells their number by
/// [`suppressed`] when the minute is over.
pub fn refusal(state: &State, command: &Command, rejection: &Rejection, at: At) -> Vec<Event> {
    // Bids are no history, and so are those that came too late.
    if !rejection.code.is_recorded() || matches!(command.verb, Verb::TaskBid(_)) {
        return Vec::new();
    }
    let row = state.refusals.get(&command.actor);
    let row = row.filter(|row| at.since(row.since) < REFUSALS_MS);
    if row.is_none_or(|row| row.recorded < REFUSALS_PER_MINUTE_MAX) {
        let (task, lease) = about(&command.verb);
        let rejected = CommandRejected {
            verb: command.verb.name().to_owned(),
            rejection: rejection.clone(),
            task,
            lease,
        };
        return vec![rejected.into()];
    }
    if row.is_some_and(|row| row.suppressed.contains_key(&rejection.code)) {
        return Vec::new();
    }
    let (actor, code) = (command.actor.clone(), rejection.code);
    vec![RefusalsSuppressed { actor, code, n: 1 }.into()]
}

/// The record of refusals that were only counted.
pub fn suppressed(actor: &ActorId, counts: &BTreeMap<Code, u64>) -> Vec<Event> {
    let counts = counts.iter().filter(|(code, n)| code.is_recorded() && **n > 0);
    counts
        .map(|(code, n)| RefusalsSuppressed { actor: actor.clone(), code: *code, n: *n }.into())
        .collect()
}

/// The task or lease that a command names.
fn about(verb: &Verb) -> (Option<TaskId>, Option<LeaseId>) {
    match verb {
        Verb::TaskBid(b) => (Some(b.task), None),
        Verb::TaskStart(b) => (Some(b.task), None),
        Verb::TaskProgress(b) => (Some(b.task), None),
        Verb::TaskVerified(b) => (Some(b.task), None),
        Verb::TaskComplete(b) => (Some(b.task), None),
        Verb::TaskFail(b) => (Some(b.task), None),
        Verb::TaskAbandon(b) => (Some(b.task), None),
        Verb::TaskPause(b)
        | Verb::TaskResume(b)
        | Verb::TaskCancel(b)
        | Verb::TaskRetry(b)
        | Verb::TaskRevert(b) => (Some(b.task), None),
        Verb::TaskEdit(b) => (Some(b.task), None),
        Verb::TaskSay(b) => (Some(b.task), None),
        Verb::TaskAsk(b) => (Some(b.task), None),
        Verb::TaskReview(b) => (Some(b.task), None),
        Verb::LandBegin(b) => (Some(b.task), None),
        Verb::LandEnd(b) => (Some(b.task), None),
        Verb::FrameworkPublish(b) => (b.task, None),
        Verb::LockAcquire(b) => (b.task, None),
        Verb::LockRelease(Release { leases, task, .. }) => (*task, leases.first().copied()),
        Verb::LockRenew(b) => (None, b.leases.first().copied()),
        Verb::LockConvert(b) => (None, Some(b.lease)),
        Verb::LockBreak(b) => (None, Some(b.lease)),
        Verb::TaskAdd(_)
        | Verb::TaskAnswer(_)
        | Verb::AgentJoin(_)
        | Verb::AgentLeave(_)
        | Verb::AgentDrain(_)
        | Verb::ActorAdd(_)
        | Verb::ActorEnd(_)
        | Verb::RepoAdd(_)
        | Verb::CheckoutReport(_)
        | Verb::FrameworkRead(_)
        | Verb::NoteShare(_)
        | Verb::SettingSet(_)
        | Verb::MeshPause(_)
        | Verb::MeshResume(_)
        | Verb::Redact(_)
        | Verb::Internal(_) => (None, None),
    }
}

#[cfg(test)]
mod tests;
