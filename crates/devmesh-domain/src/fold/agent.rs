//! Fold of actors, agents, sessions and hosts.

use std::collections::BTreeSet;

use devmesh_protocol::command::agent::Role;
use devmesh_protocol::event::agent as event;
use devmesh_protocol::event::agent::{Measured, Resource};
use devmesh_protocol::{ActorId, At, HostId, Record, SessionId};

use super::lock;
use crate::state::State;
use crate::state::agent::{Actor, Agent, PAST_SESSIONS_MAX};
use crate::state::host::Gauge;
use crate::state::index::drop_from;

pub(super) fn actor_added(state: &mut State, e: &event::ActorAdded) {
    actor(state, &e.actor).role = e.role;
}

pub(super) fn actor_ended(state: &mut State, e: &event::ActorEnded) {
    actor(state, &e.actor).ended = true;
    if let Some(session) = state.agents.get(&e.actor).map(|agent| agent.session.clone()) {
        end_session(state, &e.actor, &session);
    }
    lock::free_actor(state, &e.actor);
}

pub(super) fn agent_joined(state: &mut State, record: &Record, e: &event::AgentJoined) {
    let agent = Agent {
        session: e.session.clone(),
        joined_seq: record.seq,
        joined_at: record.at,
        tool: e.tool.clone(),
        host: e.host.clone(),
        model: e.model.clone(),
        capabilities: e.capabilities.clone(),
        needs: e.needs,
        repos: e.repos.clone(),
        for_persons: e.for_persons.clone(),
        draining: false,
        silent: false,
        suspended: None,
        task: None,
        review: None,
        device: None,
        idle_since: record.seq,
        deaf: None,
        framework_read: None,
    };
    if let Some(old) = state.agents.get(&e.actor).map(|agent| agent.session.clone()) {
        end_session(state, &e.actor, &old);
    }
    actor(state, &e.actor);
    state.index.line.insert((record.seq, e.actor.clone()));
    state.index.agents_by_host.entry(e.host.clone()).or_default().insert(e.actor.clone());
    state.agents.insert(e.actor.clone(), agent);
    state.refresh_agent(&e.actor);
}

pub(super) fn agent_resumed(state: &mut State, e: &event::AgentResumed) {
    change(state, &e.actor, |agent| {
        agent.silent = false;
        agent.deaf = agent.deaf.filter(|_| agent.is_absent());
    });
}

pub(super) fn agent_left(state: &mut State, e: &event::AgentLeft) {
    end_session(state, &e.actor, &e.session);
}

pub(super) fn agent_drained(state: &mut State, e: &event::AgentDrained) {
    change(state, &e.actor, |agent| agent.draining = true);
}

pub(super) fn leases_lapsed(state: &mut State, e: &event::LeasesLapsed) {
    lock::free_session(state, &e.actor, Some(&e.session));
    change(state, &e.actor, |agent| agent.silent = true);
}

pub(super) fn session_lost(state: &mut State, e: &event::SessionLost) {
    end_session(state, &e.actor, &e.session);
}

pub(super) fn architect_named(state: &mut State, e: &event::ArchitectNamed) {
    state.mesh_mut().architect = e.actor.clone();
}

pub(super) fn agent_suspended(state: &mut State, e: &event::AgentSuspended) {
    change(state, &e.actor, |agent| agent.suspended = Some(e.clone()));
}

pub(super) fn agent_unsuspended(state: &mut State, e: &event::AgentUnsuspended) {
    change(state, &e.actor, |agent| agent.suspended = None);
}

pub(super) fn host_measured(state: &mut State, record: &Record, e: &event::HostMeasured) {
    state.hosts.insert(e.host.clone(), e.capacity.clone());
    if let Some(measured) = &e.measured {
        gauge(state, record.at, &e.host, measured.clone(), None);
    }
    refresh_host(state, &e.host);
}

pub(super) fn host_silent(state: &mut State, record: &Record, e: &event::HostSilent) {
    let Some(old) = state.gauges.get(&e.host) else { return };
    let measured = Measured { strains: Vec::new(), ..old.measured.clone() };
    gauge(state, record.at, &e.host, measured, Some(e.silent_ms));
    refresh_host(state, &e.host);
}

/// Puts the figures of a host, and remembers which strains began or ended with them.
fn gauge(state: &mut State, at: At, host: &HostId, measured: Measured, silent_ms: Option<u64>) {
    let gauge = state.gauges.get_or_insert_with(host, || Gauge {
        measured: Measured::default(),
        measured_at: at,
        turned: Default::default(),
        awarded_at: None,
        silent_ms: None,
    });
    let of = |measured: &Measured| -> BTreeSet<Resource> {
        measured.strains.iter().map(|strain| strain.what).collect()
    };
    let turned = &of(&gauge.measured) ^ &of(&measured);
    gauge.turned.extend(turned.into_iter().map(|what| (what, at)));
    gauge.measured = measured;
    gauge.measured_at = at;
    gauge.silent_ms = silent_ms;
}

fn refresh_host(state: &mut State, host: &HostId) {
    if state.gauges.get(host).is_some_and(Gauge::is_busy) {
        state.index.busy_hosts.insert(host.clone());
    } else {
        state.index.busy_hosts.remove(host);
    }
    for actor in agents_on(state, host) {
        state.refresh_agent(&actor);
    }
}

fn agents_on(state: &State, host: &HostId) -> Vec<ActorId> {
    state.index.agents_by_host.get(host).into_iter().flatten().cloned().collect()
}

/// The actor's row, made where it is the first that is heard of it: whoever was not named by
/// the administrator is an agent.
fn actor<'s>(state: &'s mut State, actor: &ActorId) -> &'s mut Actor {
    state.actors.get_or_insert_with(actor, || Actor {
        role: Role::Agent,
        ended: false,
        past_sessions: Default::default(),
    })
}

fn change(state: &mut State, actor: &ActorId, change: impl FnOnce(&mut Agent)) {
    if let Some(agent) = state.agents.get_mut(actor) {
        change(agent);
        state.refresh_agent(actor);
    }
}

/// A session never acts again: its leases are free and it is remembered as ended. What becomes
/// of its task stands in the record as the end of the attempt.
fn end_session(state: &mut State, name: &ActorId, session: &SessionId) {
    lock::free_session(state, name, Some(session));
    let past = &mut actor(state, name).past_sessions;
    past.push_back(session.clone());
    if past.len() > PAST_SESSIONS_MAX {
        past.pop_front();
    }
    let live = state.agents.get(name).is_some_and(|agent| agent.session == *session);
    if !live {
        return;
    }
    let agent = state.agents.remove(name).expect("it was just looked at");
    state.index.line.remove(&(agent.joined_seq, name.clone()));
    drop_from(&mut state.index.agents_by_host, &agent.host, name);
    state.refresh_agent(name);
}
