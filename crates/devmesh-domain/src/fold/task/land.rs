//! The merge queue: one turn for each branch, and those who wait for it in order.

use devmesh_protocol::command::task::LandOutcome;
use devmesh_protocol::event::task::{Blocked, LandBegan, LandEnded, LandQueued, LandWithdrawn};
use devmesh_protocol::{At, Record, TaskId};

use super::list::change;
use crate::state::index::Due;
use crate::state::mesh::{LandQueue, LandWaiter, Turn};
use crate::state::task::{Landed, Phase, Task};
use crate::state::{State, Target};

pub(crate) fn land_queued(state: &mut State, e: &LandQueued) {
    let Some(target) = target_of(state, e.task) else { return };
    let waiter = LandWaiter {
        task: e.task,
        attempt: e.attempt,
        tree: e.tree.clone(),
        id: e.id.clone(),
        queued_at: state.at,
        deadline: e.deadline,
        seen: e.seen,
    };
    let queue = state.lands.get_or_insert_with(&target, LandQueue::default);
    queue.waiting.push_back(waiter);
    state.index.due.insert((e.deadline, Due::Land(e.task)));
    change(state, e.task, |task| task.phase = Phase::Landing);
    relist(state, &target);
}

pub(crate) fn land_withdrawn(state: &mut State, e: &LandWithdrawn) {
    leave(state, e.task);
    change(state, e.task, |task| {
        if task.phase == Phase::Landing {
            task.phase = Phase::Verifying;
        }
    });
}

pub(crate) fn land_began(state: &mut State, record: &Record, e: &LandBegan) {
    leave(state, e.task);
    let target = (e.repo.clone(), e.target.clone());
    let queue = state.lands.get_or_insert_with(&target, LandQueue::default);
    queue.turn =
        Some(Turn { task: e.task, attempt: e.attempt, token: record.seq, tree: e.tree.clone() });
    change(state, e.task, |task| {
        task.phase = Phase::Landing;
        if let Some(attempt) = task.attempt.as_mut().filter(|a| a.number == e.attempt) {
            attempt.had_turn = true;
            attempt.turn_ended = None;
        }
    });
    relist(state, &target);
}

pub(crate) fn land_ended(state: &mut State, record: &Record, e: &LandEnded) {
    leave(state, e.task);
    if let Some(commit) = e.commit.as_ref().filter(|_| e.outcome == LandOutcome::Landed) {
        head_is(state, e.task, commit);
    }
    if e.outcome == LandOutcome::Landed {
        super::meet::landed(state, record.seq, e);
    }
    change(state, e.task, |task| {
        let Some(attempt) = task.attempt.as_mut().filter(|a| a.number == e.attempt) else {
            return;
        };
        task.conflicts.clone_from(&e.paths);
        attempt.turn_ended = Some((e.outcome, record.seq));
        if let Some(receipt) = &e.receipt {
            attempt.receipt = Some(receipt.clone());
        }
        match e.outcome {
            LandOutcome::Landed => {
                attempt.landed = Some(Landed {
                    attempt: attempt.number,
                    token: attempt.token,
                    actor: attempt.actor.clone(),
                    seq: record.seq,
                    commit: e.commit.clone(),
                    tree: e.tree.clone().unwrap_or_default(),
                    change: attempt.change.as_ref().map(|change| change.digest),
                });
            }
            LandOutcome::Conflict => {
                task.phase = Phase::Working;
                task.parked = None;
            }
            LandOutcome::Blocked | LandOutcome::Yielded => task.phase = Phase::Verifying,
        }
        if matches!(task.blocked, Some(Blocked::Landing(_))) {
            task.blocked = None;
        }
    });
}

/// The branch that a task lands on.
fn target_of(state: &State, id: TaskId) -> Option<Target> {
    state.tasks.get(&id).map(Task::target)
}

/// The branch has a new head, of this task.
pub(super) fn head_is(state: &mut State, id: TaskId, commit: &str) {
    if let Some(target) = target_of(state, id) {
        let queue = state.lands.get_or_insert_with(&target, LandQueue::default);
        queue.head = Some(commit.to_owned());
    }
}

/// A task's turn, or its wait for one, is over.
pub(super) fn leave(state: &mut State, id: TaskId) {
    let Some(target) = target_of(state, id) else { return };
    let involved = state.lands.get(&target).is_some_and(|queue| {
        queue.turn.as_ref().is_some_and(|turn| turn.task == id)
            || queue.waiting.iter().any(|waiter| waiter.task == id)
    });
    if !involved {
        return;
    }
    let queue = state.lands.get_mut(&target).expect("it was there a moment ago");
    queue.turn.take_if(|turn| turn.task == id);
    for waiter in queue.waiting.iter().filter(|waiter| waiter.task == id) {
        state.index.due.remove(&(waiter.deadline, Due::Land(id)));
    }
    queue.waiting.retain(|waiter| waiter.task != id);
    relist(state, &target);
}

/// Says whether a branch's turn can be granted.
fn relist(state: &mut State, target: &Target) {
    let queue = state.lands.get(target).filter(|queue| queue.turn.is_none());
    let can = queue.is_some_and(|queue| state.next_to_land(queue).is_some());
    if can {
        state.index.tasks.lands.insert(target.clone());
    } else {
        state.index.tasks.lands.remove(target);
    }
}

/// A task is held, or no longer.
pub(super) fn relist_of(state: &mut State, id: TaskId) {
    if let Some(target) = target_of(state, id) {
        relist(state, &target);
    }
}

/// Moves the deadlines of those who wait.
pub(super) fn extend_waits(state: &mut State, later: impl Fn(At, u64) -> At) {
    let targets: Vec<Target> = state.lands.keys().cloned().collect();
    for target in targets {
        let waits = state.lands.get(&target).is_some_and(|queue| !queue.waiting.is_empty());
        let Some(queue) = state.lands.get_mut(&target).filter(|_| waits) else { continue };
        for waiter in &mut queue.waiting {
            state.index.due.remove(&(waiter.deadline, Due::Land(waiter.task)));
            let full_ms = waiter.deadline.since(waiter.queued_at);
            waiter.deadline = later(waiter.deadline, full_ms);
            state.index.due.insert((waiter.deadline, Due::Land(waiter.task)));
        }
    }
}
