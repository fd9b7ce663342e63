//! What holds of leases and waiters.

use std::collections::{BTreeMap, BTreeSet};

use devmesh_protocol::limits::{LEASES_PER_ACTOR_MAX, WAITERS_MAX};
use devmesh_protocol::{ActorId, LeaseId};

use crate::state::State;
use crate::state::lease::{Holder, Lease, Standing};

/// S1: live leases of different holders on overlapping paths are compatible.
///
/// It looks at the tables alone, not at the look-ups that decisions use.
pub fn s1_compatible(state: &State) -> Result<(), String> {
    let mut by_path: BTreeMap<(&str, String), Vec<(&LeaseId, &Lease)>> = BTreeMap::new();
    for (id, lease) in state.leases.iter() {
        let key = state.path_key(&lease.repo, &lease.path).into_owned();
        by_path.entry((lease.repo.as_str(), key)).or_default().push((id, lease));
    }
    for (id, lease) in state.leases.iter() {
        let key = state.path_key(&lease.repo, &lease.path).into_owned();
        let folders = key.match_indices('/').map(|(end, _)| key[..end].to_owned());
        let above = folders.chain(["".to_owned(), key.clone()]);
        for folder in above {
            let others = by_path.get(&(lease.repo.as_str(), folder)).into_iter().flatten();
            for (other_id, other) in others {
                if other.holder != lease.holder && !other.mode.is_compatible(lease.mode) {
                    return Err(format!(
                        "{id} ({} {}) and {other_id} ({} {}) are held at once",
                        lease.mode, lease.path, other.mode, other.path
                    ));
                }
            }
        }
    }
    Ok(())
}

/// S2: tokens and places come from records that are there, and nobody waits for another's lease
/// to be converted.
pub fn s2_tokens(state: &State) -> Result<(), String> {
    if let Some((id, _)) = state.leases.last()
        && id.seq > state.seq
    {
        return Err(format!("{id} is from the future"));
    }
    for (place, waiter) in state.waiters.iter() {
        if *place > state.seq {
            return Err(format!("the waiter at {place} is from the future"));
        }
        let Some(id) = waiter.convert else { continue };
        match state.leases.get(&id) {
            Some(lease) if lease.holder == waiter.holder => {}
            Some(_) => return Err(format!("{} converts another's {id}", waiter.id)),
            None => return Err(format!("{} converts {id}, which is gone", waiter.id)),
        }
    }
    Ok(())
}

/// S5: no agent's lease ends by the clock, none ends before it began, and whoever waits has time
/// to.
pub fn s5_deadlines(state: &State) -> Result<(), String> {
    for (id, lease) in state.leases.iter() {
        let joined = state.agents.contains_key(&lease.holder.actor);
        if joined && lease.expires_at.is_some() {
            return Err(format!("{id} is an agent's and ends by the clock"));
        }
        if lease.expires_at.is_some_and(|at| at < lease.granted_at + lease.ttl_ms.min(1)) {
            return Err(format!("{id} ended before it began"));
        }
    }
    match state.waiters.iter().find(|(_, waiter)| waiter.deadline <= waiter.queued_at) {
        Some((place, _)) => Err(format!("the waiter at {place} has no time to wait")),
        None => Ok(()),
    }
}

/// S13: nobody holds or waits for more than the limits say.
pub fn s13_bounded(state: &State) -> Result<(), String> {
    if state.waiters.len() > WAITERS_MAX {
        return Err(format!("{} requests wait", state.waiters.len()));
    }
    let mut leases: BTreeMap<&ActorId, usize> = BTreeMap::new();
    for lease in state.leases.values() {
        *leases.entry(&lease.holder.actor).or_default() += 1;
    }
    // Grants to waiters may come to what was already held, a record's worth at a time.
    let most = LEASES_PER_ACTOR_MAX + WAITERS_MAX;
    match leases.into_iter().find(|(_, n)| *n > most) {
        Some((actor, n)) => Err(format!("{actor} holds {n} leases")),
        None => Ok(()),
    }
}

/// L2: a waiter that could be granted is known as one, so that nobody waits for nothing.
pub fn l2_no_lost_wake_up(state: &State) -> Result<(), String> {
    for (place, waiter) in state.waiters.iter() {
        let held_up = state.leases_against(waiter.ask()).next().is_some();
        let free = !held_up && state.standing(waiter.ask(), Some(*place)) == Standing::Free;
        if free && !state.index.grantable.contains(place) {
            return Err(format!("{} of {} is free to go", waiter.id, waiter.holder.actor));
        }
        if held_up && state.index.grantable.contains(place) {
            return Err(format!("{} of {} is held up", waiter.id, waiter.holder.actor));
        }
    }
    Ok(())
}

/// L4: no holder waits for itself over leases.
pub fn l4_no_circle(state: &State) -> Result<(), String> {
    let mut edges: BTreeMap<&Holder, BTreeSet<&Holder>> = BTreeMap::new();
    for waiter in state.waiters.values() {
        let to = state.leases_against(waiter.ask()).map(|(_, lease)| &lease.holder);
        edges.entry(&waiter.holder).or_default().extend(to);
    }
    // Whoever waits for nobody who waits is taken out, again and again; a circle stays.
    loop {
        let waiting: BTreeSet<&Holder> = edges.keys().copied().collect();
        let before = edges.len();
        edges.retain(|_, to| to.iter().any(|holder| waiting.contains(holder)));
        if edges.is_empty() {
            return Ok(());
        }
        if edges.len() == before {
            let actors: Vec<_> = edges.keys().map(|holder| holder.actor.as_str()).collect();
            return Err(format!("{} wait for each other", actors.join(", ")));
        }
    }
}
