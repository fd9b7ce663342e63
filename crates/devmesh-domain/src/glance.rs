//! Glances at the state: the little that a coordinator compares its own memory with (heartbeats,
//! bids, reports, deadlines, texts). Each is a look-up, or a walk over agents or open auctions.

use devmesh_protocol::event::task::Ended;
use devmesh_protocol::query::What;
use devmesh_protocol::report::Pause;
use devmesh_protocol::{ActorId, At, Digest, HostId, LeaseId, SessionId, TaskId};
use serde_json::Value;

use crate::state::State;
use crate::state::lease::{Lease, Waiter};
use crate::state::task::{Auction, Task};

/// When something becomes due, the soonest.
pub fn next_due(state: &State) -> Option<At> {
    state.index.due.first().map(|(at, _)| *at)
}

/// All live leases.
pub fn held(state: &State) -> impl Iterator<Item = (LeaseId, &Lease)> {
    state.leases.iter().map(|(id, lease)| (*id, lease))
}

/// All who wait for leases, in the order in which they came.
pub fn waiting(state: &State) -> impl Iterator<Item = &Waiter> {
    state.waiters.values()
}

/// All tasks.
pub fn tasks(state: &State) -> impl Iterator<Item = (TaskId, &Task)> {
    state.tasks.iter().map(|(id, task)| (*id, task))
}

/// The live session of an agent.
pub fn live_session<'s>(state: &'s State, actor: &ActorId) -> Option<&'s SessionId> {
    state.agents.get(actor).map(|agent| &agent.session)
}

/// The live sessions of all agents.
pub fn sessions(state: &State) -> impl Iterator<Item = (&ActorId, &SessionId)> {
    state.agents.iter().map(|(actor, agent)| (actor, &agent.session))
}

/// The leases of a session.
pub fn leases(state: &State, actor: &ActorId, session: &SessionId) -> Vec<LeaseId> {
    let holder = (actor.clone(), Some(session.clone()));
    let leases = state.index.leases_by_session.get(&holder);
    leases.map(|leases| leases.iter().copied().collect()).unwrap_or_default()
}

/// What the session works on or reviews.
pub fn work(state: &State, actor: &ActorId, session: &SessionId) -> Option<TaskId> {
    let agent = state.agents.get(actor).filter(|agent| agent.session == *session)?;
    agent.task.or(agent.review)
}

/// What stands still for an agent.
pub fn pause(state: &State, actor: &ActorId) -> Pause {
    let task = state.agents.get(actor).and_then(|agent| state.tasks.get(&agent.task?));
    let mesh = state.mesh();
    Pause { mesh: mesh.paused, work: mesh.paused_now || task.is_some_and(|task| task.paused) }
}

/// The hosts whose measured figures count.
pub fn measured_hosts(state: &State) -> impl Iterator<Item = &HostId> {
    state.gauges.iter().filter(|(_, gauge)| gauge.live().is_some()).map(|(host, _)| host)
}

/// The open auction of a task.
pub fn auction(state: &State, task: TaskId) -> Option<Auction> {
    state.tasks.get(&task)?.auction
}

/// All open auctions.
pub fn auctions(state: &State) -> impl Iterator<Item = (TaskId, Auction)> {
    state.index.auctions.iter().filter_map(|task| Some((*task, auction(state, *task)?)))
}

/// The texts that belong into an answer, each with its place in `value` as a JSON pointer.
pub fn texts(state: &State, what: &What, value: &Value) -> Vec<(String, Digest)> {
    match what {
        What::Task(of) => task_texts(state, of.task),
        What::Notes(_) => note_texts(state, value),
        What::Text(of) => vec![("/text".to_owned(), of.digest)],
        What::State
        | What::Tasks(_)
        | What::Agents(_)
        | What::Locks(_)
        | What::LockCheck(_)
        | What::LockWhy(_)
        | What::Hosts(_)
        | What::Repos(_)
        | What::Settings
        | What::Why(_) => Vec::new(),
    }
}

fn task_texts(state: &State, task: TaskId) -> Vec<(String, Digest)> {
    let Some(task) = state.tasks.get(&task) else { return Vec::new() };
    let prompt = task.spec.prompt.iter().map(|text| ("/prompt".to_owned(), text.digest));
    let question = task.question.iter().map(|q| ("/question/text".to_owned(), q.text.digest));
    let said = task.said.iter().enumerate();
    let said = said.map(|(i, said)| (format!("/said/{i}/text"), said.text.digest));
    let failed = |(i, past): (usize, &crate::state::task::Past)| match &past.why {
        Ended::Failed { message, .. } if message.bytes > 0 => Some((i, message.digest)),
        Ended::Failed { .. }
        | Ended::NotStarted
        | Ended::Abandoned { .. }
        | Ended::SessionEnded
        | Ended::Cancelled
        | Ended::Superseded
        | Ended::Parked => None,
    };
    let failed: Vec<(usize, Digest)> = task.past.iter().enumerate().filter_map(failed).collect();
    let newest = failed.iter().filter(|(i, _)| i + 1 == task.past.len());
    let newest = newest.map(|(_, digest)| ("/failure/message".to_owned(), *digest));
    let each = failed.iter().map(|(i, digest)| (format!("/attempts/{i}/message"), *digest));
    let texts = prompt.chain(question).chain(said).chain(each).chain(newest);
    texts.chain(plan_texts(task)).collect()
}

/// What a plan that waits for a person says, and its tasks.
fn plan_texts(task: &Task) -> Vec<(String, Digest)> {
    let Some(plan) = &task.plan else { return Vec::new() };
    let text = plan.text.iter().map(|text| ("/plan/text".to_owned(), text.digest));
    let prompts = plan.proposed.iter().enumerate();
    let prompts = prompts
        .filter_map(|(i, one)| Some((format!("/plan/proposed/{i}/prompt"), one.prompt?.digest)));
    text.chain(prompts).collect()
}

fn note_texts(state: &State, value: &Value) -> Vec<(String, Digest)> {
    let (prefix, notes) = match value.as_array() {
        Some(notes) => ("", Some(notes)),
        None => ("/notes", value.get("notes").and_then(Value::as_array)),
    };
    let shown = notes.into_iter().flatten().enumerate();
    shown
        .filter_map(|(i, note)| {
            let key = note.get("key")?.as_str()?.to_owned();
            Some((format!("{prefix}/{i}/value"), state.notes.get(&key)?.value.digest))
        })
        .collect()
}

#[cfg(test)]
mod tests;
