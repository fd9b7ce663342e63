//! The answer to a record's own command, made from its events. The same record gives the same
//! answer again; a task is shown as it stands when somebody asks.

use devmesh_protocol::event::mesh::{FrameworkPublished, SettingChanged};
use devmesh_protocol::event::plan::TaskPlanned;
use devmesh_protocol::event::task::LandBegan;
use devmesh_protocol::{
    ActorId, Code, CommandId, Event, Record, Rejection, Reply, RepoId, TaskId, rulebook,
};
use serde_json::{Value, json};

use super::lease;
use crate::look::{agent_view, repo_view, task_view};
use crate::state::State;
use crate::state::mesh::REFUSALS_MS;

/// Agents that the roster of an answer names.
const ROSTER_MAX: usize = 200;

/// The reply; none while the command waits.
pub(super) fn reply(state: &State, record: &Record, id: &CommandId) -> Option<Reply> {
    let waits = record.events.iter().any(|event| {
        matches!(event, Event::LockQueued(e) if e.id == *id)
            || matches!(event, Event::LandQueued(e) if e.id == *id)
    });
    if waits {
        return None;
    }
    let seq = Some(record.seq);
    let first = record.events.first()?;
    if let Event::CommandRejected(e) = first {
        return Some(Reply::Err { seq, error: e.rejection.clone() });
    }
    if let Event::RefusalsSuppressed(e) = first {
        return Some(Reply::Err { seq, error: suppressed(e.code) });
    }
    let is_plan = |e: &&Event| matches!(e, Event::TaskPlanned(_));
    if let Some(Event::TaskPlanned(e)) = record.events.iter().find(is_plan) {
        return Some(Reply::Ok { seq, result: planned(state, record, e) });
    }
    // Of a turn's end and its beginning there is more to tell than of what came with them.
    let is_turn = |e: &&Event| matches!(e, Event::LandBegan(_) | Event::LandEnded(_));
    let turn = record.events.iter().rfind(is_turn);
    Some(Reply::Ok { seq, result: result(state, record, turn.unwrap_or(first)) })
}

/// A refusal beyond those that are recorded one by one.
fn suppressed(code: Code) -> Rejection {
    let text = format!("{code}, once more; more refusals came within a minute than are explained");
    Rejection::new(code, text).retry_after(REFUSALS_MS)
}

/// A turn of the merge queue.
pub(super) fn turn(record: &Record, e: &LandBegan) -> Value {
    json!({ "turn": record.seq, "task": e.task, "target": e.target, "head": e.head })
}

/// A task as answers show it.
pub(super) fn task(state: &State, id: TaskId) -> Value {
    let view = task_view(state, id);
    view.map_or(Value::Null, |view| {
        serde_json::to_value(view).expect("views are plain data with text keys")
    })
}

/// A repository as answers show it.
pub(super) fn repo(state: &State, name: &RepoId) -> Value {
    serde_json::to_value(repo_view(state, name)).expect("views are plain data with text keys")
}

/// What an agent is told when it has joined.
pub(super) fn joined(state: &State, actor: &ActorId) -> Value {
    let mesh = state.mesh();
    let roster: Vec<_> = state
        .agents
        .iter()
        .take(ROSTER_MAX)
        .map(|(name, agent)| agent_view(state, name, agent))
        .collect();
    let role = if mesh.architect.as_ref() == Some(actor) { "architect" } else { "agent" };
    let agent = state.agents.get(actor);
    json!({
        "role": role,
        "session": agent.map(|agent| &agent.session),
        "task": agent.and_then(|agent| agent.task),
        "rulebook": rulebook::view(),
        "framework": mesh.framework.map(|(version, text)| {
            json!({ "version": version, "text": text })
        }),
        "roster": roster,
    })
}

/// What the plan of a goal has become: told to its author, and to the person who approved it.
fn planned(state: &State, record: &Record, e: &TaskPlanned) -> Value {
    if record.events.iter().any(|event| matches!(event, Event::TaskReviewed(_))) {
        return task(state, e.task);
    }
    json!({ "version": e.framework, "tasks": e.tasks, "unknown": e.unknown })
}

/// A framework and the tasks that came with it.
fn published(record: &Record, e: &FrameworkPublished) -> Value {
    let tasks: Vec<TaskId> = record.events.iter().filter_map(added).collect();
    match tasks.is_empty() {
        true => json!({ "version": e.version }),
        false => json!({ "version": e.version, "tasks": tasks }),
    }
}

fn setting(e: &SettingChanged) -> Value {
    let value = e.value.as_deref().and_then(|text| serde_json::from_str(text).ok());
    json!({ "key": e.key, "value": value.unwrap_or(Value::Null) })
}

fn added(event: &Event) -> Option<TaskId> {
    if let Event::TaskAdded(e) = event { Some(e.task) } else { None }
}

/// What its sender was granted at once.
fn granted(state: &State, record: &Record) -> Value {
    lease::given(state, record, &record.actor, |waited| waited.is_none())
}

fn result(state: &State, record: &Record, event: &Event) -> Value {
    let task = |id: TaskId| task(state, id);
    match event {
        Event::LockGranted(_)
        | Event::LockConverted(_)
        | Event::LeaseShared(_)
        | Event::WideWrite(_) => granted(state, record),
        Event::LockReleased(_) | Event::LockWithdrawn(_) => released(record),
        Event::LockRenewed(_) => renewed(record),
        Event::LockBroken(e) => json!({ "lease": e.lease }),
        Event::LockExpired(e) => json!({ "lease": e.lease }),
        Event::AgentJoined(_) | Event::AgentResumed(_) => joined(state, &record.actor),
        Event::AgentDrained(e) => json!({ "agent": e.actor }),
        Event::ActorAdded(e) => json!({ "actor": e.actor, "role": e.role }),
        Event::ActorEnded(e) => json!({ "actor": e.actor }),
        Event::RepoAdded(e) => repo(state, &e.repo),
        Event::FrameworkPublished(e) => published(record, e),
        Event::PlanProposed(e) => task(e.task),
        Event::TaskPlanned(e) => planned(state, record, e),
        Event::FrameworkRead(e) => json!({ "version": e.version }),
        Event::NoteShared(e) => json!({ "key": e.key }),
        Event::SettingChanged(e) => setting(e),
        Event::MeshPaused(_) | Event::MeshResumed(_) => json!({ "paused": is_pause(event) }),
        Event::Redacted(e) => json!({ "digest": e.digest }),
        Event::CheckoutChanged(e) => json!({ "repo": e.repo, "paths": e.paths.len() }),
        Event::LandBegan(e) => turn(record, e),
        Event::TaskAdded(e) => task(e.task),
        Event::TaskEdited(e) => task(e.task),
        Event::TaskAwarded(e) => task(e.task),
        Event::TaskStarted(e) => task(e.task),
        Event::TaskProgressed(e) => task(e.task),
        Event::TaskVerified(e) => task(e.task),
        Event::TaskReviewed(e) => task(e.task),
        Event::ReviewLapsed(e) => task(e.task),
        Event::TaskAsked(e) => task(e.task),
        Event::TaskAnswered(e) => task(e.task),
        Event::TaskSaid(e) => task(e.task),
        Event::TaskPaused(e) => task(e.task),
        Event::TaskResumed(e) => task(e.task),
        Event::TaskBlocked(e) => task(e.task),
        Event::TaskUnblocked(e) => task(e.task),
        Event::LandEnded(e) => task(e.task),
        Event::LandWithdrawn(e) => task(e.task),
        Event::TaskCompleted(e) => task(e.task),
        Event::AttemptEnded(e) => task(e.task),
        Event::TaskCancelled(e) => task(e.task),
        Event::TaskRetried(e) => task(e.task),
        Event::AgentLeft(_)
        | Event::LockQueued(_)
        | Event::SharingBegan(_)
        | Event::LandQueued(_)
        | Event::ReviewAssigned(_)
        | Event::AuctionOpened(_)
        | Event::AuctionLapsed(_)
        | Event::PathsQueued(_)
        | Event::PathsLeft(_)
        | Event::EpochStarted(_)
        | Event::Checkpoint(_)
        | Event::CommandRejected(_)
        | Event::RefusalsSuppressed(_)
        | Event::BranchMoved(_)
        | Event::LeasesLapsed(_)
        | Event::SessionLost(_)
        | Event::ArchitectNamed(_)
        | Event::AgentSuspended(_)
        | Event::AgentUnsuspended(_)
        | Event::HostMeasured(_)
        | Event::HostSilent(_) => json!({}),
    }
}

fn is_pause(event: &Event) -> bool {
    matches!(event, Event::MeshPaused(_))
}

fn released(record: &Record) -> Value {
    let (mut leases, mut requests) = (Vec::new(), Vec::new());
    for event in &record.events {
        if let Event::LockReleased(e) = event {
            leases.push(e.lease);
        } else if let Event::LockWithdrawn(e) = event {
            requests.push(&e.id);
        }
    }
    json!({ "released": leases, "withdrawn": requests })
}

fn renewed(record: &Record) -> Value {
    let mut leases = Vec::new();
    for event in &record.events {
        if let Event::LockRenewed(e) = event {
            let one = |lease| json!({ "lease": lease, "expires_at": e.expires_at });
            leases.extend(e.leases.iter().map(one));
        }
    }
    json!({ "leases": leases })
}
