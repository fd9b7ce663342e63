//! Leases and waits as people and programs see them.

use devmesh_protocol::query::{LockCheck, Locks};
use devmesh_protocol::view::{LeaseView, WaiterView};
use devmesh_protocol::{ActorId, LeaseId, Rejection};
use serde_json::{Value, json};

use super::list::{behind, page};
use super::value;
use crate::state::State;
use crate::state::lease::{Ask, Holder, Lease, Standing};

/// Holders that a check names.
const HOLDERS_MAX: usize = 64;

pub(super) fn locks(state: &State, query: &Locks) -> Value {
    let wanted = |actor: &ActorId| query.actor.as_ref().is_none_or(|a| a == actor);
    let leases = state.leases.range(behind(query.after)).filter(|(_, lease)| {
        wanted(&lease.holder.actor)
            && query.path.as_ref().is_none_or(|path| path.overlaps(&lease.path))
    });
    let waiters = state.waiters.iter().filter(|(_, waiter)| {
        let over = |path| waiter.paths.iter().any(|other| other.overlaps(path));
        wanted(&waiter.holder.actor) && query.path.as_ref().is_none_or(over)
    });
    let waiters = waiters.map(|(place, waiter)| {
        value(WaiterView {
            actor: waiter.holder.actor.clone(),
            id: waiter.id.clone(),
            repo: waiter.repo.clone(),
            paths: waiter.paths.clone(),
            mode: waiter.mode,
            task: waiter.holder.task,
            queued_at: waiter.queued_at,
            deadline: waiter.deadline,
            waits_for: state.waits_for(*place),
        })
    });
    // A list's second part shows those who wait on the first one only.
    let waiters = if query.after.is_some() { Vec::new() } else { page(waiters, query.limit) };
    let leases = page(leases.map(|(id, lease)| value(lease_view(*id, lease))), query.limit);
    json!({ "leases": leases, "waiters": waiters })
}

/// A lease as queries and answers show it.
pub(super) fn lease_view(id: LeaseId, lease: &Lease) -> LeaseView {
    LeaseView {
        lease: id,
        token: id.seq,
        repo: lease.repo.clone(),
        path: lease.path.clone(),
        mode: lease.mode,
        actor: lease.holder.actor.clone(),
        session: lease.holder.session.clone(),
        task: lease.holder.task,
        granted_at: lease.granted_at,
        ttl_ms: lease.ttl_ms,
        expires_at: lease.expires_at,
        reason: lease.reason.clone(),
    }
}

/// What a request of somebody who holds nothing would meet.
pub(super) fn check(state: &State, query: &LockCheck) -> Result<Value, Rejection> {
    let repo = &crate::decide::repo(state, query.repo.as_ref())?;
    let nobody = Holder { actor: ActorId::coordinator(), session: None, task: None };
    let paths = state.outermost(repo, &query.paths);
    let ask = Ask {
        holder: &nobody,
        repo,
        paths: &paths,
        mode: query.mode,
        converts: false,
        sharing: None,
    };
    let mut met = std::collections::BTreeSet::new();
    let held = state.leases_against(ask).filter(|(id, _)| met.insert(*id));
    let holders: Vec<Value> =
        held.take(HOLDERS_MAX).map(|(id, lease)| value(lease_view(id, lease))).collect();
    let free = holders.is_empty() && state.standing(ask, None) == Standing::Free;
    Ok(json!({ "repo": repo, "mode": query.mode, "free": free, "holders": holders }))
}
