//! What follows for leases as time passes and others end: expiry, the end of waits, grants.

use devmesh_protocol::event::lock as event;
use devmesh_protocol::event::lock::WithdrawnWhy;
use devmesh_protocol::event::task::PathsLeft;
use devmesh_protocol::limits::{GRANTS_PER_RECORD_MAX, RECORD_BYTES_MAX, RECORD_EVENTS_MAX};
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{At, Event, LeaseId};

use super::convert::converted;
use super::give::{withdrawal, withdrawals};
use super::request::record_bytes;
use super::share::{self, Shared};
use crate::decide::agent::is_person;
use crate::state::State;
use crate::state::index::Due;
use crate::state::lease::{Standing, Waiter};

/// One record's worth of what is due now, or of grants to waiters.
pub(in crate::decide) fn follow(state: &State, at: At) -> Vec<Event> {
    let events = due(state, at);
    if events.is_empty() { grants(state, at) } else { events }
}

fn due(state: &State, at: At) -> Vec<Event> {
    let mut events = Vec::new();
    // Whoever goes with a lease, or shares from now on, is not also told that the wait is over.
    let mut withdrawn = std::collections::BTreeSet::new();
    let at = if planted::is(Fault::ExpiryEarly) { at + 5_000 } else { at };
    for (_, due) in state.index.due.iter().take_while(|(due_at, _)| *due_at <= at) {
        match due {
            Due::Lease(id) => {
                let converting = state.index.conversions_by_lease.get(id);
                withdrawn.extend(converting.into_iter().flatten().copied());
                events.extend(withdrawals(state, *id));
                events.push(event::LockExpired { lease: *id }.into());
            }
            Due::Share(place) => {
                let waiter = state.waiter(*place);
                let (actor, id) = (waiter.holder.actor.clone(), waiter.id.clone());
                events.push(event::SharingBegan { actor, id }.into());
                withdrawn.insert(*place);
            }
            Due::Waiter(place) if state.waiter(*place).holder.is_line() => {
                let task = state.waiter(*place).holder.task;
                events.extend(task.map(|task| PathsLeft { task }.into()));
            }
            // What can be granted now is granted, late or not.
            Due::Waiter(place) if !withdrawn.contains(place) && !is_free(state, *place) => {
                events.push(withdrawal(state, *place, WithdrawnWhy::TimedOut));
            }
            Due::Waiter(_)
            | Due::Start(_)
            | Due::Auction(_)
            | Due::Land(_)
            | Due::Question(_)
            | Due::Park(_)
            | Due::Review(_)
            | Due::Unblock(_) => {}
        }
        if events.len() >= GRANTS_PER_RECORD_MAX {
            break;
        }
    }
    events
}

fn is_free(state: &State, place: u64) -> bool {
    state.index.grantable.contains(&place)
        && state.standing(state.waiter(place).ask(), Some(place)) == Standing::Free
}

/// Grants to waiters in the order of the queue. What is granted with others in one record must
/// not depend on what they are granted: it clashes with none of them, and its holder waits for
/// nothing else, so that its grant can close no circle.
fn grants(state: &State, at: At) -> Vec<Event> {
    let mut events = Vec::new();
    let mut chosen: Vec<&Waiter> = Vec::new();
    let (mut index, mut bytes) = (0, 0);
    for place in &state.index.grantable {
        let waiter = state.waiter(*place);
        // A task is granted its paths with its award.
        if waiter.holder.is_line() {
            continue;
        }
        let more = record_bytes(&waiter.paths, waiter.reason.as_deref());
        let full = chosen.len() == GRANTS_PER_RECORD_MAX
            || events.len() + waiter.paths.len() > RECORD_EVENTS_MAX
            || bytes + more > RECORD_BYTES_MAX;
        if full && !chosen.is_empty() {
            break;
        }
        if !chosen.is_empty() && !goes_with(state, waiter, &chosen) {
            continue;
        }
        if state.standing(waiter.ask(), Some(*place)) != Standing::Free {
            continue;
        }
        if waiter.sharing.is_some() {
            // With what it shares it is a record of its own.
            if chosen.is_empty() {
                return grant_shared(state, waiter, at);
            }
            continue;
        }
        bytes += more;
        grant(state, waiter, at, &mut index, &mut events);
        chosen.push(waiter);
    }
    events
}

/// The grant to a waiter that shares, with the leases that it shares; where these are too many
/// for a record, as many as go.
fn grant_shared(state: &State, waiter: &Waiter, at: At) -> Vec<Event> {
    match share::shared_for(state, waiter.ask(), &waiter.paths) {
        Shared::Part(events) => events,
        Shared::All(mut events) => {
            grant(state, waiter, at, &mut 0, &mut events);
            events
        }
    }
}

fn goes_with(state: &State, waiter: &Waiter, chosen: &[&Waiter]) -> bool {
    let keys: Vec<_> = waiter.paths.iter().map(|path| state.path_key(&waiter.repo, path)).collect();
    let overlaps = |other: &Waiter| {
        other.repo == waiter.repo
            && other.paths.iter().any(|path| {
                let other = state.path_key(&waiter.repo, path);
                keys.iter().any(|key| within(key, &other) || within(&other, key))
            })
    };
    let clash = |other: &&Waiter| {
        other.id == waiter.id
            || (waiter.ask().clashes(&other.holder, other.mode) && overlaps(other))
    };
    state.waits_alone(waiter) && !chosen.iter().any(clash)
}

fn within(folder: &str, key: &str) -> bool {
    folder.is_empty()
        || key.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn grant(state: &State, waiter: &Waiter, at: At, next: &mut u32, events: &mut Vec<Event>) {
    let mut index = || {
        *next += 1;
        *next - 1
    };
    if let Some(lease) = waiter.convert {
        events.push(conversion(state, waiter, lease, at, &mut index));
        return;
    }
    let (holder, repo) = (&waiter.holder, &waiter.repo);
    for path in &waiter.paths {
        if let Some(lease) = state.convertible(holder, repo, path, waiter.mode)
            && state.lease(lease).mode != waiter.mode
        {
            events.push(conversion(state, waiter, lease, at, &mut index));
            continue;
        }
        let grant = event::LockGranted {
            index: index(),
            actor: holder.actor.clone(),
            session: holder.session.clone(),
            task: holder.task,
            repo: repo.clone(),
            path: path.clone(),
            mode: waiter.mode,
            ttl_ms: waiter.ttl_ms,
            expires_at: is_person(state, &holder.actor).then(|| at + waiter.ttl_ms),
            waited: Some(waiter.id.clone()),
            share: waiter.share,
            reason: waiter.reason.clone(),
        };
        events.push(grant.into());
    }
}

/// The lease as its waiter wants it; it may have become that meanwhile.
fn conversion(
    state: &State,
    waiter: &Waiter,
    lease: LeaseId,
    at: At,
    index: &mut impl FnMut() -> u32,
) -> Event {
    let mode = state.lease(lease).mode;
    let (to, index) = match mode.covers(waiter.mode) {
        true => (mode, None),
        false => (waiter.mode, Some(index())),
    };
    let asked = Some(at + waiter.ttl_ms);
    converted(state, lease, to, index, Some(waiter.id.clone()), asked).into()
}
