//! What is said about a task: to its worker, by it, and by its reviewers.

use devmesh_protocol::command::task::{Answer, Ask, Judgement, Review, ReviewBy, Reviewed, Say};
use devmesh_protocol::event::mesh::TextRef;
use devmesh_protocol::event::task::{TaskAnswered, TaskAsked, TaskReviewed, TaskSaid};
use devmesh_protocol::{At, Code, Command, Event, Rejection};

use super::super::agent;
use super::add::following;
use super::guard::{actor, find, not_owner, permit, wrong_state};
use crate::state::State;
use crate::state::task::Phase;

type Decided = Result<Vec<Event>, Rejection>;

/// The worker reads it at its next turn. On a task that has landed it becomes a task of its own.
pub(crate) fn say(state: &State, command: &Command, body: &Say) -> Decided {
    actor(state, command)?;
    let task = find(state, body.task)?;
    if task.phase == Phase::Completed {
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
    Ok(vec![asked.into()])
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

/// A verdict counts for the tree that the receipt is about, and nobody gives it on their own work.
pub(crate) fn review(state: &State, command: &Command, body: &Review) -> Decided {
    let person = agent::is_person(state, &command.actor);
    let task = find(state, body.task)?;
    if !person && task.waits_for() == ReviewBy::Person {
        let text = format!("{} asks for a person's review", body.task);
        return Err(Rejection::new(Code::NotPermitted, text).with("review", "person"));
    }
    actor(state, command)?;
    let Some(attempt) = &task.attempt else { return Err(wrong_state(task, "task.review")) };
    if attempt.actor == command.actor {
        let text = format!("{} is your own work; another has to review it", body.task);
        return Err(Rejection::new(Code::SelfReview, text));
    }
    permit(task, "task.review")?;
    // A rejection can still stop what was approved, until its turn to land has come.
    let judged = match body.verdict {
        Judgement::Approve => task.phase == Phase::Review,
        Judgement::Reject => matches!(task.phase, Phase::Review | Phase::Verifying),
    };
    let proven = attempt.receipt.is_some();
    if body.what == Reviewed::Diff && !(judged && proven) {
        return Err(wrong_state(task, "task.review"));
    }
    let reviewed = TaskReviewed {
        task: body.task,
        attempt: attempt.number,
        what: body.what,
        verdict: body.verdict,
        comments: body.comments.as_deref().map(TextRef::to),
        by: command.actor.clone(),
    };
    Ok(vec![reviewed.into()])
}
