//! How sessions end: by leaving, or by silence.

use devmesh_protocol::command::agent as body;
use devmesh_protocol::command::agent::Role;
use devmesh_protocol::event::agent as event;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{ActorId, Code, Command, Event, Rejection, SessionId};

use super::live_session;
use crate::decide::task::{review_ended, session_ended};
use crate::state::State;
use crate::state::agent::Agent;

pub(in crate::decide) fn leave(
    state: &State,
    command: &Command,
    body: &body::Leave,
) -> Result<Vec<Event>, Rejection> {
    let actor = &command.actor;
    if state.role(actor) != Role::Agent {
        let text = format!("{actor} is no agent, and only agents leave");
        return Err(Rejection::new(Code::NotPermitted, text));
    }
    // Leaving answers the same for ever.
    if command.session.as_ref().is_some_and(|session| state.has_ended(actor, session)) {
        return Ok(Vec::new());
    }
    let agent = live_session(state, command)?;
    Ok(left(state, actor, agent, body.reason.clone()))
}

/// An agent goes on purpose: its task goes back to the queue, and no try is spent.
pub(super) fn left(
    state: &State,
    actor: &ActorId,
    agent: &Agent,
    reason: Option<String>,
) -> Vec<Event> {
    let left = event::AgentLeft { actor: actor.clone(), session: agent.session.clone(), reason };
    let mut events = vec![left.into()];
    events.extend(agent.task.and_then(|task| session_ended(state, task, false)));
    events.extend(agent.review.and_then(|task| review_ended(state, task)));
    events
}

/// A session has been silent for so long. Nothing ends before the longest of its leases has
/// lived its time and the grace.
pub(in crate::decide) fn session_silent(
    state: &State,
    actor: &ActorId,
    session: &SessionId,
    silent_ms: u64,
) -> Vec<Event> {
    let Some(agent) = state.agents.get(actor).filter(|agent| agent.session == *session) else {
        return Vec::new();
    };
    let key = (actor.clone(), Some(session.clone()));
    let leases = state.index.leases_by_session.get(&key);
    let ttl_ms = leases.into_iter().flatten().map(|id| state.lease(*id).ttl_ms).max();
    let grace_ms = if planted::is(Fault::ExpiryWithoutGrace) { 0 } else { state.grace_ms() };
    let lapse_ms = ttl_ms.unwrap_or_else(|| state.lock_ttl_ms()) + grace_ms;
    let (actor, session) = (actor.clone(), session.clone());
    if silent_ms >= lapse_ms.max(state.session_silent_ms()) {
        let mut events = vec![event::SessionLost { actor, session, silent_ms }.into()];
        // An attempt that takes its agent down with it must not be tried for ever.
        let attempt = |task| state.tasks.get(task)?.attempt.as_ref();
        let started = agent.task.as_ref().and_then(attempt).is_some_and(|a| a.started_at.is_some());
        if !planted::is(Fault::LostSessionKeepsTask) {
            events.extend(agent.task.and_then(|task| session_ended(state, task, started)));
        }
        events.extend(agent.review.and_then(|task| review_ended(state, task)));
        return events;
    }
    let waits = state.index.waiters_by_session.contains_key(&key);
    if silent_ms >= lapse_ms && (!agent.silent || leases.is_some() || waits) {
        return vec![event::LeasesLapsed { actor, session, silent_ms }.into()];
    }
    Vec::new()
}
