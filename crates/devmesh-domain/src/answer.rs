//! Answer: what a caller is told of its command, now and whenever it asks again.

mod lease;
mod record;

use std::collections::BTreeSet;

use devmesh_protocol::event::task::{LandBegan, LandWithdrawn};
use devmesh_protocol::limits::ID_AHEAD_MS;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{
    ActorId, At, Code, Command, CommandId, Event, Record, Rejection, Reply, TaskId, Verb,
};
use serde_json::{Value, json};

use crate::state::State;
use crate::state::mesh::ReceiptKey;
use crate::state::task::Task;

/// What is known of a command before it is decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// Nothing: decide it.
    New,
    /// It waits: its newest caller is answered when the wait is over.
    Waiting,
    /// It was answered with this record: [`answers`] of it give the same answer again.
    Answered {
        /// The record.
        seq: u64,
    },
    /// Its id was used for another body, or is older than those remembered.
    Refused(Rejection),
}

/// An answer to one command.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Whose command.
    pub actor: ActorId,
    /// Which.
    pub id: CommandId,
    /// The answer.
    pub reply: Reply,
}

/// Looks a command up by its actor and id. An id from the future is refused before anything
/// remembers it: once forgotten, it would make every honest id look old.
pub fn known(state: &State, command: &Command, at: At) -> Known {
    let key = ReceiptKey::new(&command.actor, &command.id);
    if let Some(receipt) = state.receipts.get(&key) {
        if receipt.body != command.digest() && !planted::is(Fault::BodyNotCompared) {
            return Known::Refused(reused(command));
        }
        return match receipt.waiting {
            true => Known::Waiting,
            false => Known::Answered { seq: receipt.answered.unwrap_or(receipt.seq) },
        };
    }
    let forgotten_ms = state.receipt_orders.get(&command.actor).map_or(0, |o| o.forgotten_ms);
    match command.id.uuid_v7_ms() {
        // Nothing was forgotten yet, or it is younger than all that was.
        Some(ms) if forgotten_ms > 0 && ms <= forgotten_ms => Known::Refused(expired(command)),
        Some(ms) if ms > at.0.saturating_add(ID_AHEAD_MS) => {
            let text = format!(
                "{} is {} s ahead of the mesh's clock; set the clock that minted it",
                command.id,
                (ms - at.0) / 1_000
            );
            Known::Refused(Rejection::bad_field("id", text).with("ahead_ms", ms - at.0))
        }
        _ => Known::New,
    }
}

/// The refusal of an id under which another command was sent before.
pub fn reused(command: &Command) -> Rejection {
    let text = format!("{} was used for another command; mint a new id", command.id);
    Rejection::bad_field("id", text)
}

/// The refusal of an id that is older than those that are remembered.
pub fn expired(command: &Command) -> Rejection {
    let text = format!(
        "{} is older than the commands of {} that are remembered; nothing was done",
        command.id, command.actor
    );
    Rejection::new(Code::IdExpired, text)
}

/// The answers that a record gives, once it is folded: to its own command, unless that waits
/// now, and to those whose wait it has ended.
pub fn answers(state: &State, record: &Record) -> Vec<Answer> {
    let mut answers: Vec<Answer> = record
        .command_id
        .iter()
        .filter_map(|id| {
            let reply = record::reply(state, record, id)?;
            Some(Answer { actor: record.actor.clone(), id: id.clone(), reply })
        })
        .collect();
    for actor in involved(state, record) {
        let Some(order) = state.receipt_orders.get(&actor) else { continue };
        for id in &order.ids {
            let receipt = state.receipts.get(&ReceiptKey::new(&actor, id));
            if receipt.is_some_and(|receipt| receipt.answered == Some(record.seq)) {
                let reply = wait_over(state, record, &actor, id);
                answers.push(Answer { actor: actor.clone(), id: id.clone(), reply });
            }
        }
    }
    answers
}

/// The actors who may have waited for this record.
fn involved(state: &State, record: &Record) -> BTreeSet<ActorId> {
    let mut actors = BTreeSet::new();
    for event in &record.events {
        if let Event::LockGranted(e) = event {
            actors.extend(e.waited.as_ref().map(|_| e.actor.clone()));
        } else if let Event::LockConverted(e) = event {
            let lease = lease::converted(record, e);
            let lease = state.leases.get(&lease).filter(|_| e.waited.is_some());
            actors.extend(lease.map(|lease| lease.holder.actor.clone()));
        } else if let Event::LockWithdrawn(e) = event {
            actors.insert(e.actor.clone());
        } else if let Event::LandBegan(LandBegan { task, attempt, waited: Some(_), .. })
        | Event::LandWithdrawn(LandWithdrawn { task, attempt, .. }) = event
        {
            actors.extend(worker(state, *task, *attempt));
        } else if let Event::LeasesLapsed(e) = event {
            actors.insert(e.actor.clone());
        } else if let Event::SessionLost(e) = event {
            actors.insert(e.actor.clone());
        } else if let Event::AgentLeft(e) = event {
            actors.insert(e.actor.clone());
        } else if let Event::ActorEnded(e) = event {
            actors.insert(e.actor.clone());
        } else if let Event::AttemptEnded(e) = event {
            actors.extend(worker(state, e.task, e.attempt));
        } else if let Event::TaskCompleted(e) = event {
            actors.extend(worker(state, e.task, e.attempt));
        }
    }
    actors
}

/// Whose attempt it is or was.
fn worker(state: &State, task: TaskId, number: u32) -> Option<ActorId> {
    let task = state.tasks.get(&task)?;
    let live = task.attempt.iter().map(|a| (a.number, &a.actor));
    let past = task.past.iter().map(|a| (a.number, &a.actor));
    let landed = task.landed.iter().map(|a| (a.attempt, &a.actor));
    let mut all = live.chain(past).chain(landed);
    all.find(|(n, _)| *n == number).map(|(_, actor)| actor.clone())
}

/// What somebody who waited is told.
fn wait_over(state: &State, record: &Record, actor: &ActorId, id: &CommandId) -> Reply {
    let seq = Some(record.seq);
    let given = lease::given(state, record, actor, |waited| waited == Some(id));
    if given["leases"].as_array().is_some_and(|leases| !leases.is_empty()) {
        return Reply::Ok { seq, result: given };
    }
    for event in &record.events {
        if let Event::LandBegan(e) = event
            && e.waited.as_ref() == Some(id)
        {
            return Reply::Ok { seq, result: record::turn(record, e) };
        }
        let why = if let Event::LockWithdrawn(e) = event {
            Some((&e.id, e.why)).filter(|_| e.actor == *actor)
        } else if let Event::LandWithdrawn(e) = event {
            Some((&e.id, e.why))
        } else {
            None
        };
        if let Some((of, why)) = why.filter(|(of, _)| *of == id) {
            return Reply::Err { seq, error: lease::withdrawn(of, why) };
        }
    }
    Reply::Err { seq, error: lease::withdrawn(id, lease::ENDED) }
}

/// The answer to a command that changes nothing: what it asks for is so already.
pub fn immediate(state: &State, command: &Command) -> Reply {
    let (mut seq, result) = unchanged(state, command);
    // What can only happen once is answered as it was when it happened.
    seq = seq.filter(|seq| *seq > 0);
    Reply::Ok { seq, result }
}

fn unchanged(state: &State, command: &Command) -> (Option<u64>, Value) {
    let task = |id: TaskId| record::task(state, id);
    let of = |id: &TaskId| state.tasks.get(id);
    let result = match &command.verb {
        Verb::LockAcquire(body) => json!({ "leases": lease::covering(state, command, body) }),
        Verb::LockConvert(body) => json!({ "leases": lease::as_it_is(state, body.lease) }),
        Verb::LockRelease(_) => json!({ "released": [] }),
        Verb::LockRenew(_) => json!({ "leases": [] }),
        Verb::TaskAdd(body) => {
            let repo = crate::decide::repo(state, body.repo.as_ref()).ok();
            let key = repo.zip(body.key.clone());
            let first = key.and_then(|key| state.index.task_keys.get(&key));
            first.map_or(Value::Null, |id| task(*id))
        }
        Verb::TaskBid(body) => {
            let closes_at = of(&body.task).and_then(|task| task.auction).map(|a| a.closes_at);
            json!({ "task": body.task, "leading": null, "closes_at": closes_at })
        }
        Verb::TaskComplete(body) => {
            return (of(&body.task).and_then(|task| task.ended_seq), task(body.task));
        }
        Verb::TaskFail(body) => return (ended(of(&body.task), body.attempt), task(body.task)),
        Verb::TaskAbandon(body) => return (ended(of(&body.task), body.attempt), task(body.task)),
        Verb::LandEnd(body) => return (turn_ended(of(&body.task)), task(body.task)),
        Verb::TaskProgress(body) => task(body.task),
        Verb::TaskEdit(body) => task(body.task),
        Verb::AgentJoin(_) => record::joined(state, &command.actor),
        Verb::RepoAdd(body) => record::repo(state, &body.name),
        Verb::AgentDrain(body) => json!({ "agent": body.agent }),
        Verb::ActorAdd(body) => json!({ "actor": body.actor, "role": body.role }),
        Verb::ActorEnd(body) => json!({ "actor": body.actor }),
        Verb::FrameworkPublish(body) if body.task.is_some() => published(state, body.task),
        Verb::FrameworkPublish(_) => {
            json!({ "version": state.mesh().framework.map(|(version, _)| version) })
        }
        Verb::FrameworkRead(body) => json!({ "version": body.version }),
        Verb::NoteShare(body) => json!({ "key": body.key }),
        Verb::SettingSet(body) => json!({ "key": body.key, "value": body.value }),
        Verb::MeshPause(_) | Verb::MeshResume(_) => json!({ "paused": state.mesh().paused }),
        Verb::CheckoutReport(body) => json!({ "paths": body.paths.len() }),
        Verb::Redact(body) => json!({ "digest": body.digest }),
        Verb::AgentLeave(_)
        | Verb::TaskStart(_)
        | Verb::TaskVerified(_)
        | Verb::TaskPause(_)
        | Verb::TaskResume(_)
        | Verb::TaskCancel(_)
        | Verb::TaskRetry(_)
        | Verb::TaskRevert(_)
        | Verb::TaskSay(_)
        | Verb::TaskAsk(_)
        | Verb::TaskAnswer(_)
        | Verb::TaskReview(_)
        | Verb::LandBegin(_)
        | Verb::LockBreak(_)
        | Verb::Internal(_) => json!({}),
    };
    (None, result)
}

/// What the plan that was published before has become, or that it waits.
fn published(state: &State, id: Option<TaskId>) -> Value {
    let Some(task) = id.and_then(|id| state.tasks.get(&id)) else { return Value::Null };
    match task.plan.as_deref().and_then(|plan| Some((plan, plan.framework?))) {
        Some((plan, version)) => {
            json!({ "version": version, "tasks": plan.tasks, "unknown": plan.unknown })
        }
        None => record::task(state, task.spec.task),
    }
}

/// The record that ended that attempt.
fn ended(task: Option<&Task>, number: u32) -> Option<u64> {
    task?.past.iter().find(|past| past.number == number).map(|past| past.ended_seq)
}

/// The record that ended the last turn.
fn turn_ended(task: Option<&Task>) -> Option<u64> {
    let task = task?;
    let live = task.attempt.as_ref().and_then(|attempt| attempt.turn_ended);
    live.map(|(_, seq)| seq).or(task.landed.as_ref().map(|landed| landed.seq))
}

#[cfg(test)]
mod tests;
