//! Giving leases back, keeping them alive, and ending somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use devmesh_protocol::command::lock as body;
use devmesh_protocol::event::lock as event;
use devmesh_protocol::event::lock::WithdrawnWhy;
use devmesh_protocol::limits::RECORD_EVENTS_MAX;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{At, Code, Command, CommandId, Event, LeaseId, Rejection, TaskId};

use super::request;
use crate::decide::agent::require_person;
use crate::state::State;
use crate::state::index::of_actor;
use crate::state::lease::Lease;
use crate::state::mesh::ReceiptKey;

fn gone(id: LeaseId) -> Rejection {
    let text = format!("{id} is no live lease: it was given back, or its time was over");
    Rejection::new(Code::LeaseExpired, text).with("lease", id.to_string())
}

/// The caller's own lease. An agent has leases of its live session only; a person owns those of
/// every session.
fn own_lease<'s>(state: &'s State, command: &Command, id: LeaseId) -> Result<&'s Lease, Rejection> {
    let lease = state.leases.get(&id).ok_or_else(|| gone(id))?;
    if lease.holder.actor != command.actor && !planted::is(Fault::OwnerNotCompared) {
        let text = format!("{id} on {} is {}'s", lease.path, lease.holder.actor);
        let owner = lease.holder.actor.as_str();
        return Err(Rejection::new(Code::NotOwner, text).with("owner", owner));
    }
    Ok(lease)
}

/// The same, where its time is not over. What is over ends with the next tick and cannot be
/// kept alive in between.
pub(super) fn own_live_lease<'s>(
    state: &'s State,
    command: &Command,
    id: LeaseId,
    at: At,
) -> Result<&'s Lease, Rejection> {
    let lease = own_lease(state, command, id)?;
    match lease.expires_at {
        Some(expires_at) if expires_at <= at => Err(gone(id)),
        Some(_) | None => Ok(lease),
    }
}

/// Withdraws the waits for a lease's conversion, which end with it.
pub(super) fn withdrawals(state: &State, id: LeaseId) -> impl Iterator<Item = Event> {
    let places = state.index.conversions_by_lease.get(&id).into_iter().flatten();
    places.map(|place| withdrawal(state, *place, WithdrawnWhy::Ended))
}

pub(super) fn withdrawal(state: &State, place: u64, why: WithdrawnWhy) -> Event {
    let waiter = state.waiter(place);
    let (actor, id) = (waiter.holder.actor.clone(), waiter.id.clone());
    event::LockWithdrawn { actor, id, why }.into()
}

pub(in crate::decide) fn release(
    state: &State,
    command: &Command,
    body: &body::Release,
) -> Result<Vec<Event>, Rejection> {
    let mut withdrawn = BTreeSet::new();
    let leases = if !body.leases.is_empty() {
        for id in &body.leases {
            own_lease(state, command, *id)?;
        }
        body.leases.iter().copied().collect()
    } else if !body.paths.is_empty() {
        by_paths(state, command, body)?
    } else if let Some(task) = body.task {
        by_task(state, command, task)?
    } else {
        let mut leases = BTreeSet::new();
        for id in &body.ids {
            let key = (command.actor.clone(), id.clone());
            match state.index.waiters_by_id.get(&key) {
                Some(place) => withdrawn.extend([*place]),
                None => leases.extend(granted_to(state, command, id)),
            }
        }
        leases
    };
    for id in &leases {
        let waits = state.index.conversions_by_lease.get(id).into_iter().flatten();
        withdrawn.retain(|place| !waits.clone().any(|other| other == place));
    }
    let mut events: Vec<Event> =
        withdrawn.into_iter().map(|place| withdrawal(state, place, WithdrawnWhy::Asked)).collect();
    for id in leases {
        events.extend(withdrawals(state, id));
        events.push(event::LockReleased { lease: id }.into());
    }
    if events.len() > RECORD_EVENTS_MAX {
        let text = format!(
            "{} leases and waits would end; at most {RECORD_EVENTS_MAX} do at once: name fewer",
            events.len()
        );
        return Err(Rejection::new(Code::LimitExceeded, text));
    }
    Ok(events)
}

/// The caller's leases on exactly these paths; each must have one.
fn by_paths(
    state: &State,
    command: &Command,
    body: &body::Release,
) -> Result<BTreeSet<LeaseId>, Rejection> {
    let repo = request::repo(state, body.repo.as_ref())?;
    let mut leases = BTreeSet::new();
    for path in &body.paths {
        let key = state.path_key(&repo, path);
        let on_path: Vec<LeaseId> = state.index.leases_by_path.at(&repo, &key).collect();
        let own = |id: &&LeaseId| {
            let holder = &state.lease(**id).holder;
            holder.actor == command.actor && holder.session == command.session
        };
        leases.extend(on_path.iter().filter(own).copied());
        if on_path.iter().any(|id| leases.contains(id)) {
            continue;
        }
        return Err(match on_path.first() {
            Some(id) => {
                let owner = &state.lease(*id).holder.actor;
                let text = format!("the lease on {path} is {owner}'s");
                Rejection::new(Code::NotOwner, text).with("owner", owner.as_str())
            }
            None => {
                let text = format!("{} holds no lease on {path}", command.actor);
                Rejection::new(Code::LeaseExpired, text).with("path", path.to_string())
            }
        });
    }
    Ok(leases)
}

fn by_task(state: &State, command: &Command, task: TaskId) -> Result<BTreeSet<LeaseId>, Rejection> {
    let leases = state.index.leases_by_task.get(&task);
    let own: BTreeSet<LeaseId> = leases
        .into_iter()
        .flatten()
        .filter(|id| state.lease(**id).holder.actor == command.actor)
        .copied()
        .collect();
    match leases.and_then(|leases| leases.first()) {
        Some(other) if own.is_empty() => {
            let owner = &state.lease(*other).holder.actor;
            let text = format!("the leases for {task} are {owner}'s");
            Err(Rejection::new(Code::NotOwner, text).with("owner", owner.as_str()))
        }
        Some(_) | None => Ok(own),
    }
}

/// The leases that a request of the caller's was granted, at once or after waiting, whatever they
/// were made into since: who gives a request back whose answer it never heard must not be told
/// that it is done while it holds on. A lease that a request only made stronger is not among
/// them: what it was before is not known any more.
fn granted_to(state: &State, command: &Command, id: &CommandId) -> Vec<LeaseId> {
    let key = ReceiptKey::new(&command.actor, id);
    let Some(receipt) = state.receipts.get(&key) else { return Vec::new() };
    let seq = receipt.answered.unwrap_or(receipt.seq);
    let is_its =
        |lease: &Lease| lease.request.as_ref() == Some(id) && lease.holder.actor == command.actor;
    let record = LeaseId { seq, index: 0 }..=LeaseId { seq, index: u32::MAX };
    let granted = state.leases.range(record).filter(|(_, lease)| is_its(lease)).map(|(id, _)| *id);
    // A conversion to a stronger mode gives a lease the number of its own record, a later one.
    let own = of_actor(&state.index.leases_by_session, &command.actor);
    let later = LeaseId { seq: seq.saturating_add(1), index: 0 }..;
    let converted = own.flat_map(|(_, leases)| leases.range(later.clone()).copied());
    granted.chain(converted.filter(|id| is_its(state.lease(*id)))).collect()
}

/// A person's leases live on from now. An agent's live by its heartbeats, so there is nothing
/// to do for them.
pub(in crate::decide) fn renew(
    state: &State,
    command: &Command,
    body: &body::Renew,
    at: At,
) -> Result<Vec<Event>, Rejection> {
    let actor = &command.actor;
    if body.ttl_ms.is_some() {
        request::ttl(state, actor, body.ttl_ms)?;
    }
    let mut leases: BTreeSet<LeaseId> = body.leases.iter().copied().collect();
    for id in &leases {
        own_live_lease(state, command, *id, at)?;
    }
    if leases.is_empty() {
        let own = of_actor(&state.index.leases_by_session, actor);
        leases = own.flat_map(|(_, leases)| leases).copied().collect();
        leases.retain(|id| own_live_lease(state, command, *id, at).is_ok());
    }
    let mut by_ttl: BTreeMap<u64, Vec<LeaseId>> = BTreeMap::new();
    for id in leases {
        let lease = state.lease(id);
        if lease.expires_at.is_some() {
            by_ttl.entry(body.ttl_ms.unwrap_or(lease.ttl_ms)).or_default().push(id);
        }
    }
    if by_ttl.len() > RECORD_EVENTS_MAX {
        let text = "the leases have too many times to live; name fewer, or one ttl_ms for all";
        return Err(Rejection::new(Code::LimitExceeded, text));
    }
    let renewed = |(ttl_ms, leases)| {
        let (actor, expires_at) = (actor.clone(), at + ttl_ms);
        event::LockRenewed { actor, leases, ttl_ms, expires_at }.into()
    };
    Ok(by_ttl.into_iter().map(renewed).collect())
}

/// A person ends somebody's lease. Its holder's gate fails at landing, not its run.
pub(in crate::decide) fn break_lease(
    state: &State,
    command: &Command,
    body: &body::Break,
) -> Result<Vec<Event>, Rejection> {
    require_person(state, command)?;
    let lease = state.leases.get(&body.lease).ok_or_else(|| gone(body.lease))?;
    let mut events: Vec<Event> = withdrawals(state, body.lease).collect();
    let broken = event::LockBroken {
        lease: body.lease,
        by: command.actor.clone(),
        actor: Some(lease.holder.actor.clone()),
        task: lease.holder.task,
        path: Some(lease.path.clone()),
        reason: body.reason.clone(),
    };
    events.push(broken.into());
    Ok(events)
}
