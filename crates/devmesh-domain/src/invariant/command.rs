//! What holds of what a command led to, given the state in which it was decided.

use devmesh_protocol::command::agent::Role;
use devmesh_protocol::{Command, Event, RepoId, RepoPath, Verb};

use crate::state::State;
use crate::state::lease::Holder;

/// One of the promises about a decision, by name.
pub type Deed = (&'static str, fn(&State, &Command, &[Event]) -> Result<(), String>);

/// All of them.
pub const DEEDS: &[Deed] =
    &[("s3_fenced", s3_fenced), ("s8_identity", s8_identity), ("l4_all_or_none", l4_all_or_none)];

/// Checks all of them; the first that is broken is named.
pub fn check_deed(before: &State, command: &Command, events: &[Event]) -> Result<(), String> {
    DEEDS.iter().try_for_each(|(name, holds)| {
        let told = |why| format!("{} of {}: {name}: {why}", command.verb.name(), command.actor);
        holds(before, command, events).map_err(told)
    })
}

/// S3: a token that is not the live one changes nothing.
#[expect(clippy::wildcard_enum_match_arm, reason = "the verbs that carry a token")]
pub fn s3_fenced(before: &State, command: &Command, events: &[Event]) -> Result<(), String> {
    let named = match &command.verb {
        Verb::TaskStart(b) => Some((b.task, b.attempt, b.token)),
        Verb::TaskProgress(b) => Some((b.task, b.attempt, b.token)),
        Verb::TaskVerified(b) => Some((b.task, b.attempt, b.token)),
        Verb::TaskComplete(b) => Some((b.task, b.attempt, b.token)),
        Verb::TaskFail(b) => Some((b.task, b.attempt, b.token)),
        Verb::TaskAbandon(b) => Some((b.task, b.attempt, b.token)),
        Verb::LandBegin(b) => Some((b.task, b.attempt, b.token)),
        Verb::LandEnd(b) => Some((b.task, b.attempt, b.token)),
        _ => None,
    };
    let Some((id, number, token)) = named.filter(|_| !events.is_empty()) else { return Ok(()) };
    let task = before.tasks.get(&id);
    let live = task.and_then(|task| task.attempt.as_ref()).is_some_and(|attempt| {
        (attempt.number, attempt.token) == (number, token)
            && attempt.actor == command.actor
            && Some(&attempt.session) == command.session.as_ref()
    });
    match live {
        true => Ok(()),
        false => Err(format!("attempt {number} of {id} with token {token} is not the live one")),
    }
}

/// S8: who acts is who is meant: an agent under its live session, a lease by its holder; and a
/// session that has ended does not come back.
pub fn s8_identity(before: &State, command: &Command, events: &[Event]) -> Result<(), String> {
    if events.is_empty() || matches!(command.verb, Verb::Internal(_)) {
        return Ok(());
    }
    let actor = &command.actor;
    if before.actors.get(actor).is_some_and(|actor| actor.ended) {
        return Err("it was ended".to_owned());
    }
    let session = command.session.as_ref();
    if session.is_some_and(|session| before.has_ended(actor, session)) {
        return Err("its session has ended".to_owned());
    }
    let joins = matches!(command.verb, Verb::AgentJoin(_));
    let live = before.agents.get(actor).map(|agent| &agent.session);
    if before.role(actor) == Role::Agent && !joins && (live.is_none() || live != session) {
        return Err("its session is not the live one".to_owned());
    }
    for event in events {
        let lease = if let Event::LockReleased(e) = event {
            before.leases.get(&e.lease)
        } else if let Event::LockConverted(e) = event {
            before.leases.get(&e.lease)
        } else {
            None
        };
        if let Some(lease) = lease.filter(|lease| lease.holder.actor != *actor) {
            return Err(format!("it changed the lease of {}", lease.holder.actor));
        }
    }
    Ok(())
}

/// L4: of several paths all are granted or none.
pub fn l4_all_or_none(before: &State, command: &Command, events: &[Event]) -> Result<(), String> {
    let Verb::LockAcquire(body) = &command.verb else { return Ok(()) };
    let mut got = Vec::new();
    for event in events {
        if let Event::LockGranted(e) = event {
            got.push((&e.repo, &e.path));
        } else if let Event::LockConverted(e) = event {
            got.extend(before.leases.get(&e.lease).map(|lease| (&lease.repo, &lease.path)));
        }
    }
    let Some((repo, _)) = got.first().copied() else { return Ok(()) };
    let (actor, session) = (command.actor.clone(), command.session.clone());
    let holder = Holder { actor, session, task: body.task };
    let own = before.leases.values().filter(|lease| lease.holder == holder);
    got.extend(own.map(|lease| (&lease.repo, &lease.path)));
    let gives = |path: &RepoPath, (of, got): &(&RepoId, &RepoPath)| {
        *of == repo && before.folded(repo, got).contains(&before.folded(repo, path))
    };
    match body.paths.iter().find(|path| !got.iter().any(|got| gives(path, got))) {
        Some(path) => Err(format!("{path} is missing from what was granted")),
        None => Ok(()),
    }
}
