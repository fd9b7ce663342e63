//! The framework: what all work to, published with the tasks that it takes, and read before
//! anybody bids.

use std::collections::{BTreeMap, BTreeSet};

use devmesh_protocol::command::mesh as body;
use devmesh_protocol::command::task::{Add, Judgement, Kind, Review, ReviewBy, Reviewed};
use devmesh_protocol::event::TextRef;
use devmesh_protocol::event::mesh::{FrameworkPublished, FrameworkRead};
use devmesh_protocol::event::plan::{PlanProposed, PlannedTask, TaskPlanned};
use devmesh_protocol::event::task::{Ended, Next, TaskAdded, TaskReviewed};
use devmesh_protocol::plan::{Planned, order};
use devmesh_protocol::{ActorId, Code, Command, Event, Rejection, TaskId};

use super::{agent, task};
use crate::state::State;
use crate::state::plan::Plan;
use crate::state::task::{Attempt, Task};

type Decided = Result<Vec<Event>, Rejection>;

/// The architect's plan, or a person's; of a task that plans, its own worker's.
pub(super) fn publish(state: &State, command: &Command, body: &body::FrameworkPublish) -> Decided {
    if let (Some(id), Some(number), Some(token)) = (body.task, body.attempt, body.token) {
        return of_goal(state, command, body, (id, number, token));
    }
    let person = agent::is_person(state, &command.actor);
    if !person && state.mesh().architect.as_ref() != Some(&command.actor) {
        let text = "the framework is published by the architect or a person";
        return Err(Rejection::new(Code::NotPermitted, text)
            .with("architect", state.mesh().architect.as_ref().map(ActorId::to_string)));
    }
    if body.graph.is_empty() {
        let (_, event) = publication(state, TextRef::to(&body.text), &command.actor);
        return Ok(event.into_iter().collect());
    }
    if !person {
        let text = "an agent's tasks come with the plan of a goal that a person has set";
        return Err(Rejection::new(Code::NotPermitted, text).with_field("graph"));
    }
    let add = Add { repo: body.repo.clone(), ..Add::default() };
    let template = task::shaped(state, command, &add)?;
    let (text, graph) = (TextRef::to(&body.text), recorded(&body.graph));
    Ok(adopt(state, &template, &command.actor, text, &graph)?.events)
}

/// The plan of a goal: worked to at once, or shown to a person first.
fn of_goal(
    state: &State,
    command: &Command,
    body: &body::FrameworkPublish,
    (id, number, token): (TaskId, u32, u64),
) -> Decided {
    let known = task::find(state, id)?;
    if let Some(worker) = told_before(known, number, token) {
        return task::same_worker(known, command, worker);
    }
    let (goal, attempt) = task::own(state, command, id, number, token)?;
    task::permit(goal, "framework.publish")?;
    let (text, graph) = (TextRef::to(&body.text), recorded(&body.graph));
    let unknown = unknown(state, &graph);
    if goal.spec.review == ReviewBy::None {
        let adopted = adopt(state, &goal.spec, &command.actor, text, &graph)?;
        return Ok(adopted.end(id, number, unknown, body.usage));
    }
    // Refused now rather than when somebody approves it.
    adopt(state, &goal.spec, &command.actor, text, &graph)?;
    let proposed = PlanProposed { task: id, attempt: number, text, tasks: graph, unknown };
    Ok(vec![proposed.into(), waits(goal, attempt, body)])
}

/// The attempt ends, and its agent is free while somebody looks.
fn waits(goal: &Task, attempt: &Attempt, body: &body::FrameworkPublish) -> Event {
    let mut event = task::parked(goal, attempt, Next::Review);
    if let Event::AttemptEnded(ended) = &mut event {
        ended.usage = body.usage;
    }
    event
}

/// Who has published the plan of that very attempt already.
fn told_before(goal: &Task, number: u32, token: u64) -> Option<&ActorId> {
    let plan = goal.plan.as_ref().filter(|plan| (plan.attempt, plan.token) == (number, token));
    let so = |why: &Ended| *why == Ended::Parked;
    let past = task::ended_so(goal, (number, token), so).filter(|_| goal.plans());
    plan.map(|plan| &plan.actor).or(past)
}

/// A person's word on a plan.
pub(super) fn judge(state: &State, command: &Command, goal: &Task, body: &Review) -> Decided {
    task::permit(goal, "task.review")?;
    let id = goal.spec.task;
    let waiting = goal.plan.as_ref().and_then(|plan| Some((plan, plan.text?)));
    let Some((plan, text)) = waiting.filter(|_| body.verdict != Judgement::Abstain) else {
        return Err(task::wrong_state(goal, "task.review"));
    };
    let reviewed = TaskReviewed {
        task: id,
        attempt: plan.attempt,
        what: Reviewed::Plan,
        verdict: body.verdict,
        comments: body.comments.as_deref().map(TextRef::to),
        by: command.actor.clone(),
    };
    let mut events = vec![reviewed.into()];
    if body.verdict == Judgement::Approve {
        events.extend(approved(state, goal, plan, text)?);
    }
    Ok(events)
}

fn approved(state: &State, goal: &Task, plan: &Plan, text: TextRef) -> Decided {
    let adopted = adopt(state, &goal.spec, &plan.actor, text, &plan.proposed)?;
    Ok(adopted.end(goal.spec.task, plan.attempt, plan.unknown.clone(), None))
}

/// A framework with its tasks, as one record tells it.
struct Adopted {
    version: u64,
    tasks: Vec<TaskId>,
    events: Vec<Event>,
}

impl Adopted {
    /// The goal is planned with it.
    fn end(
        mut self,
        task: TaskId,
        attempt: u32,
        unknown: Vec<String>,
        usage: Option<devmesh_protocol::command::task::Usage>,
    ) -> Vec<Event> {
        let (framework, tasks) = (self.version, self.tasks);
        let planned = TaskPlanned { task, attempt, framework, tasks, unknown, usage };
        self.events.push(planned.into());
        self.events
    }
}

/// The framework and its tasks, with all that the template says of each.
fn adopt(
    state: &State,
    template: &TaskAdded,
    by: &ActorId,
    text: TextRef,
    graph: &[PlannedTask],
) -> Result<Adopted, Rejection> {
    task::room(state, graph.len())?;
    let order = order(graph, |task| (&task.key, &task.depends_on));
    let order = order.map_err(|bad| bad.rejection())?;
    let (version, published) = publication(state, text, by);
    let mut events: Vec<Event> = published.into_iter().collect();
    let mut ids: BTreeMap<&str, TaskId> = BTreeMap::new();
    let parent = (template.kind == Kind::Plan).then_some(template.task);
    for at in order {
        let (planned, id) = (&graph[at], TaskId(state.mesh().tasks_added + 1 + ids.len() as u64));
        let before = planned.depends_on.iter().filter_map(|key| ids.get(key.as_str()).copied());
        let before: BTreeSet<TaskId> = before.collect();
        events.push(added(template, planned, id, before, parent).into());
        ids.insert(&planned.key, id);
    }
    let mut tasks: Vec<TaskId> = ids.into_values().collect();
    tasks.sort_unstable();
    Ok(Adopted { version, tasks, events })
}

fn added(
    template: &TaskAdded,
    planned: &PlannedTask,
    task: TaskId,
    before: BTreeSet<TaskId>,
    parent: Option<TaskId>,
) -> TaskAdded {
    TaskAdded {
        task,
        title: planned.title.clone(),
        prompt: planned.prompt,
        paths: planned.paths.clone(),
        priority: planned.priority,
        depends_on: before.into_iter().collect(),
        needs: planned.needs.clone(),
        tool: None,
        review: planned.review.max(template.review_each),
        key: None,
        backup_tools: Vec::new(),
        parent,
        share: planned.share,
        kind: Kind::Work,
        review_each: ReviewBy::None,
        ..template.clone()
    }
}

/// The version that a text has, and its publication where it is not the framework already.
fn publication(state: &State, text: TextRef, by: &ActorId) -> (u64, Option<Event>) {
    let version = match state.mesh().framework {
        Some((version, published)) if published == text => return (version, None),
        Some((version, _)) => version + 1,
        None => 1,
    };
    (version, Some(FrameworkPublished { version, text, by: by.clone() }.into()))
}

/// A graph as it goes on record.
fn recorded(graph: &[Planned]) -> Vec<PlannedTask> {
    let one = |task: &Planned| PlannedTask {
        key: task.key.clone(),
        title: task.title.clone(),
        prompt: task.prompt.as_deref().map(TextRef::to),
        paths: task.paths.clone(),
        depends_on: task.depends_on.clone(),
        needs: task.needs.clone(),
        priority: task.priority.unwrap_or(2),
        review: task.review,
        share: task.share,
    };
    graph.iter().map(one).collect()
}

/// Capabilities that a plan needs and no agent that is there has. One may join that does, so it
/// is told and not refused.
fn unknown(state: &State, graph: &[PlannedTask]) -> Vec<String> {
    let mut needs: BTreeSet<&String> = graph.iter().flat_map(|task| &task.needs).collect();
    for agent in state.agents.values() {
        if needs.is_empty() {
            break;
        }
        for has in &agent.capabilities {
            needs.remove(has);
        }
    }
    needs.into_iter().cloned().collect()
}

pub(super) fn read(state: &State, command: &Command, body: &body::FrameworkRead) -> Decided {
    if agent::is_person(state, &command.actor) {
        let text = "agents say that they have read the framework; a person need not";
        return Err(Rejection::new(Code::NotPermitted, text));
    }
    let agent = agent::live_session(state, command)?;
    let Some((version, _)) = state.mesh().framework else {
        return Err(Rejection::bad_field("version", "no framework is published yet"));
    };
    if body.version != version {
        let text = format!("version {version} of the framework is the one to read");
        return Err(Rejection::new(Code::FrameworkUnread, text).with("version", version));
    }
    if agent.framework_read == Some(version) {
        return Ok(Vec::new());
    }
    Ok(vec![FrameworkRead { actor: command.actor.clone(), version }.into()])
}
