//! A person's word on a task: hold it, let it go on, end it, begin it again, undo it.

use devmesh_protocol::command::task::Reasoned;
use devmesh_protocol::event::task::{
    AttemptEnded, Ended, Next, TaskCancelled, TaskPaused, TaskResumed, TaskRetried, TaskUnblocked,
};
use devmesh_protocol::limits::PARK_MS;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{At, Command, Event, Rejection};

use super::super::agent::require_person;
use super::add::following;
use super::guard::{find, permit};
use super::review::not_needed;
use crate::state::State;

type Decided = Result<Vec<Event>, Rejection>;

pub(crate) fn pause(state: &State, command: &Command, body: &Reasoned, at: At) -> Decided {
    require_person(state, command)?;
    let task = find(state, body.task)?;
    permit(task, "task.pause")?;
    let parks_at = task.attempt.as_ref().map(|_| at + PARK_MS);
    Ok(vec![TaskPaused { task: body.task, reason: body.reason.clone(), parks_at }.into()])
}

/// Lets a held task go on, and one that only a person's word can free.
pub(crate) fn resume(state: &State, command: &Command, body: &Reasoned) -> Decided {
    require_person(state, command)?;
    let task = find(state, body.task)?;
    permit(task, "task.resume")?;
    Ok(vec![match task.paused {
        true => TaskResumed { task: body.task }.into(),
        false => TaskUnblocked { task: body.task }.into(),
    }])
}

pub(crate) fn cancel(state: &State, command: &Command, body: &Reasoned) -> Decided {
    require_person(state, command)?;
    let task = find(state, body.task)?;
    permit(task, "task.cancel")?;
    let mut events = Vec::new();
    if let Some(attempt) = &task.attempt
        && !planted::is(Fault::CancelKeepsAttempt)
    {
        let ended = AttemptEnded {
            task: body.task,
            attempt: attempt.number,
            why: Ended::Cancelled,
            spent: false,
            next: Next::Cancelled,
            usage: None,
        };
        events.push(ended.into());
    }
    events.extend(not_needed(task));
    events.push(TaskCancelled { task: body.task, reason: body.reason.clone() }.into());
    Ok(events)
}

pub(crate) fn retry(state: &State, command: &Command, body: &Reasoned) -> Decided {
    require_person(state, command)?;
    permit(find(state, body.task)?, "task.retry")?;
    Ok(vec![TaskRetried { task: body.task, reason: body.reason.clone() }.into()])
}

/// Undoing is a task like any other: it has to be proven and landed.
pub(crate) fn revert(state: &State, command: &Command, body: &Reasoned) -> Decided {
    require_person(state, command)?;
    let task = find(state, body.task)?;
    permit(task, "task.revert")?;
    let mut added = following(state, command, task, "revert", None)?;
    added.parent = None;
    added.reverts = Some(body.task);
    Ok(vec![added.into()])
}
