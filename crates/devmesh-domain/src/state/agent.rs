//! Actors, and the agents among them.

use std::collections::{BTreeSet, VecDeque};

use devmesh_protocol::command::agent::{Needs, Role};
use devmesh_protocol::event::agent::{AgentSuspended, Resource};
use devmesh_protocol::{ActorId, At, HostId, RepoId, SessionId, TaskId};
use serde::Serialize;

use super::State;
use super::task::patience_ms;

/// A credential's name and what it may do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Actor {
    /// What it may do.
    pub role: Role,
    /// It was ended and never acts again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// Its sessions that have ended, oldest first; they never act again.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub past_sessions: VecDeque<SessionId>,
}

/// Ended sessions of an actor that are kept. Their ids are minted, never chosen: what comes
/// back is a process that slept, and it is one of the last few.
pub const PAST_SESSIONS_MAX: usize = 64;

/// An agent that has joined. Its row goes when its session ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agent {
    /// Its live session.
    pub session: SessionId,
    /// The record of its joining: who is next in line as architect, and who is idle longest.
    pub joined_seq: u64,
    /// When it joined.
    pub joined_at: At,
    /// Its tool.
    pub tool: String,
    /// Its host.
    pub host: HostId,
    /// Its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it can do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// What it takes of its host.
    pub needs: Needs,
    /// The repositories it can work on; empty: every one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repos: Vec<RepoId>,
    /// The persons whose tasks it takes; empty: everybody's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub for_persons: Vec<ActorId>,
    /// It gets nothing new.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    /// Its leases have lapsed and it has not been heard since.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// What its host lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<AgentSuspended>,
    /// What it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Whose work it reviews.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<TaskId>,
    /// The GPU reserved for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<u32>,
    /// The record since which it has been idle.
    pub idle_since: u64,
    /// It has not answered auctions that it could have bid in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deaf: Option<Deaf>,
    /// The framework version it has read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framework_read: Option<u64>,
}

/// An agent that does not answer auctions: one that only takes leases, or is too slow. It may
/// bid wherever bids are taken; only, none are taken for its sake before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Deaf {
    /// Auctions in a row that it has not answered.
    pub missed: u32,
    /// When one may open for its sake again.
    pub until: At,
}

/// Auctions in a row after which an agent counts as one that takes no work.
const ABSENT_AFTER: u32 = 3;
/// Auctions that an agent may miss before it is asked no more often than every five minutes.
const MISSED_OFTEN: u32 = 10;

impl Deaf {
    /// After one more that was not answered: a second, two, four … half a minute, and in the end
    /// five minutes.
    pub(crate) fn again(before: Option<Deaf>, at: At) -> Deaf {
        let missed = before.map_or(0, |deaf| deaf.missed);
        let wait_ms = match missed {
            ..MISSED_OFTEN => patience_ms(missed),
            MISSED_OFTEN.. => 300_000,
        };
        Deaf { missed: missed.saturating_add(1), until: at + wait_ms }
    }

    /// After work that lay there for all of its time.
    pub(crate) fn absent(before: Option<Deaf>, at: At) -> Deaf {
        let deaf = Deaf::again(before, at);
        Deaf { missed: deaf.missed.max(ABSENT_AFTER), ..deaf }
    }
}

impl State {
    /// What the actor may do. The administrator is one by name; whoever was not named is an
    /// agent.
    pub(crate) fn role(&self, actor: &ActorId) -> Role {
        role_of(actor, self.actors.get(actor))
    }

    /// Whether that session of the actor's has ended.
    pub(crate) fn has_ended(&self, actor: &ActorId, session: &SessionId) -> bool {
        self.actors.get(actor).is_some_and(|actor| actor.past_sessions.contains(session))
    }

    /// Keeps the indexes of agents right after a change of the agent's row or its host's.
    pub(crate) fn refresh_agent(&mut self, actor: &ActorId) {
        let agent = self.agents.get(actor);
        let idle = agent.is_some_and(Agent::is_idle);
        let misjudged = agent.is_some_and(|agent| self.lack(actor, agent) != agent.suspended);
        let deaf = agent.filter(|_| idle).and_then(|agent| agent.deaf);
        set(&mut self.index.idle, actor, idle);
        match deaf {
            Some(deaf) => self.index.deaf.insert(actor.clone(), deaf.until),
            None => self.index.deaf.remove(actor),
        };
        set(&mut self.index.misjudged, actor, misjudged);
    }

    /// What keeps the agent from work on its host: what that lacks of what the agent needs, all
    /// to itself, or what it is strained by; whoever is at work goes on under a strain. A host
    /// that nobody measures promises nothing and refuses only what cannot be guessed: GPU memory.
    pub(crate) fn lack(&self, actor: &ActorId, agent: &Agent) -> Option<AgentSuspended> {
        let needs = agent.needs;
        let lack = |resource, needs, free| {
            (needs > free).then(|| AgentSuspended { actor: actor.clone(), resource, needs, free })
        };
        let Some(capacity) = self.hosts.get(&agent.host) else {
            return lack(Resource::Vram, needs.vram_mb, 0);
        };
        let gauge = self.gauges.get(&agent.host);
        let is_silent = gauge.is_some_and(|gauge| gauge.silent_ms.is_some());
        let vram_mb = capacity.vram_mb.iter().copied().filter(|_| !is_silent).max().unwrap_or(0);
        let strained = || {
            let strain = gauge.filter(|_| !agent.is_busy())?.suspends()?;
            let (resource, needs, free) = (strain.what, strain.mark, strain.measured);
            Some(AgentSuspended { actor: actor.clone(), resource, needs, free })
        };
        lack(Resource::Ram, needs.ram_mb, capacity.ram_mb)
            .or_else(|| lack(Resource::Vram, needs.vram_mb, vram_mb))
            .or_else(|| lack(Resource::Slots, needs.slots.max(1).into(), capacity.slots.into()))
            .or_else(strained)
    }
}

impl Agent {
    /// Auctions open for its sake.
    pub fn is_asked(&self, at: At) -> bool {
        self.deaf.is_none_or(|deaf| deaf.until <= at)
    }

    /// It has long answered nothing: it is here for leases alone, or stuck.
    pub fn is_absent(&self) -> bool {
        self.deaf.is_some_and(|deaf| deaf.missed >= ABSENT_AFTER)
    }

    /// It could take a task now.
    pub fn is_idle(&self) -> bool {
        !self.is_busy() && !self.draining && !self.silent && self.suspended.is_none()
    }

    /// It works, or reviews another's work.
    pub fn is_busy(&self) -> bool {
        self.task.is_some() || self.review.is_some()
    }
}

/// What an actor may do of whom this is known.
pub(crate) fn role_of(actor: &ActorId, known: Option<&Actor>) -> Role {
    if actor.as_str() == ActorId::ADMIN {
        return Role::Admin;
    }
    known.map_or(Role::Agent, |known| known.role)
}

fn set(actors: &mut BTreeSet<ActorId>, actor: &ActorId, within: bool) {
    if within {
        actors.insert(actor.clone());
    } else {
        actors.remove(actor);
    }
}
