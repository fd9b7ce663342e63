//! The look-ups say what the tables say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use crate::state::State;
use crate::state::index::{Due, Index};
use crate::state::lease::Waiter;

/// Builds the look-ups of leases, waiters and agents again from the tables, and compares.
pub fn indexes_match_tables(state: &State) -> Result<(), String> {
    let mut index = Index::default();
    leases(state, &mut index);
    waiters(state, &mut index);
    agents(state, &mut index);
    let now = &state.index;
    same("leases_by_path", &now.leases_by_path, &index.leases_by_path)?;
    same("leases_by_session", &now.leases_by_session, &index.leases_by_session)?;
    same("leases_of_actor", &now.leases_of_actor, &index.leases_of_actor)?;
    same("leases_by_task", &now.leases_by_task, &index.leases_by_task)?;
    same("waiters_by_path", &now.waiters_by_path, &index.waiters_by_path)?;
    same("conversions_by_path", &now.conversions_by_path, &index.conversions_by_path)?;
    same("conversions_by_lease", &now.conversions_by_lease, &index.conversions_by_lease)?;
    same("waiters_by_session", &now.waiters_by_session, &index.waiters_by_session)?;
    same("waiters_by_task", &now.waiters_by_task, &index.waiters_by_task)?;
    same("waiters_by_id", &now.waiters_by_id, &index.waiters_by_id)?;
    same("held_up", &now.held_up, &index.held_up)?;
    let lock_due = |due: &BTreeSet<_>| -> BTreeSet<_> {
        due.iter().filter(|(_, due): &&(_, Due)| due.is_of_locks()).cloned().collect()
    };
    same("due", &lock_due(&now.due), &lock_due(&index.due))?;
    same("line", &now.line, &index.line)?;
    same("agents_by_host", &now.agents_by_host, &index.agents_by_host)?;
    same("idle", &now.idle, &index.idle)?;
    same("deaf", &now.deaf, &index.deaf)?;
    same("misjudged", &now.misjudged, &index.misjudged)?;
    same("busy_hosts", &now.busy_hosts, &index.busy_hosts)?;
    parted(state)
}

pub(super) fn same<T: PartialEq + Debug>(name: &str, is: &T, should: &T) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{name} is {is:?}, should be {should:?}")) }
}

/// Each waiter is held up by leases, or free to go, or stalled behind another.
fn parted(state: &State) -> Result<(), String> {
    let index = &state.index;
    let unhindered: BTreeSet<u64> =
        state.waiters.keys().filter(|place| !index.held_up.contains_key(place)).copied().collect();
    if !index.grantable.is_disjoint(&index.stalled) {
        return Err("a waiter is both free to go and stalled".to_owned());
    }
    if !index.entangled.is_subset(&index.stalled) {
        return Err("a waiter is entangled and not stalled".to_owned());
    }
    let known: BTreeSet<u64> = index.grantable.union(&index.stalled).copied().collect();
    same("grantable and stalled", &known, &unhindered)
}

fn leases(state: &State, index: &mut Index) {
    for (id, lease) in state.leases.iter() {
        let key = state.path_key(&lease.repo, &lease.path);
        index.leases_by_path.insert(&lease.repo, &key, *id);
        let session = (lease.holder.actor.clone(), lease.holder.session.clone());
        index.leases_by_session.entry(session).or_default().insert(*id);
        *index.leases_of_actor.entry(lease.holder.actor.clone()).or_default() += 1;
        if let Some(task) = lease.holder.task {
            index.leases_by_task.entry(task).or_default().insert(*id);
        }
        if let Some(expires_at) = lease.expires_at {
            index.due.insert((expires_at, Due::Lease(*id)));
        }
    }
}

fn waiters(state: &State, index: &mut Index) {
    for (place, waiter) in state.waiters.iter() {
        let session = (waiter.holder.actor.clone(), waiter.holder.session.clone());
        index.waiters_by_session.entry(session).or_default().insert(*place);
        let id = (waiter.holder.actor.clone(), waiter.id.clone());
        index.waiters_by_id.insert(id, *place);
        index.due.insert((waiter.deadline, Due::Waiter(*place)));
        index.due.extend(waiter.share_at.map(|at| (at, Due::Share(*place))));
        if let Some(task) = waiter.holder.task {
            index.waiters_by_task.entry(task).or_default().insert(*place);
        }
        if let Some(lease) = waiter.convert {
            index.conversions_by_lease.entry(lease).or_default().insert(*place);
        }
        let mut in_the_way = 0;
        for path in &waiter.paths {
            let key = state.path_key(&waiter.repo, path);
            match waiter.convert {
                Some(_) => index.conversions_by_path.insert(&waiter.repo, &key, *place),
                None => index.waiters_by_path.insert(&waiter.repo, &key, *place),
            }
            in_the_way += clashing(state, waiter, &key);
        }
        if in_the_way > 0 {
            index.held_up.insert(*place, in_the_way);
        }
    }
}

/// The leases in the way of a waiter on one of its paths, counted without the look-ups.
fn clashing(state: &State, waiter: &Waiter, key: &str) -> u32 {
    let clashes = state.leases.values().filter(|lease| {
        let other = state.path_key(&lease.repo, &lease.path);
        lease.repo == waiter.repo
            && lease.holder != waiter.holder
            && !lease.mode.is_compatible(waiter.mode)
            && !waiter.sharing.is_some_and(|sharing| lease.is_shared_with(sharing))
            && keys_overlap(key, &other)
    });
    u32::try_from(clashes.count()).unwrap_or(u32::MAX)
}

/// Whether two path keys are one, or one lies within the other; without the look-ups.
pub(super) fn keys_overlap(one: &str, other: &str) -> bool {
    let within = |folder: &str, key: &str| {
        folder.is_empty()
            || key.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    within(one, other) || within(other, one)
}

fn agents(state: &State, index: &mut Index) {
    let mut by_host: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (actor, agent) in state.agents.iter() {
        index.line.insert((agent.joined_seq, actor.clone()));
        by_host.entry(agent.host.clone()).or_default().insert(actor.clone());
        if agent.is_idle() {
            index.idle.insert(actor.clone());
            index.deaf.extend(agent.deaf.map(|deaf| (actor.clone(), deaf.until)));
        }
        if state.lack(actor, agent) != agent.suspended {
            index.misjudged.insert(actor.clone());
        }
    }
    let busy = state.gauges.iter().filter(|(_, gauge)| gauge.is_busy());
    index.busy_hosts = busy.map(|(host, _)| host.clone()).collect();
    index.agents_by_host = by_host;
}
