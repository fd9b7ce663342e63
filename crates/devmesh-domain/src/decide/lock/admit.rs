//! A checked request meets the leases and the waiters that are there.

use std::collections::BTreeSet;

use devmesh_protocol::event::lock as event;
use devmesh_protocol::limits::{LATE_PATHS_MAX, LEASES_PER_ACTOR_MAX, RETRY_AFTER_MS, WAITERS_MAX};
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{At, Code, Event, LeaseId, Rejection, RepoPath};
use serde_json::{Map, Value};

use super::convert::converted;
use super::request::Request;
use super::share;
use crate::state::State;
use crate::state::lease::{Holder, Lease, Standing};

/// Holders that a refusal names; who knows more of them is no wiser.
const HOLDERS_NAMED_MAX: usize = 16;

/// What one path of a request leads to.
#[derive(Clone)]
pub(super) enum Step {
    /// A lease of its own.
    Grant(RepoPath),
    /// The holder's weaker lease on it becomes stronger.
    Convert(LeaseId, RepoPath),
}

/// Grants, queues or refuses.
pub(super) fn admit(state: &State, request: &Request, at: At) -> Result<Vec<Event>, Rejection> {
    let plan = Plan::of(state, request);
    if plan.steps.is_empty() {
        return Ok(Vec::new());
    }
    check_leases(state, request, plan.steps.len())?;
    if request.may_share() && request.paths.len() > LATE_PATHS_MAX {
        return share::wide(state, request, at);
    }
    let obstacle = plan.obstacle(state, request);
    if obstacle.is_some() && planted::is(Fault::PartialGrant) {
        let free = |step: &Step| {
            let ask = request.ask(std::slice::from_ref(step.path()));
            matches!(step, Step::Grant(_)) && state.leases_against(ask).next().is_none()
        };
        let free: Vec<Step> = plan.steps.iter().filter(|step| free(step)).cloned().collect();
        if !free.is_empty() {
            return Ok(grants(state, request, &free, at));
        }
    }
    match obstacle {
        None => Ok(grants(state, request, &plan.steps, at)),
        Some(obstacle) if request.may_share() => share::admit(state, request, &obstacle, at),
        Some(obstacle) if request.wait_ms == 0 => Err(obstacle.conflict(state, request)),
        Some(obstacle) => enqueue(state, request, &plan, &obstacle, at),
    }
}

/// What a request leads to, path by path.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) paths: Vec<RepoPath>,
    /// Leases overlap some of the paths.
    contested: bool,
    /// The one lease to be converted, where that is all there is to do.
    convert: Option<LeaseId>,
}

impl Plan {
    /// What is held already needs no step.
    pub(super) fn of(state: &State, request: &Request) -> Plan {
        if let Some(lease) = request.convert {
            let steps = request.paths.iter().map(|path| Step::Convert(lease, path.clone()));
            let (steps, paths) = (steps.collect(), request.paths.clone());
            return Plan { steps, paths, contested: true, convert: Some(lease) };
        }
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
        let convert = match steps[..] {
            [Step::Convert(lease, _)] => Some(lease),
            _ => None,
        };
        let paths = steps.iter().map(|step| step.path().clone()).collect();
        Plan { steps, paths, contested, convert }
    }

    /// What is in its way, if anything is.
    pub(super) fn obstacle(&self, state: &State, request: &Request) -> Option<Obstacle> {
        let mut ask = request.ask(&self.paths);
        ask.converts = self.convert.is_some();
        if self.contested {
            let leases = state.leases_against(ask).map(|(id, _)| id);
            let leases: BTreeSet<LeaseId> = leases.take(4 * HOLDERS_NAMED_MAX).collect();
            if !leases.is_empty() {
                return Some(Obstacle::Leases(leases.into_iter().collect()));
            }
        }
        match state.standing(ask, None) {
            Standing::Free => None,
            // It is an attempt's that this waiter waits for: it goes on at the latest with the
            // attempt's end, and the attempt is not refused for it.
            Standing::Barred(_) if request.may_share() => None,
            standing @ (Standing::Behind(place)
            | Standing::Entangled(place)
            | Standing::Barred(place)) => Some(Obstacle::Waiter(standing, place)),
        }
    }
}

impl Step {
    pub(super) fn path(&self) -> &RepoPath {
        match self {
            Step::Grant(path) | Step::Convert(_, path) => path,
        }
    }
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

pub(super) fn grants(state: &State, request: &Request, steps: &[Step], at: At) -> Vec<Event> {
    let step = |(index, step): (u32, &Step)| match step {
        Step::Grant(path) => grant(request, path.clone(), index, at).into(),
        Step::Convert(lease, _) => {
            let (lease, to) = (*lease, request.mode);
            converted(state, lease, to, Some(index), None, request.expires_at(at)).into()
        }
    };
    (0..).zip(steps).map(step).collect()
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
        share: request.share,
        reason: request.reason.clone(),
    }
}

/// Lets a request wait, unless its wait could never end.
pub(super) fn enqueue(
    state: &State,
    request: &Request,
    plan: &Plan,
    obstacle: &Obstacle,
    at: At,
) -> Result<Vec<Event>, Rejection> {
    let mut ask = request.ask(&plan.paths);
    ask.converts = plan.convert.is_some();
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
        paths: plan.paths.clone(),
        mode: request.mode,
        ttl_ms: request.ttl_ms,
        deadline: at + request.wait_ms,
        convert: plan.convert,
        share: request.share,
        share_at: share::share_at(state, request, at),
        sharing: request.sharing,
        reason: request.reason.clone(),
    };
    Ok(vec![queued.into()])
}

/// The chain leads from whoever is in the way to the one who asks.
fn deadlock(request: &Request, chain: &[&Holder]) -> Rejection {
    let mut links: Vec<String> = vec![request.holder.to_string()];
    links.extend(chain.iter().map(ToString::to_string));
    let text = format!(
        "waiting would close a circle of waits, in which nobody goes on: {}",
        links.join(" waits for ")
    );
    Rejection::new(Code::LockDeadlock, text)
        .with("cycle", links.into_iter().map(Value::from).collect::<Vec<_>>())
        .retry_after(RETRY_AFTER_MS)
}

impl Obstacle {
    /// The refusal that names who is in the way.
    pub(super) fn conflict(&self, state: &State, request: &Request) -> Rejection {
        let (text, holders) = match self {
            Obstacle::Leases(leases) => {
                let first = state.lease(leases[0]);
                let more = if leases.len() > 1 { ", and it is not alone" } else { "" };
                let (path, mode) = (&first.path, first.mode);
                let text = format!("{path} is held by {} ({mode}){more}", first.holder);
                let named = leases.iter().take(HOLDERS_NAMED_MAX);
                let holders = named.map(|id| held(*id, state.lease(*id))).collect::<Vec<_>>();
                (text, holders)
            }
            Obstacle::Waiter(_, place) => {
                let waiter = state.waiter(*place);
                let (path, mode) = (&waiter.paths[0], waiter.mode);
                let text = format!("{} ({mode}) waits for {path} and comes first", waiter.holder);
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
