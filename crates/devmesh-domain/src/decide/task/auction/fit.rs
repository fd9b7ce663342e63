//! Who could take a task, or review one, and why others could not.

use devmesh_protocol::limits::strain::START_GAP_MS;
use devmesh_protocol::{ActorId, At, Code};

use super::super::super::agent;
use crate::state::State;
use crate::state::agent::Agent;
use crate::state::task::{Phase, Task};

/// Why an agent could not take a task, with the code that a bid of it would be refused with.
pub(super) fn unfit(
    state: &State,
    task: &Task,
    name: &ActorId,
    agent: &Agent,
    at: At,
) -> Option<(Code, String)> {
    if let Some(why) = unfit_now(agent) {
        return Some(why);
    }
    if let Some(text) = mismatch(task, agent) {
        return Some((Code::NotPermitted, text));
    }
    if let Some(planner) = planner(state, task).filter(|planner| *planner != name) {
        return Some((
            Code::NotPermitted,
            format!("goals are planned by {planner}, the architect"),
        ));
    }
    unprepared(state, name, agent).or_else(|| staggered(state, agent, at))
}

/// That the processors of the agent's host are busy, and another start there is too near.
fn staggered(state: &State, agent: &Agent, at: At) -> Option<(Code, String)> {
    let starts_at = state.starts_at(&agent.host).filter(|starts_at| *starts_at > at)?;
    let busy = state.measured(&agent.host)?.strains.iter().find(|it| it.what.staggers())?;
    let (host, apart, at) = (&agent.host, START_GAP_MS / 1_000, starts_at.to_rfc3339());
    let text =
        format!("{host} is busy ({busy}): starts there are {apart} s apart, the next at {at}");
    Some((Code::InsufficientResources, text))
}

/// Whose a goal is to plan (R01): the architect's, or of the next in line that can plan it at
/// all: one whose host lacks what it needs, and one that answers no auctions, would only be waited
/// for. None where it is not a goal, or nobody can.
fn planner<'s>(state: &'s State, task: &Task) -> Option<&'s ActorId> {
    if !task.plans() {
        return None;
    }
    let can = |name: &&ActorId| {
        state.agents.get(*name).is_some_and(|agent| {
            let is_away = agent.draining || agent.suspended.is_some() || agent.is_absent();
            !is_away && mismatch(task, agent).is_none()
        })
    };
    let architect = state.mesh().architect.as_ref().filter(can);
    architect.or_else(|| state.index.line.iter().map(|(_, name)| name).find(can))
}

/// Why an agent could not review what a task has parked.
pub(in crate::decide::task) fn unfit_to_review(
    state: &State,
    task: &Task,
    name: &ActorId,
    agent: &Agent,
) -> Option<(Code, String)> {
    unfit_for_good(task, name, agent)
        .or_else(|| unfit_now(agent))
        .or_else(|| unprepared(state, name, agent))
}

/// Why it is not an agent's to review what a task has parked, whatever it does now.
pub(in crate::decide::task) fn unfit_for_good(
    task: &Task,
    name: &ActorId,
    agent: &Agent,
) -> Option<(Code, String)> {
    if task.parked.as_ref().is_some_and(|parked| parked.actor == *name) {
        return Some((Code::SelfReview, "it is its own work".to_owned()));
    }
    if agent.draining {
        return Some((Code::NotPermitted, "it is draining".to_owned()));
    }
    Some((Code::NotPermitted, out_of_reach(task, agent)?))
}

/// What keeps an agent from a task, or from reviewing one, that does not pass when it is done
/// with what it has.
pub(crate) fn lasting_unfit(
    state: &State,
    task: &Task,
    name: &ActorId,
    agent: &Agent,
) -> Option<String> {
    let idle = Agent { task: None, review: None, ..agent.clone() };
    let unfit = match task.phase == Phase::Review {
        true => unfit_to_review(state, task, name, &idle),
        false => unfit(state, task, name, &idle, state.at),
    };
    let (code, why) = unfit?;
    // Room that others take now is free again some time; what a host lacks suspends its agents.
    (code != Code::InsufficientResources).then_some(why)
}

/// Why an agent takes nothing at the moment.
fn unfit_now(agent: &Agent) -> Option<(Code, String)> {
    if agent.silent {
        return Some((Code::AgentNotRegistered, "it has not been heard for a while".to_owned()));
    }
    if let Some(lacks) = &agent.suspended {
        return Some((Code::AgentSuspended, format!("it is suspended: {lacks}")));
    }
    if agent.draining {
        return Some((Code::NotPermitted, "it is draining".to_owned()));
    }
    if let Some(other) = agent.task {
        return Some((Code::NotPermitted, format!("it works on {other}")));
    }
    let reviews = agent.review?;
    Some((Code::NotPermitted, format!("it reviews {reviews}")))
}

/// What an agent would have to have read, and the room it would need.
fn unprepared(state: &State, name: &ActorId, agent: &Agent) -> Option<(Code, String)> {
    let version = state.mesh().framework.map(|(version, _)| version);
    if version.is_some_and(|version| agent.framework_read != Some(version)) {
        return Some((Code::FrameworkUnread, "it has not read the framework".to_owned()));
    }
    let lacks = agent::fits(state, &agent.host, &agent.needs).err()?;
    let what = format!("{:?}", lacks.resource).to_lowercase();
    let text = format!(
        "{} lacks {what}: {name} needs {}, {} are free{}",
        agent.host,
        lacks.needs,
        lacks.free,
        state.unmeasured(&agent.host)
    );
    Some((Code::InsufficientResources, text))
}

/// What of the task's own terms an agent does not meet.
fn mismatch(task: &Task, agent: &Agent) -> Option<String> {
    let spec = &task.spec;
    if let Some(tool) = spec.tool.as_ref().filter(|tool| **tool != agent.tool) {
        // A backup's turn comes when the tool that was asked for has spent a try.
        if task.tries == 0 || !spec.backup_tools.contains(&agent.tool) {
            return Some(format!("its tool is {}, and {tool} is asked for", agent.tool));
        }
    }
    let lacks = spec.needs.iter().find(|need| !agent.capabilities.contains(need));
    if let Some(need) = lacks {
        return Some(format!("it lacks the capability {need}"));
    }
    out_of_reach(task, agent)
}

/// Whether the repository, or the person, is none of the agent's.
fn out_of_reach(task: &Task, agent: &Agent) -> Option<String> {
    let spec = &task.spec;
    if !agent.repos.is_empty() && !agent.repos.contains(&spec.repo) {
        return Some(format!("it does not have repository {}", spec.repo));
    }
    if !agent.for_persons.is_empty() && !agent.for_persons.contains(&spec.by) {
        return Some(format!("it takes no tasks of {}", spec.by));
    }
    None
}
