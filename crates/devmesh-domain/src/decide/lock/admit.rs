//! A checked request meets the leases and the waiters that are there.

use std::collections::BTreeSet;

use devmesh_protocol::event::lock as event;
use devmesh_protocol::limits::{LEASES_PER_ACTOR_MAX, RETRY_AFTER_MS, WAITERS_MAX};
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{At, Code, Event, LeaseId, Rejection, RepoPath};
use serde_json::{Map, Value};

use super::request::Request;
use crate::state::State;
use crate::state::lease::{Holder, Lease, Standing};

/// Holders that a refusal names; who knows more of them is no wiser.
const HOLDERS_NAMED_MAX: usize = 16;

/// What one path of a request leads to.
enum Step {
    /// A lease of its own.
    Grant(RepoPath),
    /// The holder's weaker lease on it becomes stronger.
    Convert(LeaseId, RepoPath),
}

/// Grants, queues or refuses.
pub(super) fn admit(state: &State, request: &Request, at: At) -> Result<Vec<Event>, Rejection> {
    let mut steps = Vec::new();
    let mut contested = false;
    for path in &request.paths {
        let (holder, repo, mode) = (&request.holder, &request.repo, request.mode);
        if state.leases_over(repo, path).next().is_none() {
            steps.push(Step::Grant(path.clone()));
            continue;
        }
        if state.covering(holder, repo, path, mode).is_some() {
            continue;
        }
        contested = true;
        steps.push(match state.convertible(holder, repo, path, mode) {
            Some(lease) => Step::Convert(lease, path.clone()),
            None => Step::Grant(path.clone()),
        });
    }
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let paths: Vec<RepoPath> = steps
        .iter()
        .map(|step| match step {
            Step::Grant(path) | Step::Convert(_, path) => path.clone(),
        })
        .collect();
    let convert = match steps[..] {
        [Step::Convert(lease, _)] => Some(lease),
        _ => None,
    };
    check_leases(state, request, steps.len())?;
    let leased: &[RepoPath] = if contested { &paths } else { &[] };
    let Some(obstacle) = obstacle(state, request, leased, &paths, convert) else {
        return Ok(grants(request, steps, at));
    };
    if planted::is(Fault::PartialGrant) {
        let free = |step: &Step| match step {
            Step::Grant(path) => {
                let ask = request.ask(std::slice::from_ref(path));
                state.leases_against(ask).next().is_none()
            }
            Step::Convert(..) => false,
        };
        let free: Vec<Step> = steps.into_iter().filter(free).collect();
        if !free.is_empty() {
            return Ok(grants(request, free, at));
        }
    }
    if request.wait_ms == 0 {
        return Err(obstacle.conflict(state, request));
    }
    enqueue(state, request, paths, convert, &obstacle, at)
}

fn check_leases(state: &State, request: &Request, more: usize) -> Result<(), Rejection> {
    let actor = &request.holder.actor;
    let leases = state.index.leases_of_actor.get(actor).copied().unwrap_or(0);
    if leases + more > LEASES_PER_ACTOR_MAX {
        let text = format!("{actor} holds {leases} leases; at most {LEASES_PER_ACTOR_MAX} are");
        return Err(Rejection::new(Code::LimitExceeded, text));
    }
    Ok(())
}

/// What is in the way of a request.
pub(super) enum Obstacle {
    /// Leases.
    Leases(Vec<LeaseId>),
    /// A waiter that is before it.
    Waiter(Standing, u64),
}

/// What is in the way of these paths, if anything is; `leased` are those that overlap a lease.
pub(super) fn obstacle(
    state: &State,
    request: &Request,
    leased: &[RepoPath],
    paths: &[RepoPath],
    convert: Option<LeaseId>,
) -> Option<Obstacle> {
    let mut ask = request.ask(leased);
    ask.converts = convert.is_some();
    let leases: BTreeSet<LeaseId> =
        state.leases_against(ask).map(|(id, _)| id).take(4 * HOLDERS_NAMED_MAX).collect();
    if !leases.is_empty() {
        return Some(Obstacle::Leases(leases.into_iter().collect()));
    }
    ask.paths = paths;
    match state.standing(ask, None) {
        Standing::Free => None,
        standing @ (Standing::Behind(place)
        | Standing::Entangled(place)
        | Standing::Barred(place)) => Some(Obstacle::Waiter(standing, place)),
    }
}

fn grants(request: &Request, steps: Vec<Step>, at: At) -> Vec<Event> {
    (0_u32..)
        .zip(steps)
        .map(|(index, step)| match step {
            Step::Grant(path) => grant(request, path, index, at).into(),
            Step::Convert(lease, _) => {
                event::LockConverted { lease, to: request.mode, index: Some(index), waited: None }
                    .into()
            }
        })
        .collect()
}

fn grant(request: &Request, path: RepoPath, index: u32, at: At) -> event::LockGranted {
    event::LockGranted {
        index,
        actor: request.holder.actor.clone(),
        session: request.holder.session.clone(),
        task: request.holder.task,
        repo: request.repo.clone(),
        path,
        mode: request.mode,
        ttl_ms: request.ttl_ms,
        expires_at: request.expires_at(at),
        waited: None,
        reason: request.reason.clone(),
    }
}

/// Lets a request wait, unless its wait could never end.
pub(super) fn enqueue(
    state: &State,
    request: &Request,
    paths: Vec<RepoPath>,
    convert: Option<LeaseId>,
    obstacle: &Obstacle,
    at: At,
) -> Result<Vec<Event>, Rejection> {
    let mut ask = request.ask(&paths);
    ask.converts = convert.is_some();
    let holders: BTreeSet<&Holder> =
        state.leases_against(ask).map(|(_, lease)| &lease.holder).collect();
    if let Some(chain) = state.chain(holders, &request.holder, false)
        && !planted::is(Fault::CircleAllowed)
    {
        return Err(deadlock(request, &chain));
    }
    // Behind a waiter that waits for it and may not be passed again.
    if let Obstacle::Waiter(Standing::Barred(place), _) = obstacle
        && let Some(chain) = state.chain([&state.waiter(*place).holder], &request.holder, true)
    {
        return Err(deadlock(request, &chain));
    }
    if state.waiters.len() >= WAITERS_MAX {
        let text = format!("{WAITERS_MAX} requests wait, and that is the limit");
        return Err(Rejection::new(Code::LimitExceeded, text).retry_after(RETRY_AFTER_MS));
    }
    let queued = event::LockQueued {
        actor: request.holder.actor.clone(),
        session: request.holder.session.clone(),
        id: request.id.clone(),
        task: request.holder.task,
        repo: request.repo.clone(),
        paths,
        mode: request.mode,
        ttl_ms: request.ttl_ms,
        deadline: at + request.wait_ms,
        convert,
        reason: request.reason.clone(),
    };
    Ok(vec![queued.into()])
}

/// The chain leads from whoever is in the way to the one who asks.
fn deadlock(request: &Request, chain: &[&Holder]) -> Rejection {
    let mut links: Vec<String> = vec![named(&request.holder)];
    links.extend(chain.iter().map(|holder| named(holder)));
    let text = format!(
        "waiting would close a circle of waits, in which nobody goes on: {}",
        links.join(" waits for ")
    );
    Rejection::new(Code::LockDeadlock, text)
        .with("cycle", links.into_iter().map(Value::from).collect::<Vec<_>>())
        .retry_after(RETRY_AFTER_MS)
}

fn named(holder: &Holder) -> String {
    match holder.task {
        Some(task) => format!("{} for {task}", holder.actor),
        None => holder.actor.to_string(),
    }
}

impl Obstacle {
    /// The refusal that names who is in the way.
    pub(super) fn conflict(&self, state: &State, request: &Request) -> Rejection {
        let (text, holders) = match self {
            Obstacle::Leases(leases) => {
                let first = state.lease(leases[0]);
                let more = if leases.len() > 1 { ", and it is not alone" } else { "" };
                let (path, mode) = (&first.path, first.mode);
                let text = format!("{path} is held by {} ({mode}){more}", who(&first.holder));
                let named = leases.iter().take(HOLDERS_NAMED_MAX);
                let holders = named.map(|id| held(*id, state.lease(*id))).collect::<Vec<_>>();
                (text, holders)
            }
            Obstacle::Waiter(_, place) => {
                let waiter = state.waiter(*place);
                let (path, mode) = (&waiter.paths[0], waiter.mode);
                let first = format!("{} ({mode})", who(&waiter.holder));
                let text = format!("{first} waits for {path} and comes first");
                let mut holder = about(&waiter.holder);
                holder.insert("path".to_owned(), path.to_string().into());
                holder.insert("mode".to_owned(), mode.as_str().into());
                holder.insert("waiting".to_owned(), true.into());
                (text, vec![Value::Object(holder)])
            }
        };
        let text = format!("{text}; {} was asked for", request.mode);
        Rejection::new(Code::LockConflict, text)
            .with("holders", holders)
            .retry_after(RETRY_AFTER_MS)
    }
}

/// A holder as a refusal names it in its text.
fn who(holder: &Holder) -> String {
    match (holder.task, &holder.session) {
        (Some(task), _) => format!("{} for {task}", holder.actor),
        (None, _) => holder.actor.to_string(),
    }
}

fn about(holder: &Holder) -> Map<String, Value> {
    let mut about = Map::new();
    about.insert("actor".to_owned(), holder.actor.as_str().into());
    if let Some(session) = &holder.session {
        about.insert("session".to_owned(), session.as_str().into());
    }
    if let Some(task) = holder.task {
        about.insert("task".to_owned(), task.to_string().into());
    }
    about
}

fn held(id: LeaseId, lease: &Lease) -> Value {
    let mut held = about(&lease.holder);
    held.insert("lease".to_owned(), id.to_string().into());
    held.insert("path".to_owned(), lease.path.to_string().into());
    held.insert("mode".to_owned(), lease.mode.as_str().into());
    if let Some(expires_at) = lease.expires_at {
        held.insert("expires_at".to_owned(), expires_at.to_rfc3339().into());
    }
    if let Some(reason) = &lease.reason {
        held.insert("reason".to_owned(), reason.as_str().into());
    }
    Value::Object(held)
}
