//! Leases and waits as people and programs see them.

use std::collections::BTreeSet;

use devmesh_protocol::query::{LockCheck, Locks};
use devmesh_protocol::view::{LeaseView, WaiterView};
use devmesh_protocol::{ActorId, CommandId, LeaseId, Rejection, RepoPath};
use serde_json::{Value, json};

use super::list::{behind, page};
use super::{value, wait};
use crate::state::State;
use crate::state::index::of_actor;
use crate::state::lease::{Holder, Lease, Standing, Waiter};

/// Holders that a check names.
const HOLDERS_MAX: usize = 64;

pub(super) fn locks(state: &State, query: &Locks) -> Value {
    let wanted = |actor: &ActorId| query.actor.as_ref().is_none_or(|a| a == actor);
    let leases = listed(state, query);
    let waiters = state.waiters.iter().filter(|(_, waiter)| {
        let over = |path: &RepoPath| {
            let path = state.folded(&waiter.repo, path);
            waiter.paths.iter().any(|other| path.overlaps(&state.folded(&waiter.repo, other)))
        };
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

/// The leases that are asked for, by their ids, found without a look at all the others.
fn listed<'s>(
    state: &'s State,
    query: &Locks,
) -> Box<dyn Iterator<Item = (&'s LeaseId, &'s Lease)> + 's> {
    let after = query.after;
    let actor = query.actor.clone();
    let ids: BTreeSet<LeaseId> = match (&query.path, &actor) {
        (None, None) => return Box::new(state.leases.range(behind(after))),
        (Some(path), _) => {
            state.repos.keys().flat_map(|repo| state.leases_over(repo, path)).collect()
        }
        (None, Some(actor)) => {
            let own = of_actor(&state.index.leases_by_session, actor);
            own.flat_map(|(_, leases)| leases).copied().collect()
        }
    };
    let wanted = ids.into_iter().filter(move |id| after.is_none_or(|after| *id > after));
    let rows = wanted.filter_map(|id| state.leases.range(id..=id).next());
    Box::new(
        rows.filter(move |(_, lease)| {
            actor.as_ref().is_none_or(|actor| *actor == lease.holder.actor)
        }),
    )
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
    let paths = state.outermost(repo, &query.paths);
    // The coordinator never holds a lease, so none is its own.
    let nobody = Holder { actor: ActorId::coordinator(), session: None, task: None };
    let id = CommandId::new("check").expect("a plain word is an id");
    let times = (state.at, state.at);
    let asked = Waiter::plain((nobody, id), (repo.clone(), paths), query.mode, times);
    let mut met = BTreeSet::new();
    let held = state.leases_against(asked.ask()).filter(|(id, _)| met.insert(*id));
    let holders: Vec<Value> =
        held.take(HOLDERS_MAX).map(|(id, _)| wait::held_view(state, id)).collect();
    let free = holders.is_empty() && state.standing(asked.ask(), None) == Standing::Free;
    let expected = wait::expected(state, &asked, None);
    let ahead = wait::ahead(state, asked.ask(), None);
    Ok(json!({
        "repo": repo,
        "mode": query.mode,
        "free": free,
        "would": if free { "grant" } else { "wait" },
        "reason": expected.reason,
        "expected_at": expected.at,
        "holders": holders,
        "ahead": wait::ahead_views(state, &ahead),
        "advisory": wait::advisory(state, repo, &asked.paths),
    }))
}
