//! Decisions about actors, agents, sessions and hosts.

mod host;
mod session;

use devmesh_protocol::command::agent as body;
use devmesh_protocol::command::agent::Role;
use devmesh_protocol::event::agent as event;
use devmesh_protocol::event::agent::ArchitectNamed;
use devmesh_protocol::limits::AGENTS_MAX;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{ActorId, Code, Command, Event, Rejection, SessionId, Verb};

use crate::state::State;
use crate::state::agent::{Agent, role_of};

pub(crate) use host::free;
pub(super) use host::{fits, host_measured, host_silent, room};
pub(super) use session::{leave, session_silent};

fn not_permitted(text: impl Into<String>) -> Rejection {
    Rejection::new(Code::NotPermitted, text)
}

/// Whether the actor may send this verb at all, and an agent's session is its live one. Verbs
/// that carry a token are told of a stale one before they are told of their session, so their
/// decisions ask for it themselves ([`live_session`]).
pub(super) fn check_actor(state: &State, command: &Command) -> Result<(), Rejection> {
    let actor = &command.actor;
    let internal = matches!(command.verb, Verb::Internal(_));
    if internal != (actor.as_str() == ActorId::COORDINATOR) {
        return Err(not_permitted(format!("{actor} does not send {}", command.verb.name())));
    }
    if internal {
        return Ok(());
    }
    let known = state.actors.get(actor);
    if known.is_some_and(|known| known.ended) {
        return Err(not_permitted(format!("{actor} was ended and never acts again")));
    }
    match role_of(actor, known) {
        Role::Agent => check_agent(state, command),
        Role::Person | Role::Admin | Role::Dashboard => Ok(()),
        role @ (Role::Probe | Role::Coordinator | Role::Viewer | Role::Replay) => {
            Err(not_permitted(format!("{actor} is a {} and sends no commands", name(role))))
        }
    }
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Agent => "agent",
        Role::Person => "person",
        Role::Probe => "probe",
        Role::Dashboard => "dashboard",
        Role::Coordinator => "coordinator",
        Role::Viewer => "viewer",
        Role::Admin => "administrator",
        Role::Replay => "reader of the log",
    }
}

fn check_agent(state: &State, command: &Command) -> Result<(), Rejection> {
    match &command.verb {
        // These decide for themselves: joining makes a session, leaving twice is leaving.
        Verb::AgentJoin(_) | Verb::AgentLeave(_) => Ok(()),
        Verb::ActorAdd(_)
        | Verb::ActorEnd(_)
        | Verb::RepoAdd(_)
        | Verb::CheckoutReport(_)
        | Verb::TaskAnswer(_)
        | Verb::LockBreak(_)
        | Verb::SettingSet(_)
        | Verb::MeshPause(_)
        | Verb::MeshResume(_)
        | Verb::Redact(_) => require_person(state, command),
        // A stale token comes first, or there is more to tell whether it is a person's.
        Verb::TaskStart(_)
        | Verb::TaskProgress(_)
        | Verb::TaskVerified(_)
        | Verb::TaskComplete(_)
        | Verb::TaskFail(_)
        | Verb::TaskAbandon(_)
        | Verb::TaskAsk(_)
        | Verb::LandBegin(_)
        | Verb::LandEnd(_)
        | Verb::TaskAdd(_)
        | Verb::TaskPause(_)
        | Verb::TaskResume(_)
        | Verb::TaskCancel(_)
        | Verb::TaskRetry(_)
        | Verb::TaskEdit(_)
        | Verb::TaskRevert(_)
        | Verb::AgentDrain(_)
        | Verb::TaskReview(_)
        | Verb::Internal(_) => Ok(()),
        Verb::TaskBid(_)
        | Verb::TaskSay(_)
        | Verb::LockAcquire(_)
        | Verb::LockRelease(_)
        | Verb::LockRenew(_)
        | Verb::LockConvert(_)
        | Verb::FrameworkPublish(_)
        | Verb::FrameworkRead(_)
        | Verb::NoteShare(_) => live_session(state, command).map(drop),
    }
}

/// The agent that acts, where it has joined and the command's session is its live one.
pub(super) fn live_session<'s>(
    state: &'s State,
    command: &Command,
) -> Result<&'s Agent, Rejection> {
    let refuse = |text: String| Err(Rejection::new(Code::AgentNotRegistered, text));
    let actor = &command.actor;
    let Some(session) = &command.session else {
        return refuse(format!("{actor} names no session; join, and send it with each command"));
    };
    match state.agents.get(actor) {
        Some(agent) if agent.session == *session || planted::is(Fault::SessionNotCompared) => {
            Ok(agent)
        }
        Some(_) => refuse(format!("{session} is not the live session of {actor}")),
        None if state.has_ended(actor, session) => refuse(ended(session)),
        None => refuse(format!("{actor} has not joined")),
    }
}

fn ended(session: &SessionId) -> String {
    format!("the session {session} has ended and never acts again; join under a new one")
}

/// Whether the actor acts for a person: the dashboard sends what people click.
pub(super) fn is_person(state: &State, actor: &ActorId) -> bool {
    matches!(state.role(actor), Role::Person | Role::Admin | Role::Dashboard)
}

pub(super) fn require_person(state: &State, command: &Command) -> Result<(), Rejection> {
    if is_person(state, &command.actor) {
        return Ok(());
    }
    let (actor, verb) = (&command.actor, command.verb.name());
    Err(not_permitted(format!("{verb} is a person's to send, and {actor} is none")))
}

fn require_admin(state: &State, command: &Command) -> Result<(), Rejection> {
    if state.role(&command.actor) == Role::Admin {
        return Ok(());
    }
    let (actor, verb) = (&command.actor, command.verb.name());
    Err(not_permitted(format!("{verb} is the administrator's to send, and {actor} is not it")))
}

pub(super) fn join(
    state: &State,
    command: &Command,
    body: &body::Join,
) -> Result<Vec<Event>, Rejection> {
    let actor = &command.actor;
    if state.role(actor) != Role::Agent {
        return Err(not_permitted(format!("{actor} is no agent, and only agents join")));
    }
    let Some(session) = &command.session else {
        return Err(Rejection::bad_field("session", "joining begins a session; name it"));
    };
    if let Some(agent) = state.agents.get(actor) {
        if agent.session == *session {
            let resumed = event::AgentResumed { actor: actor.clone(), session: session.clone() };
            return Ok(vec![resumed.into()]);
        }
        let silent_ms = state.session_silent_ms();
        let text = format!(
            "{actor} is here under the session {}; it ends by leaving or by {} s of silence",
            agent.session,
            silent_ms / 1000
        );
        return Err(not_permitted(text).retry_after(silent_ms));
    }
    if state.has_ended(actor, session) && !planted::is(Fault::SessionReborn) {
        return Err(Rejection::new(Code::AgentNotRegistered, ended(session)));
    }
    if state.agents.len() >= AGENTS_MAX {
        let text = format!("{AGENTS_MAX} agents have joined, and that is the limit");
        return Err(Rejection::new(Code::LimitExceeded, text));
    }
    let joined = event::AgentJoined {
        actor: actor.clone(),
        session: session.clone(),
        tool: body.tool.clone(),
        host: body.host.clone(),
        model: body.model.clone(),
        capabilities: body.capabilities.clone(),
        needs: body.needs,
        repos: body.repos.clone(),
        for_persons: body.for_persons.clone(),
    };
    let mut events = vec![joined.into()];
    let architect = state.mesh().architect.as_ref().and_then(|name| state.agents.get(name));
    // One that gets nothing new plans nothing new.
    if state.agents.is_empty() || architect.is_some_and(|agent| agent.draining) {
        events.push(ArchitectNamed { actor: Some(actor.clone()) }.into());
    }
    Ok(events)
}

pub(super) fn drain(
    state: &State,
    command: &Command,
    body: &body::Drain,
) -> Result<Vec<Event>, Rejection> {
    // An agent may say of itself that it wants no more.
    if body.agent == command.actor && state.role(&command.actor) == Role::Agent {
        live_session(state, command)?;
    } else {
        require_person(state, command)?;
    }
    match state.agents.get(&body.agent) {
        None => {
            let text = format!("{} has not joined", body.agent);
            Err(Rejection::new(Code::AgentNotRegistered, text))
        }
        Some(agent) if agent.draining => Ok(Vec::new()),
        Some(_) => {
            let mut events = vec![event::AgentDrained { actor: body.agent.clone() }.into()];
            let next = successor(state, Some(&body.agent));
            if state.mesh().architect.as_ref() == Some(&body.agent) && next.is_some() {
                events.push(ArchitectNamed { actor: next.cloned() }.into());
            }
            Ok(events)
        }
    }
}

/// The first in line who gets new work, but for one.
fn successor<'s>(state: &'s State, but: Option<&ActorId>) -> Option<&'s ActorId> {
    let takes = |name: &&ActorId| {
        Some(*name) != but && state.agents.get(name).is_some_and(|agent| !agent.draining)
    };
    state.index.line.iter().map(|(_, actor)| actor).find(takes)
}

/// These two names have their role from the start and for ever.
fn refuse_reserved(actor: &ActorId) -> Result<(), Rejection> {
    if [ActorId::COORDINATOR, ActorId::ADMIN].contains(&actor.as_str()) {
        return Err(not_permitted(format!("{actor} is what it is")));
    }
    Ok(())
}

pub(super) fn actor_add(
    state: &State,
    command: &Command,
    body: &body::ActorAdd,
) -> Result<Vec<Event>, Rejection> {
    require_admin(state, command)?;
    refuse_reserved(&body.actor)?;
    let actor = &body.actor;
    match state.actors.get(actor) {
        Some(old) if old.ended => {
            Err(not_permitted(format!("{actor} was ended, and its name is never honoured again")))
        }
        Some(old) if old.role == body.role => Ok(Vec::new()),
        _ if state.agents.contains_key(actor) => {
            Err(not_permitted(format!("{actor} has joined as an agent and is at work")))
        }
        _ => Ok(vec![event::ActorAdded { actor: actor.clone(), role: body.role }.into()]),
    }
}

pub(super) fn actor_end(
    state: &State,
    command: &Command,
    body: &body::ActorEnd,
) -> Result<Vec<Event>, Rejection> {
    require_admin(state, command)?;
    refuse_reserved(&body.actor)?;
    if state.actors.get(&body.actor).is_some_and(|actor| actor.ended) {
        return Ok(Vec::new());
    }
    let (actor, reason) = (body.actor.clone(), body.reason.clone());
    let mut events = Vec::new();
    if let Some(agent) = state.agents.get(&actor) {
        events = session::left(state, &actor, agent, reason.clone());
    }
    events.push(event::ActorEnded { actor, reason }.into());
    Ok(events)
}

/// Who is suspended that need not be, or is not and should be; and who is architect after the
/// last one has gone.
pub(super) fn follow(state: &State) -> Vec<Event> {
    let events = host::judge(state);
    if !events.is_empty() {
        return events;
    }
    let architect = state.mesh().architect.as_ref();
    if architect.is_some_and(|actor| state.agents.contains_key(actor)) {
        return Vec::new();
    }
    let first = state.index.line.first().map(|(_, actor)| actor);
    let next = successor(state, None).or(first);
    if architect == next {
        return Vec::new();
    }
    vec![ArchitectNamed { actor: next.cloned() }.into()]
}

#[cfg(test)]
mod tests;
