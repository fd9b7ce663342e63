//! What an attempt needs and another holds: the attempt waits for a while, and then both have it,
//! each in its own worktree; whoever lands second merges.

use std::collections::BTreeMap;

use devmesh_protocol::event::lock as event;
use devmesh_protocol::event::lock::Sharing;
use devmesh_protocol::limits::{RECORD_BYTES_MAX, RECORD_EVENTS_MAX};
use devmesh_protocol::{At, Event, LeaseId, Rejection, RepoPath};

use super::admit::{Obstacle, Plan, enqueue, grants};
use super::request::{Request, record_bytes};
use crate::state::State;
use crate::state::lease::{Ask, Holder, Lease};

/// Leases that one record shares; the rest follow before the grant.
const SHARED_MAX: usize = 96;

/// When a request that has to wait begins to share; none where it would not live to see it.
pub(super) fn share_at(state: &State, request: &Request, at: At) -> Option<At> {
    let after_ms = state.share_after_ms();
    let in_time = request.sharing.is_none() && after_ms <= request.wait_ms;
    (request.may_share() && in_time).then(|| at + after_ms)
}

/// An attempt's request with something in its way: what it shares already is given, what is hot
/// or would close a circle of waits is shared at once, anything else waits for a while.
pub(super) fn admit(
    state: &State,
    request: &Request,
    obstacle: &Obstacle,
    at: At,
) -> Result<Vec<Event>, Rejection> {
    let rest = not_shared_yet(state, request);
    if rest.paths.is_empty() {
        return Ok(Vec::new());
    }
    let plan = Plan::of(state, &rest);
    let again;
    let obstacle = if rest.paths.len() == request.paths.len() {
        obstacle
    } else {
        match plan.obstacle(state, &rest) {
            None => return Ok(grants(state, &rest, &plan.steps, at)),
            Some(other) => {
                again = other;
                &again
            }
        }
    };
    match sharing_now(state, &rest, &plan) {
        Some(sharing) => together(state, rest, sharing, at),
        None if rest.wait_ms == 0 => Err(obstacle.conflict(state, &rest)),
        None => enqueue(state, &rest, &plan, obstacle, at),
    }
}

/// The request without the paths that its holder has together with others already: waiting
/// would bring it no more.
fn not_shared_yet(state: &State, request: &Request) -> Request {
    let mut rest = request.clone();
    let mode = request.mode.shared();
    let (holder, repo) = (&request.holder, &request.repo);
    rest.paths.retain(|path| state.covering(holder, repo, path, mode).is_none());
    rest
}

/// Whether there is no wait before the sharing, and with whom it is.
fn sharing_now(state: &State, request: &Request, plan: &Plan) -> Option<Sharing> {
    let ask = request.ask(&plan.paths);
    if request.wait_ms > 0 {
        let holders = state.leases_against(ask).map(|(_, lease)| &lease.holder);
        let holders: std::collections::BTreeSet<&Holder> = holders.collect();
        if state.chain(holders, &request.holder, false).is_some() {
            return Some(Sharing::All);
        }
    }
    if state.share_after_ms() == 0 {
        return Some(Sharing::Agents);
    }
    let is_waited_for = |path: &&RepoPath| {
        let ask = Ask { paths: std::slice::from_ref(*path), ..ask };
        state.leases_against(ask).next().is_some()
    };
    let mut waited_for = plan.paths.iter().filter(is_waited_for).peekable();
    let any = waited_for.peek().is_some();
    (any && waited_for.all(|path| state.is_hot(&request.repo, path))).then_some(Sharing::Agents)
}

/// Takes the paths together with those who hold them; behind whoever else is in its way.
fn together(
    state: &State,
    mut request: Request,
    sharing: Sharing,
    at: At,
) -> Result<Vec<Event>, Rejection> {
    request.mode = request.mode.shared();
    request.sharing = Some(sharing);
    let plan = Plan::of(state, &request);
    let obstacle = match plan.obstacle(state, &request) {
        None => match shared_for(state, request.ask(&plan.paths), &plan.paths) {
            Shared::All(mut events) => {
                events.extend(grants(state, &request, &plan.steps, at));
                return Ok(events);
            }
            // More than one record takes: it waits until the last of them is shared.
            Shared::Part(_) => {
                let shared = state.leases_shared_with(request.ask(&plan.paths));
                Obstacle::Leases(shared.map(|(id, _)| id).take(1).collect())
            }
        },
        Some(obstacle) => obstacle,
    };
    if request.wait_ms == 0 {
        return Err(obstacle.conflict(state, &request));
    }
    enqueue(state, &request, &plan, &obstacle, at)
}

/// What a formatter wrote is one event, and shared at once.
pub(super) fn wide(state: &State, request: &Request, at: At) -> Result<Vec<Event>, Rejection> {
    let plan = Plan::of(state, request);
    let events = match plan.obstacle(state, request) {
        None => grants(state, request, &plan.steps, at),
        Some(_) => {
            let rest = not_shared_yet(state, request);
            if rest.paths.is_empty() {
                Vec::new()
            } else {
                together(state, rest, Sharing::Agents, at)?
            }
        }
    };
    let Some(task) = request.holder.task else { return Ok(events) };
    if events.is_empty() {
        return Ok(events);
    }
    let shared = events.iter().filter(|event| matches!(event, Event::LeaseShared(_))).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let wide = event::WideWrite {
        actor: request.holder.actor.clone(),
        task,
        repo: request.repo.clone(),
        paths: count(request.paths.len()),
        shared: count(shared),
    };
    Ok(std::iter::once(wide.into()).chain(events).collect())
}

/// The leases that become shared for a request.
pub(super) enum Shared {
    /// All that it needs.
    All(Vec<Event>),
    /// As many as one record takes.
    Part(Vec<Event>),
}

/// Shares the leases that a request takes its paths together with.
pub(super) fn shared_for(state: &State, ask: Ask<'_>, paths: &[RepoPath]) -> Shared {
    let leases: BTreeMap<LeaseId, &Lease> =
        state.leases_shared_with(ask).take(RECORD_EVENTS_MAX).collect();
    let mut bytes = record_bytes(paths, None);
    let mut events = Vec::new();
    for (id, lease) in &leases {
        bytes += record_bytes(std::slice::from_ref(&lease.path), None);
        if events.len() == SHARED_MAX || bytes > RECORD_BYTES_MAX {
            return Shared::Part(events);
        }
        let shared = event::LeaseShared {
            lease: *id,
            actor: lease.holder.actor.clone(),
            task: lease.holder.task,
            repo: lease.repo.clone(),
            path: lease.path.clone(),
            to: lease.mode.shared(),
            with: ask.holder.actor.clone(),
            with_task: ask.holder.task,
        };
        events.push(shared.into());
    }
    Shared::All(events)
}
