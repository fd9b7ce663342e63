//! Putting a lease into the table and its indexes, and taking it out.

use std::collections::BTreeSet;

use devmesh_protocol::LeaseId;
use devmesh_protocol::planted::{self, Fault};

use super::queue;
use crate::state::State;
use crate::state::index::{Due, drop_from};
use crate::state::lease::Lease;

pub(super) fn put_lease(state: &mut State, id: LeaseId, lease: Lease) {
    let key = state.path_key(&lease.repo, &lease.path);
    state.index.leases_by_path.insert(&lease.repo, &key, id);
    let session = (lease.holder.actor.clone(), lease.holder.session.clone());
    state.index.leases_by_session.entry(session).or_default().insert(id);
    match state.index.leases_of_actor.get_mut(&lease.holder.actor) {
        Some(leases) => *leases += 1,
        None => drop(state.index.leases_of_actor.insert(lease.holder.actor.clone(), 1)),
    }
    if let Some(task) = lease.holder.task {
        state.index.leases_by_task.entry(task).or_default().insert(id);
    }
    if let Some(expires_at) = lease.expires_at {
        state.index.due.insert((expires_at, Due::Lease(id)));
    }
    let mut newly_held_up = Vec::new();
    for place in met_by(state, &lease) {
        let leases = state.index.held_up.entry(place).or_default();
        *leases += 1;
        if *leases == 1 {
            newly_held_up.push(place);
        }
        queue::no_longer_free(state, place);
    }
    state.leases.insert(id, lease);
    // A waiter that shares goes past one that is held up.
    for place in newly_held_up {
        if state.index.stalled.is_empty() {
            break;
        }
        let waiter = state.waiter(place).clone();
        queue::look_again_behind(state, waiter.ask());
    }
}

pub(super) fn take_lease(state: &mut State, id: LeaseId) -> Option<Lease> {
    let lease = state.leases.remove(&id)?;
    let key = state.path_key(&lease.repo, &lease.path);
    state.index.leases_by_path.remove(&lease.repo, &key, id);
    let session = (lease.holder.actor.clone(), lease.holder.session.clone());
    drop_from(&mut state.index.leases_by_session, &session, &id);
    if let Some(leases) = state.index.leases_of_actor.get_mut(&lease.holder.actor) {
        *leases -= 1;
        if *leases == 0 {
            state.index.leases_of_actor.remove(&lease.holder.actor);
        }
    }
    if let Some(task) = lease.holder.task {
        drop_from(&mut state.index.leases_by_task, &task, &id);
    }
    if let Some(expires_at) = lease.expires_at {
        state.index.due.remove(&(expires_at, Due::Lease(id)));
    }
    let met = met_by(state, &lease);
    if planted::is(Fault::WakeUpLost) {
        return Some(lease);
    }
    for place in &met {
        if let Some(leases) = state.index.held_up.get_mut(place) {
            *leases -= 1;
            if *leases == 0 {
                state.index.held_up.remove(place);
            }
        }
    }
    met.into_iter().collect::<BTreeSet<_>>().into_iter().for_each(|p| queue::look_again(state, p));
    queue::look_again_at_entangled(state);
    Some(lease)
}

/// The waiters in whose way a lease is; once for each of their paths.
fn met_by(state: &State, lease: &Lease) -> Vec<u64> {
    if state.waiters.is_empty() {
        return Vec::new();
    }
    let over = state.waiters_over(&lease.repo, &lease.path);
    over.filter(|(_, waiter)| waiter.ask().is_met_by(lease)).map(|(place, _)| place).collect()
}
