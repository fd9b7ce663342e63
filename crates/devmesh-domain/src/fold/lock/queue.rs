//! Putting a waiter into the table and its indexes, taking it out, and keeping note of who is
//! free to go.

use devmesh_protocol::LeaseId;

use crate::state::State;
use crate::state::index::{Due, drop_from};
use crate::state::lease::{Ask, Standing, Waiter};

pub(super) fn put(state: &mut State, place: u64, waiter: Waiter) {
    for path in &waiter.paths {
        let key = state.path_key(&waiter.repo, path);
        match waiter.convert {
            Some(_) => state.index.conversions_by_path.insert(&waiter.repo, &key, place),
            None => state.index.waiters_by_path.insert(&waiter.repo, &key, place),
        }
    }
    if let Some(lease) = waiter.convert {
        state.index.conversions_by_lease.entry(lease).or_default().insert(place);
    }
    if let Some(task) = waiter.holder.task {
        state.index.waiters_by_task.entry(task).or_default().insert(place);
    }
    let session = (waiter.holder.actor.clone(), waiter.holder.session.clone());
    state.index.waiters_by_session.entry(session).or_default().insert(place);
    state.index.waiters_by_id.insert((waiter.holder.actor.clone(), waiter.id.clone()), place);
    state.index.due.insert((waiter.deadline, Due::Waiter(place)));
    state.index.due.extend(waiter.share_at.map(|at| (at, Due::Share(place))));
    state.waiters.insert(place, waiter);
    let waiter = state.waiter(place);
    let leases = state.leases_against(waiter.ask()).count();
    // Whoever waited for this holder now waits for whom it waits for, and may go past them.
    let spreads = waiter.convert.is_some()
        || !state.waits_alone(waiter)
        || state.is_waited_for(&waiter.holder);
    if leases > 0 {
        state.index.held_up.insert(place, u32::try_from(leases).unwrap_or(u32::MAX));
    }
    if spreads {
        look_again_at_all(state);
    }
    look_again(state, place);
}

pub(super) fn take(state: &mut State, place: u64) -> Option<Waiter> {
    let waiter = state.waiters.remove(&place)?;
    for path in &waiter.paths {
        let key = state.path_key(&waiter.repo, path);
        match waiter.convert {
            Some(_) => state.index.conversions_by_path.remove(&waiter.repo, &key, place),
            None => state.index.waiters_by_path.remove(&waiter.repo, &key, place),
        }
    }
    if let Some(lease) = waiter.convert {
        drop_from(&mut state.index.conversions_by_lease, &lease, &place);
    }
    if let Some(task) = waiter.holder.task {
        drop_from(&mut state.index.waiters_by_task, &task, &place);
    }
    let session = (waiter.holder.actor.clone(), waiter.holder.session.clone());
    drop_from(&mut state.index.waiters_by_session, &session, &place);
    let id = (waiter.holder.actor.clone(), waiter.id.clone());
    if state.index.waiters_by_id.get(&id) == Some(&place) {
        state.index.waiters_by_id.remove(&id);
    }
    state.index.due.remove(&(waiter.deadline, Due::Waiter(place)));
    if let Some(at) = waiter.share_at {
        state.index.due.remove(&(at, Due::Share(place)));
    }
    state.index.held_up.remove(&place);
    no_longer_free(state, place);
    if !state.index.stalled.is_empty() {
        look_again_behind(state, waiter.ask());
        look_again_at_entangled(state);
    }
    Some(waiter)
}

/// What was in the way of those behind a request may be no more.
pub(super) fn look_again_behind(state: &mut State, ask: Ask<'_>) {
    let mut behind: Vec<u64> = ask
        .paths
        .iter()
        .flat_map(|path| state.waiters_over(ask.repo, path))
        .filter(|(_, other)| ask.clashes(&other.holder, other.mode))
        .map(|(other, _)| other)
        .filter(|other| state.index.stalled.contains(other))
        .collect();
    behind.sort_unstable();
    behind.dedup();
    behind.into_iter().for_each(|place| look_again(state, place));
}

/// The lease that these waiters want converted goes by another id now.
pub(super) fn convert_instead(state: &mut State, old: LeaseId, new: LeaseId) {
    let Some(places) = state.index.conversions_by_lease.remove(&old) else { return };
    for place in &places {
        if let Some(waiter) = state.waiters.get_mut(place) {
            waiter.convert = Some(new);
        }
    }
    state.index.conversions_by_lease.insert(new, places);
}

pub(super) fn no_longer_free(state: &mut State, place: u64) {
    state.index.grantable.remove(&place);
    state.index.stalled.remove(&place);
    state.index.entangled.remove(&place);
}

/// Whether the waiter is free to go has to be found out again.
pub(super) fn look_again(state: &mut State, place: u64) {
    no_longer_free(state, place);
    let Some(waiter) = state.waiters.get(&place) else { return };
    if state.index.held_up.contains_key(&place) {
        return;
    }
    match state.standing(waiter.ask(), Some(place)) {
        Standing::Free | Standing::Barred(_) => {
            state.index.grantable.insert(place);
        }
        Standing::Behind(_) => {
            state.index.stalled.insert(place);
        }
        Standing::Entangled(_) => {
            state.index.stalled.insert(place);
            state.index.entangled.insert(place);
        }
    }
}

/// Somebody waits for fewer holders now: that may free who was behind them for that reason.
pub(super) fn look_again_at_entangled(state: &mut State) {
    let entangled: Vec<u64> = state.index.entangled.iter().copied().collect();
    entangled.into_iter().for_each(|place| look_again(state, place));
}

/// Somebody waits for more holders now: that may let waiters go past each other.
pub(super) fn look_again_at_all(state: &mut State) {
    let stalled: Vec<u64> = state.index.stalled.iter().copied().collect();
    stalled.into_iter().for_each(|place| look_again(state, place));
}
