//! What may be done with a task in which state, and who holds its live token.

use devmesh_protocol::command::task::Flow;
use devmesh_protocol::event::task::Blocked;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{ActorId, Code, Command, Rejection, TaskId};

use super::super::agent;
use crate::state::State;
use crate::state::agent::Agent;
use crate::state::task::{Attempt, Phase, Task};

/// All verbs on one task, as the table below knows them.
const VERBS: &[&str] = &[
    "task.bid",
    "task.start",
    "task.progress",
    "task.verified",
    "task.ask",
    "task.review",
    "land.begin",
    "land.end",
    "task.complete",
    "task.fail",
    "task.abandon",
    "task.pause",
    "task.resume",
    "task.cancel",
    "task.retry",
    "task.edit",
    "task.revert",
    "task.say",
    "framework.publish",
];

/// The table: whether a verb has a meaning for a task as it stands.
fn may(task: &Task, verb: &str) -> bool {
    use Phase::{
        Cancelled, Claimed, Completed, Failed, Landing, Queued, Review, Verifying, Working,
    };
    let phase = task.phase;
    let attempt = task.attempt.as_ref();
    let landed = attempt.is_some_and(|attempt| attempt.landed.is_some());
    let works = attempt.is_some() && matches!(phase, Working | Verifying | Review);
    let movable = matches!(
        task.blocked,
        Some(
            Blocked::Landing(_)
                | Blocked::Budget
                | Blocked::BaseRed
                | Blocked::RateLimit(_)
                | Blocked::Decision
                | Blocked::Base(_)
                | Blocked::GivenBack(_)
        )
    );
    if task.plans() && matches!(verb, "task.verified" | "land.begin" | "land.end") {
        return false;
    }
    match verb {
        "framework.publish" => task.plans() && works && !task.paused && task.blocked.is_none(),
        "task.review" if task.plans() => phase == Review && task.is_proposed(),
        "task.complete" | "task.revert" if task.plans() => false,
        "task.bid" => task.auction.is_some(),
        "task.start" => phase == Claimed && !task.paused,
        "task.progress" => works || phase == Landing,
        "task.verified" => works,
        "task.ask" => works && task.question.is_none(),
        "task.review" => (attempt.is_some() && !landed) || task.parked.is_some(),
        "land.begin" => {
            let free = matches!(task.blocked, None | Some(Blocked::Landing(_)));
            works && task.spec.flow == Flow::Merge && free && !task.paused
        }
        "land.end" => phase == Landing && !landed,
        "task.complete" => landed || (works && !task.paused && task.blocked.is_none()),
        "task.fail" | "task.abandon" => attempt.is_some() && !landed,
        "task.pause" => !phase.has_ended() && !task.paused,
        "task.resume" => !phase.has_ended() && (task.paused || movable),
        "task.cancel" => !phase.has_ended() && !landed,
        "task.retry" => matches!(phase, Failed | Cancelled),
        "task.edit" => matches!(phase, Queued | Failed | Cancelled),
        "task.revert" => phase == Completed,
        _ => true,
    }
}

/// The verbs that a task takes as it stands.
fn allowed(task: &Task) -> Vec<&'static str> {
    // Of work that has to land, completing means something only once it has: before, the
    // refusal says what is missing.
    let landed = task.attempt.as_ref().is_some_and(|attempt| attempt.landed.is_some());
    let early = |verb: &str| verb == "task.complete" && task.spec.flow == Flow::Merge && !landed;
    VERBS.iter().copied().filter(|verb| may(task, verb) && !early(verb)).collect()
}

/// Refuses what has no meaning for the task as it stands.
pub(crate) fn permit(task: &Task, verb: &'static str) -> Result<(), Rejection> {
    if may(task, verb) { Ok(()) } else { Err(wrong_state(task, verb)) }
}

/// The refusal that names the state, and what would be possible in it.
pub(crate) fn wrong_state(task: &Task, verb: &str) -> Rejection {
    let (id, state) = (task.spec.task, task.state_name());
    let allowed = allowed(task);
    let text = format!("{id} is {state}; {verb} is not possible now, but {}", allowed.join(", "));
    Rejection::new(Code::TaskStateError, text)
        .with("task", id.to_string())
        .with("state", state)
        .with("allowed", allowed)
}

/// The task.
pub(crate) fn find(state: &State, id: TaskId) -> Result<&Task, Rejection> {
    state.tasks.get(&id).ok_or_else(|| {
        let text = format!("there is no task {id}");
        Rejection::new(Code::TaskNotFound, text).with("task", id.to_string())
    })
}

/// The refusal of a token that is not the live one.
pub(super) fn stale(task: &Task, number: u32, token: u64) -> Rejection {
    let id = task.spec.task;
    let text = match &task.attempt {
        Some(live) => format!(
            "attempt {number} of {id} with token {token} is over; attempt {} of {} runs",
            live.number, live.actor
        ),
        None => format!(
            "attempt {number} of {id} with token {token} is over; the task is {}",
            task.state_name()
        ),
    };
    Rejection::new(Code::StaleToken, text).with("task", id.to_string()).with("token", token)
}

/// The refusal of somebody who acts for another.
pub(super) fn not_owner(task: &Task, owner: &ActorId) -> Rejection {
    let text = format!("this attempt of {} is {owner}'s", task.spec.task);
    Rejection::new(Code::NotOwner, text).with("owner", owner.as_str())
}

/// The task and its running attempt, where the command comes from its own live worker.
pub(crate) fn own<'s>(
    state: &'s State,
    command: &Command,
    id: TaskId,
    number: u32,
    token: u64,
) -> Result<(&'s Task, &'s Attempt), Rejection> {
    let task = find(state, id)?;
    let any = planted::is(Fault::AttemptNotCompared);
    let fenced = !any && !planted::is(Fault::TokenNotCompared);
    let live = task
        .attempt
        .as_ref()
        .filter(|a| (any || a.number == number) && (!fenced || a.token == token));
    let attempt = live.ok_or_else(|| stale(task, number, token))?;
    if attempt.actor != command.actor {
        return Err(not_owner(task, &attempt.actor));
    }
    let agent = agent::live_session(state, command)?;
    if agent.session != attempt.session {
        return Err(stale(task, number, token));
    }
    Ok((task, attempt))
}

/// Who acts: an agent under its live session, or a person, who needs none.
pub(super) fn actor<'s>(
    state: &'s State,
    command: &Command,
) -> Result<Option<&'s Agent>, Rejection> {
    if agent::is_person(state, &command.actor) {
        return Ok(None);
    }
    agent::live_session(state, command).map(Some)
}
