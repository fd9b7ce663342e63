//! Why something is as it is: the records that the state remembers, and what it waits for now.
//! The whole chain is the log's to tell.

use devmesh_protocol::command::task::ReviewBy;
use devmesh_protocol::event::task::Blocked;
use devmesh_protocol::view::WhyView;
use devmesh_protocol::{ActorId, At, LeaseId, Rejection, TaskId};
use serde_json::{Value, json};

use super::task::{one, word};
use super::value;
use crate::decide::{changed_by_hand, eligible};
use crate::state::State;
use crate::state::task::{Phase, Task};

/// Agents that are named with what keeps them from a task.
const AGENTS_NAMED_MAX: usize = 20;

pub(super) fn why(state: &State, about: &str) -> Result<Value, Rejection> {
    if let Ok(id) = about.parse::<TaskId>() {
        one(state, id)?;
        return Ok(state.tasks.get(&id).map_or(Value::Null, |task| of_task(state, id, task)));
    }
    if let Ok(id) = about.parse::<LeaseId>() {
        return of_lease(state, id);
    }
    of_agent(state, about)
}

fn link(seq: u64, at: At, actor: &ActorId, what: String, because: Option<u64>) -> WhyView {
    WhyView { seq, at, actor: actor.clone(), what, because }
}

fn of_task(state: &State, id: TaskId, task: &Task) -> Value {
    let by = &task.spec.by;
    let mut chain = vec![link(task.added_seq, task.added_at, by, format!("{id} was added"), None)];
    for past in &task.past {
        let what = format!("attempt {} ended: {}", past.number, word(&past.why));
        let because = Some(past.token);
        chain.push(link(past.ended_seq, past.ended_at, &past.actor, what, because));
    }
    if let Some(attempt) = &task.attempt {
        let what = format!("attempt {} was awarded to {}", attempt.number, attempt.actor);
        let because = Some(task.added_seq);
        chain.push(link(attempt.token, attempt.awarded_at, &attempt.actor, what, because));
    }
    if let (Some(seq), Some(at)) = (task.ended_seq, task.ended_at) {
        let landed = task.landed.as_ref();
        let actor = landed.map_or(by, |landed| &landed.actor);
        let because = landed.map(|landed| landed.seq).filter(|before| *before < seq);
        chain.push(link(seq, at, actor, format!("{id} is {}", task.phase.name()), because));
    }
    let chain: Vec<Value> = chain.into_iter().map(value).collect();
    json!({ "about": id, "chain": chain, "now": now(state, id, task) })
}

/// What a task waits for, in a sentence or a few.
pub(super) fn now(state: &State, id: TaskId, task: &Task) -> Vec<String> {
    let mut reasons = Vec::new();
    if task.paused {
        reasons.push("it is held until somebody resumes it".to_owned());
    }
    if let Some(blocked) = &task.blocked {
        reasons.push(match blocked {
            Blocked::Dependency(other) => {
                format!("{other}, which it depends on, was not completed")
            }
            Blocked::Question(question) => format!("{question} waits for an answer"),
            Blocked::Landing(what) => format!("it could not land: {what}"),
            Blocked::Budget => "the money set aside for it is spent".to_owned(),
            Blocked::BaseRed => "the base branch fails its own verification".to_owned(),
            Blocked::RateLimit(Some(at)) => format!("its provider limits the rate until {at}"),
            Blocked::RateLimit(None) => "its provider limits the rate".to_owned(),
            Blocked::Decision => "it waits for a person's decision".to_owned(),
            Blocked::GivenBack(why) => format!("agents give it back: {why}"),
            Blocked::Base(what) => format!("its base cannot be worked on: {what}"),
        });
    }
    let open = state.before(&task.spec).filter(|dependency| {
        state.tasks.get(dependency).is_some_and(|task| task.phase != Phase::Completed)
    });
    let named = |id: TaskId| match state.tasks.get(&id) {
        Some(task) if task.plans() => format!("{id}, which plans it"),
        Some(task) if task.blocked.is_some() => format!("{id}, which is blocked"),
        Some(_) | None => id.to_string(),
    };
    let open: Vec<String> = open.map(named).collect();
    if !open.is_empty() && !task.phase.has_ended() {
        reasons.push(format!("it waits for {}", open.join(", ")));
    }
    if task.phase == Phase::Review {
        reasons.push(reviewed(task));
    }
    if task.ready_at.is_some() {
        reasons.extend(standing(state, id, task));
    }
    reasons
}

fn reviewed(task: &Task) -> String {
    let met = task.parked.as_ref().and_then(|parked| parked.receipt.merged.first());
    let why = match met.filter(|_| task.spec.review == ReviewBy::None) {
        Some(met) => format!(", because {} has changed {} at the same time", met.with, met.path),
        None => String::new(),
    };
    match (&task.reviewer, task.waits_for()) {
        (Some(reviewer), _) => format!("{} reviews it", reviewer.actor),
        (None, ReviewBy::Agent) => format!("it waits for another agent to review it{why}"),
        (None, _) if task.is_proposed() => "its plan waits for a person's look".to_owned(),
        (None, ReviewBy::Person | ReviewBy::None) => "it waits for a person's review".to_owned(),
    }
}

fn standing(state: &State, id: TaskId, task: &Task) -> Vec<String> {
    if let Some(auction) = &task.auction {
        return vec![format!("bids are taken until {}", auction.closes_at)];
    }
    if state.agents.is_empty() {
        return vec!["no agent has joined".to_owned()];
    }
    let mut reasons: Vec<String> = eligible(state, id)
        .into_iter()
        .filter_map(|(actor, fit)| Some(format!("{actor}: {}", fit.err()?)))
        .take(AGENTS_NAMED_MAX)
        .collect();
    if let Some(by_hand) = changed_by_hand(state, task) {
        let (actor, path) = (by_hand.actor, by_hand.path);
        reasons.push(format!("{actor} changes {path} by hand: other work goes first"));
    }
    if let Some(at) = task.reopens_at {
        reasons.push(format!("the next auction opens at {at}"));
    }
    reasons
}

fn of_lease(state: &State, id: LeaseId) -> Result<Value, Rejection> {
    let Some(lease) = state.leases.get(&id) else {
        return Err(Rejection::bad_field("about", format!("{id} is no live lease")));
    };
    let what = format!("{} was granted ({})", lease.path, lease.mode);
    let because = lease.holder.task.and_then(|task| {
        Some(state.tasks.get(&task)?.attempt.as_ref()?.token).filter(|token| *token < id.seq)
    });
    let granted = link(id.seq, lease.granted_at, &lease.holder.actor, what, because);
    let now = lease.reason.iter().cloned().collect::<Vec<_>>();
    Ok(json!({ "about": id, "chain": [value(granted)], "now": now }))
}

fn of_agent(state: &State, about: &str) -> Result<Value, Rejection> {
    let name = about.parse::<ActorId>().map_err(|e| Rejection::bad_field("about", e))?;
    let Some(agent) = state.agents.get(&name) else {
        let text = format!("{name} is no task, lease or joined agent");
        return Err(Rejection::bad_field("about", text));
    };
    let what = format!("{name} joined with {} on {}", agent.tool, agent.host);
    let mut chain = vec![link(agent.joined_seq, agent.joined_at, &name, what, None)];
    let attempt = agent.task.and_then(|task| state.tasks.get(&task)?.attempt.as_ref());
    if let (Some(task), Some(attempt)) = (agent.task, attempt) {
        let what = format!("{task} was awarded to {name}");
        chain.push(link(attempt.token, attempt.awarded_at, &name, what, None));
    }
    let lacks = agent.suspended.iter().map(|lacks| {
        format!("it needs {} of {:?}, {} are there", lacks.needs, lacks.resource, lacks.free)
    });
    let chain: Vec<Value> = chain.into_iter().map(value).collect();
    Ok(json!({ "about": name, "chain": chain, "now": lacks.collect::<Vec<_>>() }))
}
