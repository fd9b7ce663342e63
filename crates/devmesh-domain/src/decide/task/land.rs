//! The merge queue: who lands next on a branch, and what a turn came to.

use devmesh_protocol::command::task::{Found, LandBegin, LandEnd, LandOutcome};
use devmesh_protocol::event::mesh::BranchMoved;
use devmesh_protocol::event::task::{
    AttemptEnded, Blocked, Ended, LandBegan, LandEnded, LandQueued, Next, TaskBlocked,
    TaskCompleted, TaskUnblocked,
};
use devmesh_protocol::limits::{RETRY_AFTER_MS, WAIT_MS_MAX};
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{At, Code, Command, Event, Rejection};

use super::attempt::{check_evidence, ended_so, parked, proves, same_worker};
use super::change;
use super::guard::{find, not_owner, own, permit, wrong_state};
use super::review::not_needed;
use crate::state::mesh::{LandQueue, Turn};
use crate::state::task::{Attempt, Phase, Task};
use crate::state::{State, Target};

type Decided = Result<Vec<Event>, Rejection>;

pub(crate) fn land_begin(state: &State, command: &Command, body: &LandBegin, at: At) -> Decided {
    let (task, attempt) = own(state, command, body.task, body.attempt, body.token)?;
    permit(task, "land.begin")?;
    check_evidence(task, attempt, Some(&body.tree))?;
    change::check_merged(task, attempt, body.seen)?;
    let mut events = Vec::new();
    if matches!(task.blocked, Some(Blocked::Landing(_))) {
        events.push(TaskUnblocked { task: body.task }.into());
    }
    let target = task.target();
    let queue = state.lands.get(&target);
    let free =
        queue.is_none_or(|queue| queue.turn.is_none() && state.next_to_land(queue).is_none());
    if free || planted::is(Fault::TwoTurns) {
        let head = queue.and_then(|queue| queue.head.clone());
        let (repo, target) = target;
        events.push(
            LandBegan {
                task: body.task,
                attempt: body.attempt,
                repo,
                target,
                tree: body.tree.clone(),
                head,
                waited: None,
            }
            .into(),
        );
        return Ok(events);
    }
    let wait_ms = body.wait_ms.unwrap_or(WAIT_MS_MAX).min(WAIT_MS_MAX);
    if wait_ms == 0 {
        return Err(taken(queue, &target));
    }
    events.push(
        LandQueued {
            task: body.task,
            attempt: body.attempt,
            tree: body.tree.clone(),
            id: command.id.clone(),
            deadline: at + wait_ms,
            seen: body.seen,
        }
        .into(),
    );
    Ok(events)
}

fn taken(queue: Option<&LandQueue>, (repo, branch): &Target) -> Rejection {
    let holder = queue.and_then(|queue| queue.turn.as_ref()).map(|turn| turn.task.to_string());
    let text = match &holder {
        Some(task) => format!("{task} is landing on {branch} of {repo}"),
        None => format!("others wait to land on {branch} of {repo}"),
    };
    Rejection::new(Code::LockConflict, text).with("holder", holder).retry_after(RETRY_AFTER_MS)
}

pub(crate) fn land_end(state: &State, command: &Command, body: &LandEnd) -> Decided {
    let known = find(state, body.task)?;
    let done = known.landed.as_ref().filter(|landed| {
        known.phase == Phase::Completed
            && body.outcome == LandOutcome::Landed
            && (landed.attempt, landed.token) == (body.attempt, body.token)
    });
    if let Some(landed) = done {
        return match landed.actor == command.actor {
            true => Ok(Vec::new()),
            false => Err(not_owner(known, &landed.actor)),
        };
    }
    let so = |why: &Ended| *why == Ended::Parked && body.outcome == LandOutcome::Blocked;
    if let Some(worker) = ended_so(known, (body.attempt, body.token), so) {
        return same_worker(known, command, worker);
    }
    let (task, attempt) = own(state, command, body.task, body.attempt, body.token)?;
    let turn = state.lands.get(&task.target()).and_then(|queue| queue.turn.as_ref());
    let Some(turn) = turn.filter(|turn| turn.task == body.task) else {
        // The turn has ended; a late report of the same end changes nothing.
        return match attempt.turn_ended.is_some_and(|(outcome, _)| outcome == body.outcome) {
            true => Ok(Vec::new()),
            false => Err(wrong_state(task, "land.end")),
        };
    };
    permit(task, "land.end")?;
    check_landed(task, attempt, turn, body)?;
    let mut events = found(state, task, body);
    let superseded = body.found.iter().any(|found| found.task == body.task);
    events.push(
        LandEnded {
            task: body.task,
            attempt: body.attempt,
            repo: task.spec.repo.clone(),
            target: task.spec.target.clone(),
            outcome: body.outcome,
            commit: body.commit.clone(),
            tree: body.tree.clone(),
            receipt: body.receipt.clone(),
            paths: body.paths.clone(),
            message: body.message.clone(),
            change: body.change.clone(),
        }
        .into(),
    );
    if body.outcome == LandOutcome::Blocked && !superseded {
        let cause = body.message.clone().unwrap_or_else(|| body.paths.join(", "));
        events.push(TaskBlocked { task: body.task, cause: Blocked::Landing(cause) }.into());
        // What only a person can change may take a night; its worker is needed elsewhere.
        events.push(parked(task, attempt, Next::Queued));
    }
    Ok(events)
}

/// What landed is what was verified, or comes with evidence of its own.
fn check_landed(
    task: &Task,
    attempt: &Attempt,
    turn: &Turn,
    body: &LandEnd,
) -> Result<(), Rejection> {
    let Some(tree) = body.tree.as_deref().filter(|_| body.outcome == LandOutcome::Landed) else {
        return Ok(());
    };
    let known = turn.tree == tree && proves(attempt.receipt.as_ref(), Some(tree));
    if known || proves(body.receipt.as_ref(), Some(tree)) {
        return Ok(());
    }
    let text = format!("{} landed tree {tree}, which no receipt proves", task.spec.task);
    Err(Rejection::new(Code::VerificationRequired, text).with("verified", turn.tree.clone()))
}

/// What the branch gained since the head on record: commits of attempts whose reports were lost
/// complete their tasks before anything else, and anything else somebody else has put there.
fn found(state: &State, task: &Task, body: &LandEnd) -> Vec<Event> {
    let mut events = Vec::new();
    let known = state.lands.get(&task.target()).and_then(|queue| queue.head.clone());
    let mut head = known.clone();
    let mut seen = std::collections::BTreeSet::new();
    for found in &body.found {
        let Some(task) = lost(state, task, found).filter(|_| seen.insert(found.task)) else {
            continue;
        };
        if let Some(live) = task.attempt.as_ref().filter(|live| live.number != found.attempt) {
            let ended = AttemptEnded {
                task: found.task,
                attempt: live.number,
                why: Ended::Superseded,
                spent: false,
                next: Next::Completed,
                usage: None,
            };
            events.push(ended.into());
        }
        events.extend(not_needed(task));
        head = Some(found.commit.clone());
        let completed = TaskCompleted {
            task: found.task,
            attempt: found.attempt,
            commit: Some(found.commit.clone()),
            tree: found.tree.clone(),
            found: true,
            message: None,
            usage: None,
        };
        events.push(completed.into());
    }
    if let (Some(_), Some(from)) = (&known, &body.from)
        && head.as_ref() != Some(from)
    {
        let (repo, branch) = task.target();
        events.push(BranchMoved { repo, branch, from: head, to: from.clone() }.into());
    }
    events
}

/// The task that a commit on the branch belongs to. A trailer alone proves nothing: only an
/// attempt that has had a turn can have put it there.
fn lost<'s>(state: &'s State, lands: &Task, found: &Found) -> Option<&'s Task> {
    let task = state.tasks.get(&found.task)?;
    let past = task.past.iter().any(|past| past.number == found.attempt && past.had_turn);
    let live = task.attempt.as_ref();
    let live = live.is_some_and(|live| live.number == found.attempt && live.had_turn);
    let own = found.task == lands.spec.task && live;
    let here = task.target() == lands.target();
    (here && task.phase != Phase::Completed && !own && (past || live)).then_some(task)
}
