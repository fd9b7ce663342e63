//! What holds of tasks, attempts and the merge queue.

use std::collections::{BTreeMap, BTreeSet};

use devmesh_protocol::TaskId;
use devmesh_protocol::command::task::ReviewBy;
use devmesh_protocol::event::task::Blocked;

use super::index::same;
use crate::state::State;
use crate::state::index::{Due, Index};
use crate::state::task::{Phase, Task};

/// S10: a task is in one state, with what belongs to it: an attempt while somebody works, the
/// time of its end once it is over, bids only while it could be awarded.
pub fn s10_one_state(state: &State) -> Result<(), String> {
    let mut tokens = BTreeSet::new();
    for (id, task) in state.tasks.iter() {
        let name = task.state_name();
        let waits = task.parked.is_some() || task.is_proposed();
        let parked = task.phase == Phase::Review && waits && task.attempt.is_none();
        let works = !task.phase.has_ended() && task.phase != Phase::Queued && !parked;
        if works != task.attempt.is_some() {
            return Err(format!("{id} is {name} and has attempt {:?}", task.attempt));
        }
        let ended = task.phase.has_ended();
        if ended != task.ended_at.is_some() || ended != task.ended_seq.is_some() {
            return Err(format!("{id} is {name} and ended at {:?}", task.ended_at));
        }
        if task.auction.is_some() && (task.ready_at.is_none() || task.phase != Phase::Queued) {
            return Err(format!("{id} is {name} and has an open auction"));
        }
        if task.is_proposed() && task.phase != Phase::Review {
            return Err(format!("{id} is {name} and its plan waits for a person"));
        }
        let planned = task.plan.as_ref().is_some_and(|plan| plan.framework.is_some());
        if task.plan.is_some() && !task.plans() {
            return Err(format!("{id} is work and has a plan"));
        }
        if (task.phase == Phase::Completed) != (task.landed.is_some() || planned) {
            return Err(format!("{id} is {name} and what landed is {:?}", task.landed));
        }
        if !ended && task.tries >= task.spec.max_attempts {
            return Err(format!("{id} is {name} and its {} tries are spent", task.tries));
        }
        if task.question.is_some() != matches!(task.blocked, Some(Blocked::Question(_))) {
            return Err(format!(
                "{id} has question {:?}, blocked {:?}",
                task.question, task.blocked
            ));
        }
        if let Some(attempt) = &task.attempt
            && (attempt.number != task.attempts || !tokens.insert(attempt.token))
        {
            return Err(format!(
                "attempt {} of {id} is not the newest, or shares a token",
                attempt.number
            ));
        }
    }
    Ok(())
}

/// S10: whatever has not ended is on its way: somebody works on it, it can be auctioned, time
/// brings it back, or a named thing stands in its way that somebody can remove.
pub fn s10_no_strand(state: &State) -> Result<(), String> {
    for (id, task) in state.tasks.iter() {
        let looks = task.reviewer.is_some() || state.index.tasks.reviews.contains(id);
        let reviewed =
            task.phase == Phase::Review && (looks || task.waits_for() == ReviewBy::Person);
        let waits = task.paused || task.blocked.is_some() || task.attempt.is_some() || reviewed;
        if task.phase.has_ended() || waits || task.auction.is_some() {
            continue;
        }
        let dependency = state.before(&task.spec).any(|dependency| {
            state.tasks.get(&dependency).is_some_and(|task| !task.phase.has_ended())
        });
        let due =
            task.reopens_at.is_some_and(|at| state.index.due.contains(&(at, Due::Auction(*id))));
        let ready = task.place().is_some_and(|place| state.index.ready.contains(&place));
        if !(dependency || due || ready) {
            return Err(format!("{id} is queued and nothing leads on"));
        }
    }
    Ok(())
}

/// A branch's turn is one live attempt's that is landing, and nobody waits twice.
pub fn one_turn(state: &State) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for ((_, branch), queue) in state.lands.iter() {
        let turn = queue.turn.iter().map(|turn| (turn.task, turn.attempt));
        let waiting = queue.waiting.iter().map(|waiter| (waiter.task, waiter.attempt));
        for (id, number) in turn.chain(waiting) {
            let task = state.tasks.get(&id).filter(|task| task.phase == Phase::Landing);
            let attempt = task.and_then(|task| task.attempt.as_ref());
            if attempt.is_none_or(|attempt| attempt.number != number || attempt.landed.is_some()) {
                return Err(format!("{id} is in line for {branch} and is not landing"));
            }
            if !seen.insert(id) {
                return Err(format!("{id} stands in line twice"));
            }
        }
    }
    for (id, task) in state.tasks.iter().filter(|(_, task)| task.phase == Phase::Landing) {
        let landed = task.attempt.as_ref().is_some_and(|attempt| attempt.landed.is_some());
        if landed == seen.contains(id) {
            return Err(format!("{id} is landing, and neither in line nor landed, or both"));
        }
    }
    Ok(())
}

/// Every wait that a receipt tells of is there, and is told of.
pub fn waits_have_receipts(state: &State) -> Result<(), String> {
    let asked = state.waiters.values().filter(|waiter| !waiter.holder.is_line());
    let mut waits: BTreeSet<_> = asked.map(|w| &w.id).collect();
    waits.extend(state.lands.values().flat_map(|queue| &queue.waiting).map(|w| &w.id));
    let waiting = state.receipts.iter().filter(|(_, receipt)| receipt.waiting);
    let told: BTreeSet<_> = waiting.map(|(key, _)| key.id()).collect();
    same("waits with a receipt", &told, &waits)
}

/// Builds the look-ups of tasks again from the tables, and compares.
pub fn task_indexes_match(state: &State) -> Result<(), String> {
    let mut index = Index::default();
    for (id, task) in state.tasks.iter() {
        list(state, *id, task, &mut index);
    }
    for (target, queue) in state.lands.iter() {
        for waiter in &queue.waiting {
            index.due.insert((waiter.deadline, Due::Land(waiter.task)));
        }
        let held = |id: &TaskId| state.tasks.get(id).is_some_and(|task| task.paused);
        if queue.turn.is_none() && queue.waiting.iter().any(|waiter| !held(&waiter.task)) {
            index.tasks.lands.insert(target.clone());
        }
    }
    let now = &state.index;
    let own = now.due.iter().filter(|(_, due)| !due.is_of_locks());
    let due: BTreeSet<_> = own.cloned().collect();
    same("due", &due, &index.due)?;
    same("ready", &now.ready, &index.ready)?;
    same("ready_paths", &now.tasks.ready_paths, &index.tasks.ready_paths)?;
    same("auctions", &now.auctions, &index.auctions)?;
    same("changes", &now.tasks.changes, &index.tasks.changes)?;
    same("lapsed", &now.tasks.lapsed, &index.tasks.lapsed)?;
    same("questions", &now.tasks.questions, &index.tasks.questions)?;
    same("reviews", &now.tasks.reviews, &index.tasks.reviews)?;
    same("lands", &now.tasks.lands, &index.tasks.lands)?;
    same("dependants", &now.dependants, &index.dependants)?;
    same("task_keys", &now.task_keys, &index.task_keys)?;
    same("live_tasks", &now.live_tasks, &index.live_tasks)?;
    same("task_counts", &now.task_counts, &index.task_counts)
}

fn list(state: &State, id: TaskId, task: &Task, index: &mut Index) {
    let phases: BTreeMap<TaskId, Phase> =
        state.before(&task.spec).filter_map(|id| Some((id, state.tasks.get(&id)?.phase))).collect();
    let open = phases.iter().filter(|(_, phase)| **phase != Phase::Completed);
    let free = phases.values().all(|phase| *phase == Phase::Completed);
    *index.task_counts.entry(task.state_name()).or_default() += 1;
    if !task.phase.has_ended() {
        index.live_tasks += 1;
        for (dependency, _) in open {
            index.dependants.entry(*dependency).or_default().insert(id);
        }
    }
    if let Some(key) = &task.spec.key {
        index.task_keys.insert((task.spec.repo.clone(), key.clone()), id);
    }
    let stands = task.paused || task.blocked.is_some() || !free || task.phase != Phase::Queued;
    let waits = task.auction.is_some() || task.reopens_at.is_some();
    if !stands
        && !waits
        && let Some(place) = task.place()
    {
        index.ready.insert(place);
    }
    if !stands && let Some(place) = task.path_place() {
        for path in &task.spec.paths {
            let key = state.path_key(&task.spec.repo, path);
            index.tasks.ready_paths.insert(&task.spec.repo, &key, place);
        }
    }
    if let Some(key) = task.change_key() {
        index.tasks.changes.entry(key).or_default().insert(id);
    }
    if task.auction.is_some() {
        index.auctions.insert(id);
    }
    if let Some(at) = task.reopens_at {
        index.tasks.lapsed.insert(id);
        index.due.insert((at, Due::Auction(id)));
    }
    if let Some(attempt) = task.attempt.as_ref().filter(|a| a.started_at.is_none()) {
        index.due.insert((attempt.start_by, Due::Start(id)));
    }
    if let Some(question) = &task.question {
        index.tasks.questions.insert(question.id, id);
        let at = question.deadline.filter(|_| question.default.is_some());
        index.due.extend(at.map(|at| (at, Due::Question(id))));
    }
    if task.wants_reviewer() {
        index.tasks.reviews.insert(id);
    }
    let started = task.attempt.as_ref().filter(|attempt| attempt.started_at.is_some());
    if started.is_some_and(|attempt| attempt.landed.is_none()) {
        let asked = task.question.as_ref().filter(|question| question.default.is_none());
        let deadlines = task.parks_at.into_iter().chain(asked.and_then(|asked| asked.deadline));
        index.due.extend(deadlines.min().map(|at| (at, Due::Park(id))));
    }
    index.due.extend(task.reviewer.as_ref().map(|reviewer| (reviewer.deadline, Due::Review(id))));
    index.due.extend(task.lands_again_at().map(|at| (at, Due::Unblock(id))));
    if let Some(Blocked::RateLimit(Some(at))) = task.blocked {
        index.due.insert((at, Due::Unblock(id)));
    }
}
