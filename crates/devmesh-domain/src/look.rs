//! Look: what queries show of a state. Texts, samples and what only memory knows are filled in by
//! whoever answers.

mod lease;
mod list;
mod note;
mod task;
mod wait;
mod why;

use devmesh_protocol::command::task::Usd;
use devmesh_protocol::query::{List, What};
use devmesh_protocol::view::{AgentView, BudgetView, HostView, MeshView, RepoView};
use devmesh_protocol::{ActorId, At, HostId, Rejection, RepoId};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::state::State;
use crate::state::agent::Agent;
use crate::state::mesh::DAY_MS;
use list::{after, page};

pub use task::task as task_view;
pub(crate) use wait::advisory;

/// The answer to a query, from the state alone.
///
/// Lists are objects with the list under its name: `tasks`, `agents`, `leases` and `waiters`,
/// `hosts`, `repos`, `notes`. `why` gives the part of the chain that the state remembers, and
/// `text` says where a text stands, not what it is.
pub fn look(state: &State, what: &What) -> Result<Value, Rejection> {
    Ok(match what {
        What::State => value(mesh(state)),
        What::Tasks(query) => json!({ "tasks": task::tasks(state, query) }),
        What::Task(query) => value(task::one(state, query.task)?),
        What::Agents(query) => {
            let after = after::<ActorId>(query)?;
            let rows = state.agents.range(list::behind(after));
            let views = rows.map(|(name, agent)| value(agent_view(state, name, agent)));
            json!({ "agents": page(views, query.limit) })
        }
        What::Locks(query) => lease::locks(state, query),
        What::LockCheck(query) => lease::check(state, query)?,
        What::LockWhy(query) => wait::why(state, query)?,
        What::Hosts(query) => hosts(state, query)?,
        What::Repos(query) => {
            let after = after::<RepoId>(query)?;
            let rows = state.repos.range(list::behind(after));
            let views = rows.filter_map(|(name, _)| repo_view(state, name)).map(value);
            json!({ "repos": page(views, query.limit) })
        }
        What::Notes(query) => note::notes(state, query),
        What::Settings => settings(state),
        What::Why(query) => why::why(state, &query.about)?,
        What::Text(query) => {
            let redacted = state.redacted.get(&query.digest);
            json!({ "digest": query.digest, "text": null, "redacted": redacted })
        }
    })
}

fn value(view: impl Serialize) -> Value {
    serde_json::to_value(view).expect("views are plain data with text keys")
}

/// The hash is whoever answers to fill in: taking it changes what the state remembers of it.
fn mesh(state: &State) -> MeshView {
    let mesh = state.mesh();
    MeshView {
        seq: state.seq,
        at: state.at,
        epoch: mesh.epoch,
        leader: mesh.node.clone(),
        paused: mesh.paused,
        architect: mesh.architect.clone(),
        tasks: state.index.task_counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect(),
        agents: state.agents.len() as u64,
        leases: state.leases.len() as u64,
        waiters: state.waiters.len() as u64,
        hosts: state.hosts.len() as u64,
        repos: state.repos.len() as u64,
        hash: String::new(),
        budget: Some(BudgetView {
            day: At(state.at.0 / DAY_MS * DAY_MS),
            spent_usd: Usd { micro: state.spent_on_day_of(state.at) },
            limit_usd: Usd { micro: state.budget_per_day() },
        }),
        dropped: Default::default(),
        stale: None,
    }
}

pub(crate) fn agent_view(state: &State, name: &ActorId, agent: &Agent) -> AgentView {
    let is_architect = state.mesh().architect.as_ref() == Some(name);
    let now = if agent.silent {
        "silent"
    } else if agent.suspended.is_some() {
        "suspended"
    } else if agent.draining {
        "draining"
    } else if agent.task.is_some() {
        "working"
    } else if agent.review.is_some() {
        "reviewing"
    } else {
        "idle"
    };
    AgentView {
        agent: name.clone(),
        role: if is_architect { "architect" } else { "agent" }.to_owned(),
        state: now.to_owned(),
        tool: agent.tool.clone(),
        model: agent.model.clone(),
        host: agent.host.clone(),
        session: agent.session.clone(),
        capabilities: agent.capabilities.clone(),
        needs: agent.needs,
        task: agent.task,
        reviews: agent.review,
        suspended: agent.suspended.clone(),
        joined_at: agent.joined_at,
        silent_ms: None,
    }
}

/// Hosts that were measured, or that agents run on.
fn hosts(state: &State, query: &List) -> Result<Value, Rejection> {
    let after = after::<HostId>(query)?;
    let named = state.hosts.range(list::behind(after.clone())).map(|(host, _)| host);
    let lived = state.index.agents_by_host.range(list::behind(after)).map(|(host, _)| host);
    let all: std::collections::BTreeSet<&HostId> = named.chain(lived).collect();
    let views = all.into_iter().map(|host| value(host_view(state, host)));
    Ok(json!({ "hosts": page(views, query.limit) }))
}

fn host_view(state: &State, host: &HostId) -> HostView {
    let capacity = state.hosts.get(host).cloned().unwrap_or_default();
    let reserved = state.index.reserved.get(host).cloned().unwrap_or_default();
    let devices = (0_u32..).zip(&capacity.vram_mb);
    let vram_reserved_mb =
        devices.map(|(device, _)| reserved.vram_mb.get(&device).copied().unwrap_or(0)).collect();
    let measured = state.measured(host);
    let free = measured.and_then(|measured| crate::decide::free(state, host, Some(measured)));
    let strains = measured.map_or(&[][..], |measured| &measured.strains);
    HostView {
        host: host.clone(),
        ram_reserved_mb: reserved.ram_mb,
        vram_reserved_mb,
        slots_taken: reserved.slots,
        ram_free_mb: free.as_ref().map(|free| free.ram_mb),
        vram_free_mb: free.map(|free| free.vram_mb).unwrap_or_default(),
        strained: strains.iter().map(ToString::to_string).collect(),
        starts_at: state.starts_at(host).filter(|at| *at > state.at),
        silent_ms: state.gauges.get(host).and_then(|gauge| gauge.silent_ms),
        capacity,
        report: None,
    }
}

/// A repository as queries and answers show it.
pub(crate) fn repo_view(state: &State, name: &RepoId) -> Option<RepoView> {
    let added = &state.repos.get(name)?.added;
    let queue = state.lands.get(&(name.clone(), added.target.clone()));
    Some(RepoView {
        repo: name.clone(),
        url: added.url.clone(),
        path: added.path.clone(),
        host: added.host.clone(),
        base: added.base.clone(),
        target: added.target.clone(),
        verify: added.verify.clone(),
        setup: added.setup.clone(),
        head: queue.and_then(|queue| queue.head.clone()),
        landing: queue.and_then(|queue| queue.turn.as_ref()).map(|turn| turn.task),
        land_queue: queue
            .map(|queue| queue.waiting.iter().map(|waiter| waiter.task).collect())
            .unwrap_or_default(),
    })
}

/// Settings that were changed, by key; all that can be, with what they take.
fn settings(state: &State) -> Value {
    let set = state
        .settings
        .iter()
        .map(|(key, text)| (key.clone(), serde_json::from_str(text).unwrap_or(Value::Null)));
    let set: Map<String, Value> = set.collect();
    let known = crate::decide::SETTINGS.iter().map(
        |(key, takes, about)| json!({ "key": key, "takes": takes.to_string(), "about": about }),
    );
    json!({ "settings": set, "known": known.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests;
