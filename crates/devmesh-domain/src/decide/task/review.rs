//! Reviews: who looks at another's work, and what a verdict leads to. An agent's review is not
//! bid for: whoever is free and has no part in the work is given it.

use devmesh_protocol::command::task::{Judgement, Review, ReviewBy, Reviewed};
use devmesh_protocol::event::mesh::TextRef;
use devmesh_protocol::event::task::{
    Blocked, Next, ReviewAssigned, ReviewLapse, ReviewLapsed, TaskBlocked, TaskReviewed,
};
use devmesh_protocol::limits::{REVIEW_MS, REVIEWS_MAX};
use devmesh_protocol::{ActorId, At, Code, Command, Event, Rejection, TaskId};

use super::super::{agent, framework};
use super::attempt::{parked, proves};
use super::auction::{idle, over_budget, unfit_for_good, unfit_to_review};
use super::guard::{actor, find, permit, wrong_state};
use crate::state::State;
use crate::state::agent::Agent;
use crate::state::task::{Phase, Task};

/// A verdict counts for the tree that the receipt is about, and nobody gives it on their own work.
pub(crate) fn review(
    state: &State,
    command: &Command,
    body: &Review,
) -> Result<Vec<Event>, Rejection> {
    let person = agent::is_person(state, &command.actor);
    let task = find(state, body.task)?;
    if !person && task.waits_for() == ReviewBy::Person {
        let text = format!("{} asks for a person's review", body.task);
        return Err(Rejection::new(Code::NotPermitted, text).with("review", "person"));
    }
    actor(state, command)?;
    if task.plans() {
        return framework::judge(state, command, task, body);
    }
    let (number, author, receipt) = match (&task.attempt, &task.parked) {
        (Some(attempt), _) => (attempt.number, &attempt.actor, attempt.receipt.as_ref()),
        (None, Some(parked)) => (parked.attempt, &parked.actor, Some(&parked.receipt)),
        (None, None) => return Err(wrong_state(task, "task.review")),
    };
    if *author == command.actor {
        let text = format!("{} is your own work; another has to review it", body.task);
        return Err(Rejection::new(Code::SelfReview, text));
    }
    permit(task, "task.review")?;
    if let (Some(seen), Some(receipt)) = (&body.tree, receipt)
        && *seen != receipt.tree
    {
        let text = format!("tree {seen} is not what waits now; that is {}", receipt.tree);
        let refused = Rejection::new(Code::TaskStateError, text);
        return Err(refused.with("tree", receipt.tree.clone()).with("state", task.state_name()));
    }
    if body.verdict == Judgement::Abstain {
        return abstain(task, command);
    }
    if body.what == Reviewed::Diff && !may_judge(task, body.verdict) {
        return Err(wrong_state(task, "task.review"));
    }
    let mut events: Vec<Event> =
        not_needed(task).filter(|_| !reviews(task, &command.actor)).into_iter().collect();
    let reviewed = TaskReviewed {
        task: body.task,
        attempt: number,
        what: body.what,
        verdict: body.verdict,
        comments: body.comments.as_deref().map(TextRef::to),
        by: command.actor.clone(),
    };
    events.push(reviewed.into());
    let rejected = body.verdict == Judgement::Reject && body.what == Reviewed::Diff;
    // Work that was let through and is on its way stops, and begins again from its save.
    let live = task.attempt.as_ref().filter(|_| rejected && task.phase != Phase::Review);
    events.extend(live.map(|attempt| parked(task, attempt, Next::Queued)));
    if rejected && !person && task.rejections + 1 >= REVIEWS_MAX {
        events.push(TaskBlocked { task: body.task, cause: Blocked::Decision }.into());
    }
    Ok(events)
}

/// A rejection can still stop what was approved, until its turn to land has come.
fn may_judge(task: &Task, verdict: Judgement) -> bool {
    let live = task.attempt.as_ref();
    let proven = live.is_some_and(|attempt| proves(attempt.receipt.as_ref(), None));
    match verdict {
        Judgement::Approve => task.phase == Phase::Review && (proven || task.parked.is_some()),
        Judgement::Reject => match task.phase {
            Phase::Review | Phase::Queued => proven || task.parked.is_some(),
            Phase::Claimed | Phase::Working | Phase::Verifying => proven,
            Phase::Landing | Phase::Completed | Phase::Failed | Phase::Cancelled => false,
        },
        Judgement::Abstain => false,
    }
}

fn reviews(task: &Task, actor: &ActorId) -> bool {
    task.reviewer.as_ref().is_some_and(|reviewer| reviewer.actor == *actor)
}

fn abstain(task: &Task, command: &Command) -> Result<Vec<Event>, Rejection> {
    if !reviews(task, &command.actor) {
        let text = format!("{} is not given to you to review", task.spec.task);
        return Err(Rejection::new(Code::NotOwner, text));
    }
    Ok(lapsed(task, ReviewLapse::Abstained))
}

/// The end of a review without a verdict. After some in vain a person is asked.
fn lapsed(task: &Task, why: ReviewLapse) -> Vec<Event> {
    let (Some(reviewer), id) = (&task.reviewer, task.spec.task) else { return Vec::new() };
    let mut events: Vec<Event> =
        vec![ReviewLapsed { task: id, reviewer: reviewer.actor.clone(), why }.into()];
    let counts = matches!(why, ReviewLapse::TimedOut | ReviewLapse::Abstained);
    if counts && task.reviews_lapsed.len() + 1 >= REVIEWS_MAX as usize {
        events.push(TaskBlocked { task: id, cause: Blocked::Decision }.into());
    }
    events
}

/// Whoever reviews it need not go on.
pub(super) fn not_needed(task: &Task) -> Option<Event> {
    lapsed(task, ReviewLapse::NotNeeded).pop()
}

/// The reviewer's session has ended.
pub(crate) fn session_ended(state: &State, id: TaskId) -> Option<Event> {
    lapsed(state.tasks.get(&id)?, ReviewLapse::SessionEnded).pop()
}

/// No verdict came in time.
pub(super) fn timed_out(state: &State, id: TaskId) -> Vec<Event> {
    state.tasks.get(&id).map_or_else(Vec::new, |task| lapsed(task, ReviewLapse::TimedOut))
}

/// Gives one review to an idle agent: the first task that waits and has somebody who can look.
pub(super) fn assign(state: &State, at: At) -> Vec<Event> {
    let (index, stirred) = (&state.index, &state.index.tasks.stirred);
    let none_free = index.idle.len() <= index.auctions.len();
    let waiting = &index.tasks.reviews;
    let stopped = state.mesh().paused || over_budget(state, at).is_some();
    if waiting.is_empty() || none_free || stopped || !stirred.is_fresh_for_reviews() {
        return Vec::new();
    }
    let assigned = waiting.iter().find_map(|id| assigned(state, *id, at));
    if assigned.is_none() {
        stirred.remember_no_reviewer();
    }
    assigned.into_iter().collect()
}

/// Whether an agent that is given a review is likely to do it. One that answers nothing is there
/// for leases alone, and the review would lie there for all of its time; one that has given this
/// very review back would do so again.
fn answers(task: &Task, name: &ActorId, agent: &Agent) -> bool {
    !agent.is_absent() && !task.reviews_lapsed.contains(name)
}

/// Whether somebody who would answer is only at work, or away for a moment: that ends by itself.
fn another_will(state: &State, task: &Task) -> bool {
    let will = |(name, agent): (&ActorId, &Agent)| {
        (agent.is_busy() || agent.silent)
            && answers(task, name, agent)
            && unfit_for_good(task, name, agent).is_none()
    };
    state.agents.iter().any(will)
}

/// First whoever has no part in the work; of these, the longest idle. Those who would not answer
/// are asked only where nobody is waited for.
fn assigned(state: &State, id: TaskId, at: At) -> Option<Event> {
    let task = state.tasks.get(&id)?;
    let parked = task.parked.as_ref()?;
    let fit =
        idle(state).filter(|(name, agent)| unfit_to_review(state, task, name, agent).is_none());
    let place = |(name, agent): &(&ActorId, &Agent)| {
        let lapsed = task.reviews_lapsed.contains(name);
        let worked = task.past.iter().any(|past| past.actor == **name);
        (agent.is_absent(), lapsed, worked, agent.idle_since, (*name).clone())
    };
    let (reviewer, agent) = fit.min_by_key(place)?;
    if !answers(task, reviewer, agent) && another_will(state, task) {
        return None;
    }
    let device = agent::fits(state, &agent.host, &agent.needs).ok()?;
    let assigned = ReviewAssigned {
        task: id,
        attempt: parked.attempt,
        reviewer: reviewer.clone(),
        session: agent.session.clone(),
        host: agent.host.clone(),
        needs: agent.needs,
        device,
        tree: parked.receipt.tree.clone(),
        deadline: at + REVIEW_MS,
    };
    Some(assigned.into())
}
