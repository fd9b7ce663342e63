//! The look-ups of tasks, kept exact: whoever changes a task does it here, between taking its
//! entries out and putting them back.

use devmesh_protocol::event::task::Blocked;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{At, Event, RepoId, RepoPath, TaskId};

use crate::fold::lock;
use crate::state::State;
use crate::state::index::{Due, drop_from};
use crate::state::task::{AGE_MS, Phase, Place, Task};

/// Changes a task, and whatever is derived from it.
pub(super) fn change(state: &mut State, id: TaskId, f: impl FnOnce(&mut Task)) {
    let Some(task) = state.tasks.get(&id) else { return };
    let (was, held_up) = (outcome(task.phase), holds_up(state, task));
    unlist(state, id);
    if let Some(task) = state.tasks.get_mut(&id) {
        f(task);
    }
    list(state, id);
    let Some(task) = state.tasks.get(&id) else { return };
    let lets_go = held_up && task.attempt.is_none() && !holds_up(state, task);
    if was != outcome(task.phase) {
        relist_dependants(state, id);
    }
    if lets_go {
        stir_all(state);
    }
}

/// Whether others on its paths have to wait for it: bids on it are taken, or it has waited long.
fn holds_up(state: &State, task: &Task) -> bool {
    let aged = task.ready_at.is_some_and(|since| state.at.since(since) >= AGE_MS);
    task.path_place().is_some() && (aged || task.auction.is_some())
}

/// What a task's phase means for those that depend on it: whether it is over, and whether well.
fn outcome(phase: Phase) -> (bool, bool) {
    (phase.has_ended(), phase == Phase::Completed)
}

fn relist_dependants(state: &mut State, id: TaskId) {
    // All who name it, not only those who still wait: a task that is retried is waited for again.
    let waiting = state.index.dependants.get(&id).cloned().unwrap_or_default();
    for dependant in waiting {
        unlist(state, dependant);
        list(state, dependant);
    }
}

/// Takes out all entries of a task.
fn unlist(state: &mut State, id: TaskId) {
    let Some(task) = state.tasks.get(&id) else { return };
    let keys = match task.path_place() {
        Some(_) => path_keys(state, &task.spec.repo, &task.spec.paths),
        None => Vec::new(),
    };
    let before: Vec<TaskId> = state.before(&task.spec).collect();
    let index = &mut state.index;
    let name = task.state_name();
    if let Some(n) = index.task_counts.get_mut(name) {
        *n -= 1;
        if *n == 0 {
            index.task_counts.remove(name);
        }
    }
    if !task.phase.has_ended() {
        index.live_tasks -= 1;
        for dependency in before {
            drop_from(&mut index.dependants, &dependency, &id);
        }
    }
    if let Some(place) = task.place() {
        index.ready.remove(&place);
    }
    if let Some(place) = task.path_place() {
        for (repo, key) in keys {
            index.tasks.ready_paths.remove(&repo, &key, place);
        }
    }
    if let Some(key) = task.change_key() {
        drop_from(&mut index.tasks.changes, &key, &id);
    }
    index.auctions.remove(&id);
    index.tasks.lapsed.remove(&id);
    index.tasks.reviews.remove(&id);
    if let Some(question) = &task.question {
        index.tasks.questions.remove(&question.id);
    }
    for due in dues(task, id) {
        index.due.remove(&due);
    }
}

/// Puts in all entries of a task, once it is settled what stands before it.
pub(super) fn list(state: &mut State, id: TaskId) {
    settle(state, id);
    if state.tasks.get(&id).is_some_and(|task| task.ready_at.is_none()) {
        lock::leave_line(state, id);
    }
    let Some(task) = state.tasks.get(&id) else { return };
    let keys = match task.path_place() {
        Some(_) => path_keys(state, &task.spec.repo, &task.spec.paths),
        None => Vec::new(),
    };
    let is_open =
        |id: &TaskId| state.tasks.get(id).is_some_and(|before| before.phase != Phase::Completed);
    let before: Vec<TaskId> = state.before(&task.spec).filter(is_open).collect();
    let index = &mut state.index;
    *index.task_counts.entry(task.state_name()).or_default() += 1;
    if !task.phase.has_ended() {
        index.live_tasks += 1;
        for dependency in before {
            index.dependants.entry(dependency).or_default().insert(id);
        }
    }
    if let Some(place) = task.path_place() {
        for (repo, key) in keys {
            index.tasks.ready_paths.insert(&repo, &key, place);
        }
    }
    if let Some(place) = task.place() {
        index.ready.insert(place);
        index.tasks.stirred.stir([place]);
    }
    if let Some(key) = task.change_key() {
        index.tasks.changes.entry(key).or_default().insert(id);
    }
    if task.auction.is_some() {
        index.auctions.insert(id);
    }
    if task.reopens_at.is_some() {
        index.tasks.lapsed.insert(id);
    }
    if task.wants_reviewer() && index.tasks.reviews.insert(id) {
        index.tasks.stirred.stir([]);
    }
    if let Some(question) = &task.question {
        index.tasks.questions.insert(question.id, id);
    }
    index.due.extend(dues(task, id));
}

/// Says of a queued task whether a dependency stands in its way, and since when it is ready.
fn settle(state: &mut State, id: TaskId) {
    let Some(task) = state.tasks.get(&id) else { return };
    let (mut blocked, mut ready_at) = (task.blocked.clone(), None);
    if task.phase == Phase::Queued {
        let mut completed = true;
        let mut lost = None;
        for dependency in state.before(&task.spec) {
            let phase = state.tasks.get(&dependency).map(|dep| dep.phase);
            completed &= phase == Some(Phase::Completed);
            if matches!(phase, Some(Phase::Failed | Phase::Cancelled)) {
                lost = lost.or(Some(dependency));
            }
        }
        if matches!(blocked, None | Some(Blocked::Dependency(_))) {
            blocked = lost.map(Blocked::Dependency);
        }
        completed |= planted::is(Fault::DependencyIgnored);
        if completed && !task.paused && blocked.is_none() {
            ready_at = task.ready_at.or(Some(state.at));
        }
    } else if matches!(blocked, Some(Blocked::Dependency(_))) {
        blocked = None;
    }
    let waits = task.auction.is_some() || task.reopens_at.is_some();
    let stops = ready_at.is_none() && waits;
    if blocked != task.blocked || ready_at != task.ready_at || stops {
        let task = state.tasks.get_mut(&id).expect("it was there a moment ago");
        task.blocked = blocked;
        task.ready_at = ready_at;
        if stops {
            task.auction = None;
            task.reopens_at = None;
        }
    }
}

/// What of a task becomes due.
fn dues(task: &Task, id: TaskId) -> Vec<(At, Due)> {
    let mut dues = Vec::new();
    if let Some(attempt) = task.attempt.as_ref().filter(|a| a.started_at.is_none()) {
        dues.push((attempt.start_by, Due::Start(id)));
    }
    if let Some(at) = task.reopens_at {
        dues.push((at, Due::Auction(id)));
    }
    if let Some(question) = task.question.as_ref().filter(|q| q.default.is_some())
        && let Some(at) = question.deadline
    {
        dues.push((at, Due::Question(id)));
    }
    // Nobody waits at a question for longer than was said: its worker is needed elsewhere.
    let deadline = task.question.as_ref().filter(|q| q.default.is_none()).and_then(|q| q.deadline);
    let parks_at = match (task.parks_at, deadline) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let attempt = task.attempt.as_ref();
    let works = attempt.is_some_and(|a| a.started_at.is_some() && a.landed.is_none());
    if let Some(at) = parks_at.filter(|_| works) {
        dues.push((at, Due::Park(id)));
    }
    if let Some(reviewer) = &task.reviewer {
        dues.push((reviewer.deadline, Due::Review(id)));
    }
    if let Some(Blocked::RateLimit(Some(at))) = task.blocked {
        dues.push((at, Due::Unblock(id)));
    }
    if let Some(at) = task.lands_again_at() {
        dues.push((at, Due::Unblock(id)));
    }
    dues
}

/// The keys by which paths of a repository are compared.
fn path_keys(state: &State, repo: &RepoId, paths: &[RepoPath]) -> Vec<(RepoId, String)> {
    paths.iter().map(|path| (repo.clone(), state.path_key(repo, path).into_owned())).collect()
}

/// Before a lease goes or gets weaker: the ready tasks whose paths it overlaps are worth a look.
pub(crate) fn stir_before(state: &mut State, event: &Event) {
    if state.index.tasks.ready_paths.is_empty() {
        return;
    }
    let id = if let Event::LockReleased(e) = event {
        e.lease
    } else if let Event::LockExpired(e) = event {
        e.lease
    } else if let Event::LockBroken(e) = event {
        e.lease
    } else if let Event::LockConverted(e) = event {
        e.lease
    } else if let Event::LeaseShared(e) = event {
        e.lease
    } else {
        return;
    };
    let Some(lease) = state.leases.get(&id) else { return };
    let key = state.path_key(&lease.repo, &lease.path);
    let ready = &state.index.tasks.ready_paths;
    let places: Vec<Place> = ready.over(&lease.repo, &key).collect();
    if !places.is_empty() {
        state.index.tasks.stirred.stir(places);
    }
}

/// After an event of somebody else's: what makes an agent free, or frees much at once.
pub(crate) fn stir_after(state: &mut State, event: &Event) {
    let frees_agent = matches!(
        event,
        Event::AgentJoined(_)
            | Event::AgentResumed(_)
            | Event::AgentUnsuspended(_)
            | Event::FrameworkRead(_)
    );
    let frees_much = matches!(
        event,
        Event::HostMeasured(_)
            | Event::HostSilent(_)
            | Event::LeasesLapsed(_)
            | Event::SessionLost(_)
            | Event::AgentLeft(_)
            | Event::AgentDrained(_)
            // What only this one could have had may be another's.
            | Event::AgentSuspended(_)
            | Event::ArchitectNamed(_)
            | Event::LockWithdrawn(_)
            | Event::PathsLeft(_)
            | Event::MeshResumed(_)
            | Event::EpochStarted(_)
    );
    if frees_agent {
        super::auction::agent_free(state);
    } else if frees_much {
        stir_all(state);
    }
}

/// Any ready task may have a bidder now.
pub(crate) fn stir_all(state: &mut State) {
    state.index.tasks.stirred.stir_all();
}
