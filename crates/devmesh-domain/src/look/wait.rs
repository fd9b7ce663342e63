//! Who holds it, since when, why somebody waits, and when they get it.

use devmesh_protocol::event::lock::Sharing;
use devmesh_protocol::query::LockWhy;
use devmesh_protocol::{At, Rejection, RepoId, RepoPath};
use serde_json::{Value, json};

use super::lease::lease_view;
use super::list::page;
use super::value;
use crate::decide::advisories;
use crate::state::State;
use crate::state::lease::{Ask, Lease, Standing, Waiter};

/// Holders, waiters and paths changed by hand that an answer names in one place.
const NAMED_MAX: usize = 64;

/// The waits that are asked for, and who holds the path that is.
pub(super) fn why(state: &State, query: &LockWhy) -> Result<Value, Rejection> {
    let over = match &query.path {
        Some(path) => Some((crate::decide::repo(state, query.repo.as_ref())?, path)),
        None => None,
    };
    let wanted = |waiter: &Waiter| {
        let holder = &waiter.holder;
        query.actor.as_ref().is_none_or(|actor| *actor == holder.actor)
            && query.id.as_ref().is_none_or(|id| *id == waiter.id)
            && query.task.is_none_or(|task| holder.task == Some(task))
    };
    let waits: Vec<Value> = match &over {
        Some((repo, path)) => {
            let mut places: Vec<u64> =
                state.waiters_over(repo, path).map(|(place, _)| place).collect();
            places.sort_unstable();
            places.dedup();
            let waiters = places.into_iter().map(|place| (place, state.waiter(place)));
            let waits = waiters.filter(|(_, waiter)| wanted(waiter));
            page(waits.map(|(place, waiter)| wait(state, place, waiter)), query.limit)
        }
        None => {
            let waits = state.waiters.iter().filter(|(_, waiter)| wanted(waiter));
            page(waits.map(|(place, waiter)| wait(state, *place, waiter)), query.limit)
        }
    };
    let mut answer = json!({ "waits": waits });
    if let Some((repo, path)) = &over {
        let held = state.leases_over(repo, path).take(NAMED_MAX);
        answer["holders"] = held.map(|id| held_view(state, id)).collect();
        answer["advisory"] = advisory(state, repo, std::slice::from_ref(*path)).into();
    }
    Ok(answer)
}

fn wait(state: &State, place: u64, waiter: &Waiter) -> Value {
    let ahead: Vec<u64> = ahead(state, waiter.ask(), Some(place));
    let expected = expected(state, waiter, Some(place));
    let mut holders: Vec<_> = state.leases_against(waiter.ask()).map(|(id, _)| id).collect();
    holders.sort_unstable();
    holders.dedup();
    let holders = holders.into_iter().take(NAMED_MAX).map(|id| held_view(state, id));
    json!({
        "actor": waiter.holder.actor,
        "session": waiter.holder.session,
        "id": waiter.id,
        "task": waiter.holder.task,
        "repo": waiter.repo,
        "paths": waiter.paths,
        "mode": waiter.mode,
        "queued_at": waiter.queued_at,
        "waited_ms": state.at.since(waiter.queued_at),
        "deadline": waiter.deadline,
        "share_at": waiter.share_at,
        "sharing": waiter.sharing.is_some(),
        "position": ahead.len() + 1,
        "holders": holders.collect::<Vec<_>>(),
        "ahead": ahead_views(state, &ahead),
        "expected_at": expected.at,
        "reason": expected.reason,
    })
}

/// The waiters that stand before a request and ask for what clashes with it, first first.
pub(super) fn ahead(state: &State, ask: Ask<'_>, place: Option<u64>) -> Vec<u64> {
    let mut ahead: Vec<u64> =
        state.rivals_ahead(ask, place.unwrap_or(u64::MAX)).map(|(place, _)| place).collect();
    ahead.sort_unstable();
    ahead.dedup();
    ahead
}

pub(super) fn ahead_views(state: &State, ahead: &[u64]) -> Vec<Value> {
    let one = |place: &u64| {
        let waiter = state.waiter(*place);
        json!({
            "actor": waiter.holder.actor,
            "id": waiter.id,
            "task": waiter.holder.task,
            "mode": waiter.mode,
            "paths": waiter.paths,
            "queued_at": waiter.queued_at,
            "deadline": waiter.deadline,
        })
    };
    ahead.iter().take(NAMED_MAX).map(one).collect()
}

/// A lease with how it ends.
pub(super) fn held_view(state: &State, id: devmesh_protocol::LeaseId) -> Value {
    let lease = state.lease(id);
    let mut view = value(lease_view(id, lease));
    view["ends"] = ends(state, lease).1.into();
    view["ends_at"] = value(ends(state, lease).0);
    view["share"] = value(lease.share);
    view
}

/// When a lease ends at the latest, as things stand, and that in words.
fn ends(state: &State, lease: &Lease) -> (Option<At>, String) {
    if let Some(at) = lease.expires_at {
        return (Some(at), format!("at {at}, unless it is renewed"));
    }
    let Some(task) = lease.holder.task else {
        return (None, format!("when {} lets go of it", lease.holder.actor));
    };
    let at = state.tasks.get(&task).and_then(|row| {
        let attempt = row.attempt.as_ref()?;
        let began_at = attempt.started_at.unwrap_or(attempt.awarded_at);
        Some(began_at + row.spec.max_wall_s.saturating_mul(1_000))
    });
    (at, format!("with {task}"))
}

/// When somebody gets what they wait for.
pub(super) struct Expected {
    /// At the latest, as things stand; none where nobody can say.
    pub(super) at: Option<At>,
    /// In a sentence.
    pub(super) reason: String,
}

/// When a waiter is granted, and why not before.
pub(super) fn expected(state: &State, waiter: &Waiter, place: Option<u64>) -> Expected {
    let leases: Vec<&Lease> =
        state.leases_against(waiter.ask()).map(|(_, lease)| lease).take(NAMED_MAX).collect();
    let Some(first) = leases.first() else {
        return after_others(state, waiter, place);
    };
    let ends_at = leases.iter().map(|lease| ends(state, lease).0).collect::<Option<Vec<_>>>();
    let latest = ends_at.and_then(|ends| ends.into_iter().max());
    let more = match leases.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let (path, holder, mode) = (&first.path, &first.holder, first.mode);
    let held = format!("{path} is held by {holder} ({mode}){more}");
    let all_share = leases.iter().all(|lease| lease.is_shared_with(Sharing::Agents));
    if let Some(at) = waiter.share_at.filter(|_| all_share) {
        let at = latest.map_or(at, |latest| latest.min(at));
        let reason = format!("{held}; it is shared at {at} at the latest");
        return Expected { at: Some(at), reason };
    }
    let reason = format!("{held}, until it ends {}", ends(state, first).1);
    Expected { at: latest, reason }
}

fn after_others(state: &State, waiter: &Waiter, place: Option<u64>) -> Expected {
    match state.standing(waiter.ask(), place) {
        Standing::Free => {
            let reason = "nothing is in its way: it is next".to_owned();
            Expected { at: Some(state.at), reason }
        }
        Standing::Behind(other) | Standing::Entangled(other) | Standing::Barred(other) => {
            let other = state.waiter(other);
            let reason = format!(
                "{} waits for {} ({}) and comes first, until {} at the latest",
                other.holder.actor, other.paths[0], other.mode, other.deadline
            );
            Expected { at: None, reason }
        }
    }
}

/// What people change by hand of these paths: nobody is kept out by it.
pub(crate) fn advisory(state: &State, repo: &RepoId, paths: &[RepoPath]) -> Vec<Value> {
    let one = |advisory: crate::decide::Advisory<'_>| {
        json!({
            "actor": advisory.actor,
            "holder": "you",
            "repo": repo,
            "path": advisory.path,
            "at": advisory.at,
        })
    };
    advisories(state, repo, paths).take(NAMED_MAX).map(one).collect()
}
