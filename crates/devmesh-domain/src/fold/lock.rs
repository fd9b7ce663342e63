//! Fold of leases and of those who wait for them.

mod queue;
mod table;

use devmesh_protocol::event::lock as event;
use devmesh_protocol::event::task::PathsQueued;
use devmesh_protocol::limits::{GRACE_MS, LEASE_TTL_MS};
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{ActorId, At, CommandId, Event, LeaseId, Record, SessionId, TaskId};

use crate::state::State;
use crate::state::index::{Due, of_actor};
use crate::state::lease::{Ask, Holder, Lease, Waiter};

pub(super) fn granted(state: &mut State, record: &Record, e: &event::LockGranted) {
    let holder = Holder { actor: e.actor.clone(), session: e.session.clone(), task: e.task };
    let lease = Lease {
        holder,
        repo: e.repo.clone(),
        path: e.path.clone(),
        mode: e.mode,
        granted_at: record.at,
        ttl_ms: e.ttl_ms,
        expires_at: e.expires_at,
        reason: e.reason.clone(),
        request: e.waited.clone().or_else(|| record.command_id.clone()),
        share: e.share,
    };
    let passes = count_bypasses(state, record.seq, &lease, e.waited.as_ref());
    let mut seq = record.seq;
    if planted::is(Fault::TokenBeforeWait)
        && let Some(id) = &e.waited
        && let Some(place) = state.index.waiters_by_id.get(&(e.actor.clone(), id.clone()))
    {
        seq = *place;
    }
    table::put_lease(state, LeaseId { seq, index: e.index }, lease);
    if let Some(id) = &e.waited {
        let last = last_for(record, id);
        let last = matches!(last, Some(Event::LockGranted(last)) if std::ptr::eq(last, e));
        end_wait(state, &e.actor, id, last);
    }
    if passes {
        // Those passed wait for its holder now, also where they did not before.
        queue::look_again_at_all(state);
    }
}

pub(super) fn queued(state: &mut State, record: &Record, e: &event::LockQueued) {
    let holder = Holder { actor: e.actor.clone(), session: e.session.clone(), task: e.task };
    let waiter = Waiter {
        holder,
        id: e.id.clone(),
        repo: e.repo.clone(),
        paths: e.paths.clone(),
        mode: e.mode,
        ttl_ms: e.ttl_ms,
        queued_at: record.at,
        deadline: e.deadline,
        convert: e.convert,
        share: e.share,
        share_at: e.share_at,
        sharing: e.sharing,
        reason: e.reason.clone(),
        bypasses: 0,
        bypassed_seq: 0,
    };
    queue::put(state, record.seq, waiter);
}

pub(super) fn paths_queued(state: &mut State, record: &Record, e: &PathsQueued) {
    let id = CommandId::new(&e.task.to_string()).expect("the name of a task is an id");
    let over = (e.repo.clone(), e.paths.clone());
    let times = (record.at, e.deadline);
    let waiter = Waiter::plain((Holder::line(e.task), id), over, e.mode, times);
    queue::put(state, record.seq, waiter);
}

/// A task is no longer in the queue for its paths.
pub(super) fn leave_line(state: &mut State, task: TaskId) {
    if let Some(place) = state.place_in_queue(task) {
        queue::take(state, place);
    }
}

pub(super) fn withdrawn(state: &mut State, e: &event::LockWithdrawn) {
    if let Some(place) = state.index.waiters_by_id.get(&(e.actor.clone(), e.id.clone())) {
        queue::take(state, *place);
    }
}

/// From now on the waiter asks for what can be shared, and agents' leases are not in its way.
pub(super) fn sharing_began(state: &mut State, e: &event::SharingBegan) {
    let Some(place) = state.index.waiters_by_id.get(&(e.actor.clone(), e.id.clone())).copied()
    else {
        return;
    };
    let Some(mut waiter) = queue::take(state, place) else { return };
    waiter.mode = waiter.mode.shared();
    waiter.share_at = None;
    waiter.sharing = Some(event::Sharing::Agents);
    queue::put(state, place, waiter);
}

pub(super) fn shared(state: &mut State, e: &event::LeaseShared) {
    let Some(mut lease) = table::take_lease(state, e.lease) else { return };
    lease.mode = e.to;
    table::put_lease(state, e.lease, lease);
}

pub(super) fn converted(state: &mut State, record: &Record, e: &event::LockConverted) {
    let Some(mut lease) = table::take_lease(state, e.lease) else { return };
    let before = lease.mode;
    lease.mode = e.to;
    lease.expires_at = e.expires_at.or(lease.expires_at);
    let id = e.index.map_or(e.lease, |index| LeaseId { seq: record.seq, index });
    if id != e.lease {
        queue::convert_instead(state, e.lease, id);
    }
    if !before.covers(e.to) {
        // Whom it passes is looked at below in any case.
        let _ = count_bypasses(state, record.seq, &lease, e.waited.as_ref());
    }
    let actor = lease.holder.actor.clone();
    table::put_lease(state, id, lease);
    if let Some(id) = &e.waited {
        let last = last_for(record, id);
        let last = matches!(last, Some(Event::LockConverted(last)) if std::ptr::eq(last, e));
        end_wait(state, &actor, id, last);
    }
    // It went before the waiters: now some may wait for its holder who did not before.
    queue::look_again_at_all(state);
}

pub(super) fn released(state: &mut State, e: &event::LockReleased) {
    end_lease(state, e.lease);
}

pub(super) fn expired(state: &mut State, e: &event::LockExpired) {
    end_lease(state, e.lease);
}

pub(super) fn broken(state: &mut State, e: &event::LockBroken) {
    end_lease(state, e.lease);
}

pub(super) fn renewed(state: &mut State, e: &event::LockRenewed) {
    for id in &e.leases {
        let Some(lease) = state.leases.get_mut(id) else { continue };
        lease.ttl_ms = e.ttl_ms;
        if let Some(old) = lease.expires_at.replace(e.expires_at) {
            state.index.due.remove(&(old, Due::Lease(*id)));
        }
        state.index.due.insert((e.expires_at, Due::Lease(*id)));
    }
}

/// Ends a lease, and the waits for its conversion.
fn end_lease(state: &mut State, id: LeaseId) {
    for place in state.index.conversions_by_lease.get(&id).cloned().unwrap_or_default() {
        queue::take(state, place);
    }
    table::take_lease(state, id);
}

/// Waiters who wanted what was granted to somebody who came later have been passed. What a
/// request of many paths passes, it passes once. Whether anybody wants it at all comes back.
fn count_bypasses(state: &mut State, seq: u64, lease: &Lease, waited: Option<&CommandId>) -> bool {
    if state.waiters.is_empty() {
        return false;
    }
    let place = waited
        .and_then(|id| state.index.waiters_by_id.get(&(lease.holder.actor.clone(), id.clone())))
        .copied()
        .unwrap_or(u64::MAX);
    let paths = std::slice::from_ref(&lease.path);
    let (repo, mode) = (&lease.repo, lease.mode);
    let ask = Ask { holder: &lease.holder, repo, paths, mode, converts: false, sharing: None };
    let others: Vec<u64> = state
        .waiters_over(repo, &lease.path)
        .filter(|(_, waiter)| ask.clashes(&waiter.holder, waiter.mode))
        .map(|(other, _)| other)
        .collect();
    let passes = !others.is_empty();
    let is_new = |waiter: &Waiter| waiter.bypassed_seq != seq;
    for other in others {
        if other >= place || !state.waiters.get(&other).is_some_and(is_new) {
            continue;
        }
        if let Some(waiter) = state.waiters.get_mut(&other) {
            waiter.bypasses = waiter.bypasses.saturating_add(1);
            waiter.bypassed_seq = seq;
        }
    }
    passes
}

/// Takes the waiter away whose request this is, with the last of the request's events: its
/// leases stand then, and nobody takes their paths for free in between.
fn end_wait(state: &mut State, actor: &ActorId, id: &CommandId, last: bool) {
    if last && let Some(place) = state.index.waiters_by_id.get(&(actor.clone(), id.clone())) {
        queue::take(state, *place);
    }
}

/// The last event of the record that a request had waited for. No record holds two requests of
/// one id, whoever sent them.
#[expect(clippy::wildcard_enum_match_arm, reason = "only these two end a wait with a grant")]
fn last_for<'r>(record: &'r Record, id: &CommandId) -> Option<&'r Event> {
    record.events.iter().rev().find(|event| match event {
        Event::LockGranted(e) => e.waited.as_ref() == Some(id),
        Event::LockConverted(e) => e.waited.as_ref() == Some(id),
        _ => false,
    })
}

/// Ends all leases and waits for a task.
pub(super) fn free_task(state: &mut State, task: TaskId) {
    if planted::is(Fault::LeaseOutlivesAttempt) {
        return;
    }
    let waiters = state.index.waiters_by_task.get(&task).cloned().unwrap_or_default();
    waiters.into_iter().for_each(|place| drop(queue::take(state, place)));
    let leases = state.index.leases_by_task.get(&task).cloned().unwrap_or_default();
    leases.into_iter().for_each(|id| end_lease(state, id));
}

/// Ends all leases and waits of a session; without one, those of a person that has none.
pub(super) fn free_session(state: &mut State, actor: &ActorId, session: Option<&SessionId>) {
    let session = (actor.clone(), session.cloned());
    let mut waiters = state.index.waiters_by_session.get(&session).cloned().unwrap_or_default();
    let mut leases = state.index.leases_by_session.get(&session).cloned().unwrap_or_default();
    if planted::is(Fault::WaiterOutlivesSession) {
        waiters.clear();
    }
    if planted::is(Fault::LeaseOutlivesSession) {
        leases.clear();
    }
    waiters.into_iter().for_each(|place| drop(queue::take(state, place)));
    leases.into_iter().for_each(|id| end_lease(state, id));
}

/// Ends all leases and waits of an actor.
pub(super) fn free_actor(state: &mut State, actor: &ActorId) {
    let waiting = of_actor(&state.index.waiters_by_session, actor).map(|(session, _)| session);
    let holding = of_actor(&state.index.leases_by_session, actor).map(|(session, _)| session);
    let sessions: Vec<Option<SessionId>> = waiting.chain(holding).cloned().collect();
    for session in sessions {
        free_session(state, actor, session.as_ref());
    }
}

/// A new term began: whatever runs gets as much time as a holder needs to be heard again, or
/// its full length where that is shorter.
pub(super) fn extend_deadlines(state: &mut State, at: At) {
    let enough = |length_ms: u64| at + length_ms.min(LEASE_TTL_MS + GRACE_MS);
    let due: Vec<(At, Due)> = state.index.due.iter().cloned().collect();
    for (old, due) in due {
        let new = match due {
            Due::Lease(id) => {
                let Some(lease) = state.leases.get_mut(&id) else { continue };
                let new = old.max(enough(lease.ttl_ms));
                lease.expires_at = Some(new);
                new
            }
            Due::Waiter(place) => {
                let Some(waiter) = state.waiters.get_mut(&place) else { continue };
                waiter.deadline = old.max(enough(old.since(waiter.queued_at)));
                waiter.deadline
            }
            Due::Share(place) => {
                let Some(waiter) = state.waiters.get_mut(&place) else { continue };
                let new = old.max(enough(old.since(waiter.queued_at)));
                waiter.share_at = Some(new);
                new
            }
            Due::Start(_)
            | Due::Auction(_)
            | Due::Land(_)
            | Due::Question(_)
            | Due::Park(_)
            | Due::Review(_)
            | Due::Unblock(_) => continue,
        };
        state.index.due.remove(&(old, due.clone()));
        state.index.due.insert((new, due));
    }
}
