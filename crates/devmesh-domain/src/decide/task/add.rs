//! `task.add` and `task.edit`.

use std::collections::BTreeSet;

use devmesh_protocol::command::task::{Add, Edit, Kind};
use devmesh_protocol::event::mesh::{RepoAdded, TextRef};
use devmesh_protocol::event::task::{TaskAdded, TaskEdited};
use devmesh_protocol::limits::{ATTEMPTS, COST_MICRO_USD, LINE_CHARS_MAX, TASKS_LIVE_MAX, WALL_S};
use devmesh_protocol::{ActorId, Code, Command, Event, Rejection, TaskId};

use super::super::{agent, lock};
use super::guard::{actor, find, permit};
use crate::state::State;
use crate::state::agent::Agent;
use crate::state::task::{Phase, Task};

pub(crate) fn add(state: &State, command: &Command, body: &Add) -> Result<Vec<Event>, Rejection> {
    let (agent, repo) = allowed(state, command, body)?;
    if let Some(key) = &body.key
        && state.index.task_keys.contains_key(&(repo.repo.clone(), key.clone()))
    {
        return Ok(Vec::new());
    }
    room(state, 1)?;
    Ok(vec![filled_in(state, command, body, agent, repo)?.into()])
}

/// The next task as somebody would add it, to make others after.
pub(crate) fn shaped(state: &State, command: &Command, body: &Add) -> Result<TaskAdded, Rejection> {
    let (agent, repo) = allowed(state, command, body)?;
    filled_in(state, command, body, agent, repo)
}

/// Who adds it, and where, if they may.
fn allowed<'s>(
    state: &'s State,
    command: &Command,
    body: &Add,
) -> Result<(Option<&'s Agent>, &'s RepoAdded), Rejection> {
    if !agent::is_person(state, &command.actor) {
        only_for_people("verify", !body.verify.is_empty())?;
        only_for_people("max_cost_usd", body.max_cost_usd.is_some())?;
        only_for_people("kind", body.kind != Kind::Work)?;
    }
    let agent = actor(state, command)?;
    let repo = lock::repo(state, body.repo.as_ref())?;
    Ok((agent, &state.repos.get(&repo).expect("it was just found").added))
}

/// The task with all defaults filled in.
fn filled_in(
    state: &State,
    command: &Command,
    body: &Add,
    agent: Option<&Agent>,
    repo: &RepoAdded,
) -> Result<TaskAdded, Rejection> {
    let depends_on = dependencies(state, &body.depends_on)?;
    if let Some(parent) = body.parent {
        find(state, parent)?;
    }
    let base = body.base.clone().unwrap_or_else(|| repo.base.clone());
    // Work on another base than the repository's has a landing branch of its own.
    let target = match base == repo.base {
        true => repo.target.clone(),
        false => format!("devmesh/landed/{base}"),
    };
    let priority = if body.kind == Kind::Plan { 1 } else { 2 };
    Ok(TaskAdded {
        task: next(state),
        title: body.title.clone(),
        prompt: body.prompt.as_deref().map(TextRef::to),
        repo: repo.repo.clone(),
        base,
        target,
        paths: body.paths.clone(),
        priority: body.priority.unwrap_or(priority),
        depends_on,
        needs: body.needs.clone(),
        tool: body.tool.clone(),
        review: body.review,
        key: body.key.clone(),
        verify: body.verify.clone(),
        flow: body.flow,
        max_attempts: body.max_attempts.unwrap_or(ATTEMPTS),
        max_cost_micro_usd: body.max_cost_usd.map_or(COST_MICRO_USD, |usd| usd.micro),
        max_wall_s: body.max_wall_s.unwrap_or(WALL_S),
        backup_tools: body.backup_tools.clone(),
        parent: body.parent,
        reverts: None,
        share: body.share,
        by: on_behalf(state, command, agent, body.parent),
        kind: body.kind,
        review_each: body.review_each,
    })
}

fn only_for_people(field: &str, given: bool) -> Result<(), Rejection> {
    if !given {
        return Ok(());
    }
    let text = format!("{field} comes from the repository or from a person, not from an agent");
    Err(Rejection::new(Code::NotPermitted, text).with_field(field))
}

/// The number of the next task.
fn next(state: &State) -> TaskId {
    TaskId(state.mesh().tasks_added + 1)
}

/// Refuses where the mesh would have more tasks than it takes.
pub(crate) fn room(state: &State, more: usize) -> Result<(), Rejection> {
    if state.index.live_tasks + more as u64 <= TASKS_LIVE_MAX as u64 {
        return Ok(());
    }
    let text = format!("the mesh has {TASKS_LIVE_MAX} tasks that are not ended; it takes no more");
    Err(Rejection::new(Code::LimitExceeded, text))
}

/// The person a task is for: the caller, or whom the calling agent works for.
fn on_behalf(
    state: &State,
    command: &Command,
    agent: Option<&Agent>,
    parent: Option<TaskId>,
) -> ActorId {
    let Some(agent) = agent else { return command.actor.clone() };
    let of = |id: TaskId| state.tasks.get(&id).map(|task| task.spec.by.clone());
    agent.task.and_then(of).or_else(|| parent.and_then(of)).unwrap_or_else(|| command.actor.clone())
}

/// Each dependency once; all of them must be there.
fn dependencies(state: &State, ids: &[TaskId]) -> Result<Vec<TaskId>, Rejection> {
    let missing: Vec<String> =
        ids.iter().filter(|id| !state.tasks.contains_key(id)).map(TaskId::to_string).collect();
    if !missing.is_empty() {
        let text = format!("there is no task {} to depend on", missing.join(", "));
        return Err(Rejection::new(Code::DependencyError, text)
            .with_field("depends_on")
            .with("missing", missing));
    }
    let is_lost = |id: &&TaskId| {
        let phase = state.tasks.get(id).map(|task| task.phase);
        matches!(phase, Some(Phase::Failed | Phase::Cancelled))
    };
    let failed: Vec<String> = ids.iter().filter(is_lost).map(TaskId::to_string).collect();
    if !failed.is_empty() {
        let fix = format!("devmesh task retry {}", failed.join(" "));
        let text = format!(
            "{} did not end well, so nothing would ever follow; `{fix}` begins it again",
            failed.join(", ")
        );
        let refused = Rejection::new(Code::DependencyError, text).with_field("depends_on");
        return Err(refused.with("failed", failed).with("fix", fix));
    }
    let mut seen = BTreeSet::new();
    Ok(ids.iter().copied().filter(|id| seen.insert(*id)).collect())
}

/// Refuses dependencies that lead back to the task itself.
fn no_cycle(state: &State, id: TaskId, depends_on: &[TaskId]) -> Result<(), Rejection> {
    let mut seen = BTreeSet::new();
    let mut open = depends_on.to_vec();
    while let Some(next) = open.pop() {
        if next == id {
            let text = format!("{id} would wait for itself");
            return Err(Rejection::new(Code::DependencyError, text).with_field("depends_on"));
        }
        if seen.insert(next) {
            let task = state.tasks.get(&next);
            open.extend(task.into_iter().flat_map(|task| state.before(&task.spec)));
        }
    }
    Ok(())
}

pub(crate) fn edit(state: &State, command: &Command, body: &Edit) -> Result<Vec<Event>, Rejection> {
    agent::require_person(state, command)?;
    let task = find(state, body.task)?;
    permit(task, "task.edit")?;
    let depends_on = match &body.depends_on {
        Some(ids) => {
            let ids = dependencies(state, ids)?;
            no_cycle(state, body.task, &ids)?;
            Some(ids)
        }
        None => None,
    };
    let spec = &task.spec;
    let edited = TaskEdited {
        task: body.task,
        title: body.title.clone().filter(|title| *title != spec.title),
        prompt: body.prompt.as_deref().map(TextRef::to).filter(|p| Some(*p) != spec.prompt),
        paths: body.paths.clone().filter(|paths| *paths != spec.paths),
        priority: body.priority.filter(|priority| *priority != spec.priority),
        depends_on: depends_on.filter(|ids| *ids != spec.depends_on),
    };
    let nothing = TaskEdited {
        task: body.task,
        title: None,
        prompt: None,
        paths: None,
        priority: None,
        depends_on: None,
    };
    Ok(if edited == nothing { Vec::new() } else { vec![edited.into()] })
}

/// A task that follows from another one: its inverse, or more of the same.
pub(super) fn following(
    state: &State,
    command: &Command,
    of: &Task,
    title: &str,
    prompt: Option<&str>,
) -> Result<TaskAdded, Rejection> {
    room(state, 1)?;
    let title = format!("{title}: {}", of.spec.title).chars().take(LINE_CHARS_MAX).collect();
    let person = agent::is_person(state, &command.actor);
    Ok(TaskAdded {
        task: next(state),
        title,
        prompt: prompt.map(TextRef::to),
        key: None,
        depends_on: Vec::new(),
        parent: Some(of.spec.task),
        reverts: None,
        by: if person { command.actor.clone() } else { of.spec.by.clone() },
        ..of.spec.clone()
    })
}
