//! What is said about a task: to its worker, and by it.

use devmesh_protocol::command::task::{Answer, Ask, Say};
use devmesh_protocol::event::mesh::TextRef;
use devmesh_protocol::event::task::{Next, TaskAnswered, TaskAsked, TaskSaid};
use devmesh_protocol::{At, Code, Command, Event, Rejection};

use super::super::agent;
use super::add::following;
use super::attempt::parked;
use super::guard::{actor, find, not_owner, permit, wrong_state};
use crate::state::State;
use crate::state::task::Phase;

type Decided = Result<Vec<Event>, Rejection>;

/// The worker reads it at its next turn. On a task that has landed it becomes a task of its own.
pub(crate) fn say(state: &State, command: &Command, body: &Say) -> Decided {
    actor(state, command)?;
    let task = find(state, body.task)?;
    if task.phase == Phase::Completed {
        if task.plans() {
            agent::require_person(state, command)?;
        }
        let added = following(state, command, task, "follow-up", Some(&body.text))?;
        return Ok(vec![added.into()]);
    }
    let text = TextRef::to(&body.text);
    Ok(vec![TaskSaid { task: body.task, text, by: command.actor.clone() }.into()])
}

pub(crate) fn ask(state: &State, command: &Command, body: &Ask, at: At) -> Decided {
    let task = find(state, body.task)?;
    let agent = agent::live_session(state, command)?;
    let Some(attempt) = &task.attempt else { return Err(wrong_state(task, "task.ask")) };
    if attempt.actor != command.actor || attempt.session != agent.session {
        return Err(not_owner(task, &attempt.actor));
    }
    permit(task, "task.ask")?;
    let asked = TaskAsked {
        task: body.task,
        question: TextRef::to(&body.question),
        options: body.options.clone(),
        default: body.default.clone(),
        deadline: body.wait_s.map(|s| at + s.saturating_mul(1_000)),
    };
    let mut events = vec![asked.into()];
    // A question without a time may wait for a night, and its worker is needed elsewhere.
    if body.wait_s.is_none() {
        events.push(parked(task, attempt, Next::Queued));
    }
    Ok(events)
}

pub(crate) fn answer(state: &State, command: &Command, body: &Answer) -> Decided {
    agent::require_person(state, command)?;
    let Some(task) = state.index.tasks.questions.get(&body.question) else {
        let text = format!("{} is no open question", body.question);
        return Err(
            Rejection::new(Code::TaskStateError, text).with("question", body.question.to_string())
        );
    };
    let answered = TaskAnswered {
        task: *task,
        question: body.question,
        answer: TextRef::to(&body.answer),
        by: Some(command.actor.clone()),
    };
    Ok(vec![answered.into()])
}
