//! Tasks as people and programs see them.

use devmesh_protocol::command::task::{ReviewBy, Usd};
use devmesh_protocol::event::plan::PlannedTask;
use devmesh_protocol::event::task::{Blocked, Ended};
use devmesh_protocol::query::Tasks;
use devmesh_protocol::view::{
    AttemptView, FailureView, ParkedView, PastAttemptView, PlanView, PlannedView, QuestionView,
    ReviewerView, SaidView, TaskView, UnfitView,
};
use devmesh_protocol::{ActorId, Code, Rejection, TaskId};
use serde_json::Value;

use super::list::{behind, page};
use super::value;
use crate::decide::lasting_unfit;
use crate::state::State;
use crate::state::agent::Agent;
use crate::state::plan::Plan;
use crate::state::task::{Attempt, Past, Phase, Task};

/// Agents that are named with what keeps them from a task.
const NOBODY_MAX: usize = 20;

/// Part of the tasks, in the order of adding.
pub(super) fn tasks(state: &State, query: &Tasks) -> Vec<Value> {
    if let Some(name) = &query.state
        && !state.index.task_counts.contains_key(name.as_str())
    {
        return Vec::new();
    }
    let wanted = |task: &Task| {
        query.state.as_ref().is_none_or(|name| task.state_name() == name)
            && query.repo.as_ref().is_none_or(|repo| task.spec.repo == *repo)
            && query.review.is_none_or(|by| waits_for(task, by))
    };
    let rows = state.tasks.range(behind(query.after)).map(|(_, task)| task);
    page(rows.filter(|task| wanted(task)).map(|task| value(task_row(state, task))), query.limit)
}

fn waits_for(task: &Task, by: ReviewBy) -> bool {
    task.phase == Phase::Review && task.waits_for() == by
}

/// One task, with what was said about it. Its texts are null until somebody fills them in.
pub(super) fn one(state: &State, id: TaskId) -> Result<TaskView, Rejection> {
    let task = state.tasks.get(&id).ok_or_else(|| {
        Rejection::new(Code::TaskNotFound, format!("there is no task {id}"))
            .with("task", id.to_string())
    })?;
    let said = task.said.iter().map(|said| SaidView {
        by: said.by.clone().unwrap_or_else(ActorId::coordinator),
        at: said.at,
        kind: said.kind.clone(),
        text: None,
    });
    let row = task_row(state, task);
    let nobody = row.nobody_why.as_ref().map(|_| lasting(state, task)).unwrap_or_default();
    Ok(TaskView {
        said: said.collect(),
        waits: super::why::now(state, id, task),
        nobody: nobody.into_iter().take(NOBODY_MAX).collect(),
        bids: task.bids.clone(),
        plan: task.plan.as_deref().map(plan_view),
        ..row
    })
}

/// The task as answers and lists show it, without texts.
pub fn task(state: &State, id: TaskId) -> Option<TaskView> {
    state.tasks.get(&id).map(|task| task_row(state, task))
}

fn task_row(state: &State, task: &Task) -> TaskView {
    let spec = &task.spec;
    let own_verify = !spec.verify.is_empty();
    let repo = state.repos.get(&spec.repo).filter(|_| !own_verify);
    let verify = repo.map_or(&spec.verify, |repo| &repo.added.verify).clone();
    let past = task.landed.as_ref().and_then(|landed| landed.commit.clone());
    TaskView {
        task: spec.task,
        title: spec.title.clone(),
        state: task.state_name().to_owned(),
        blocked: task.blocked.clone(),
        repo: spec.repo.clone(),
        base: spec.base.clone(),
        target: spec.target.clone(),
        paths: spec.paths.clone(),
        priority: spec.priority,
        depends_on: spec.depends_on.clone(),
        needs: spec.needs.clone(),
        tool: spec.tool.clone(),
        review: spec.review,
        key: spec.key.clone(),
        verify,
        flow: spec.flow,
        max_attempts: spec.max_attempts,
        max_cost_usd: Usd { micro: spec.max_cost_micro_usd },
        max_wall_s: spec.max_wall_s,
        tries: task.tries,
        by: spec.by.clone(),
        added_at: task.added_at,
        ended_at: task.ended_at,
        commit: past,
        question: task.question.as_ref().map(|question| QuestionView {
            question: question.id,
            options: question.options.clone(),
            default: question.default.clone(),
            deadline: question.deadline,
            text: None,
        }),
        attempt: task.attempt.as_ref().map(|attempt| attempt_view(state, task, attempt)),
        attempts: task.past.iter().map(past_view).collect(),
        reverts: spec.reverts,
        prompt: None,
        said: Vec::new(),
        saved: task.saved.clone(),
        tool_session: task.tool_session.clone(),
        needs_you: needs_you(state, task),
        waits: Vec::new(),
        nobody_why: nobody_why(state, task),
        nobody: Vec::new(),
        failure: task.past.back().and_then(failure),
        conflicts: task.conflicts.clone(),
        parked: parked_view(task),
        reviewer: task.reviewer.as_ref().map(|reviewer| ReviewerView {
            actor: reviewer.actor.clone(),
            session: reviewer.session.clone(),
            assigned_at: reviewer.assigned_at,
            deadline: reviewer.deadline,
        }),
        bids: Vec::new(),
        kind: spec.kind,
        parent: spec.parent,
        plan: task.plan.as_deref().map(plan_row),
    }
}

/// A plan without its texts and the tasks that it proposes.
fn plan_row(plan: &Plan) -> PlanView {
    PlanView {
        by: plan.actor.clone(),
        attempt: plan.attempt,
        text: None,
        proposed: Vec::new(),
        unknown: plan.unknown.clone(),
        framework: plan.framework,
        tasks: plan.tasks.clone(),
    }
}

fn plan_view(plan: &Plan) -> PlanView {
    let one = |task: &PlannedTask| PlannedView {
        key: task.key.clone(),
        title: task.title.clone(),
        prompt: None,
        paths: task.paths.clone(),
        depends_on: task.depends_on.clone(),
        needs: task.needs.clone(),
        priority: task.priority,
        review: task.review,
    };
    PlanView { proposed: plan.proposed.iter().map(one).collect(), ..plan_row(plan) }
}

/// Whether it stands still until a person does something.
fn needs_you(state: &State, task: &Task) -> bool {
    if task.phase.has_ended() || task.paused {
        return false;
    }
    let review = task.phase == Phase::Review
        && (task.waits_for() == ReviewBy::Person || nobody_why(state, task).is_some());
    match &task.blocked {
        Some(Blocked::RateLimit(_)) => false,
        Some(
            Blocked::Dependency(_)
            | Blocked::Question(_)
            | Blocked::Landing(_)
            | Blocked::Budget
            | Blocked::BaseRed
            | Blocked::Decision
            | Blocked::Base(_)
            | Blocked::GivenBack(_),
        ) => true,
        None => review,
    }
}

/// That nobody who is there could take a ready task, or look at one to be reviewed, even when
/// idle.
fn nobody_why(state: &State, task: &Task) -> Option<String> {
    let wanted = (task.ready_at.is_some() && task.auction.is_none()) || task.wants_reviewer();
    if !wanted {
        return None;
    }
    if state.agents.is_empty() {
        return Some("no agent has joined".to_owned());
    }
    let mut agents = state.agents.iter();
    if agents.any(|(name, agent)| lasting_unfit(state, task, name, agent).is_none()) {
        return None;
    }
    Some(match state.agents.len() {
        1 => "the one agent that is there cannot take it".to_owned(),
        n => format!("none of the {n} agents that are there can take it"),
    })
}

fn lasting(state: &State, task: &Task) -> Vec<UnfitView> {
    let why = |(name, agent): (&ActorId, &Agent)| {
        let why = lasting_unfit(state, task, name, agent)?;
        Some(UnfitView { agent: name.clone(), why })
    };
    state.agents.iter().filter_map(why).collect()
}

/// Why the newest attempt failed.
fn failure(past: &Past) -> Option<FailureView> {
    let Ended::Failed { class, .. } = &past.why else { return None };
    Some(FailureView {
        attempt: past.number,
        class: class.clone(),
        message: None,
        at: past.ended_at,
    })
}

fn parked_view(task: &Task) -> Option<ParkedView> {
    let parked = task.parked.as_ref().filter(|_| task.attempt.is_none())?;
    Some(ParkedView {
        attempt: parked.attempt,
        actor: parked.actor.clone(),
        host: parked.host.clone(),
        base_commit: parked.base_commit.clone(),
        commit: parked.commit.clone(),
        receipt: parked.receipt.clone(),
        approved: parked.is_approved(),
        at: parked.at,
    })
}

fn attempt_view(state: &State, task: &Task, attempt: &Attempt) -> AttemptView {
    let turn = state.lands.get(&task.target()).and_then(|queue| queue.turn.as_ref());
    let receipt = attempt.receipt.as_ref();
    AttemptView {
        attempt: attempt.number,
        token: attempt.token,
        actor: attempt.actor.clone(),
        session: attempt.session.clone(),
        host: attempt.host.clone(),
        awarded_at: attempt.awarded_at,
        started_at: attempt.started_at,
        base_commit: attempt.base_commit.clone(),
        receipt: receipt.cloned(),
        approved: receipt.is_some_and(|receipt| attempt.is_approved(&receipt.tree)),
        turn: turn.filter(|turn| turn.task == task.spec.task).map(|turn| turn.token),
        landed: attempt.landed.is_some(),
        usage: attempt.usage,
        message: None,
    }
}

fn past_view(past: &Past) -> PastAttemptView {
    let (class, reason) = match &past.why {
        Ended::Failed { class, .. } => (Some(class), None),
        Ended::Abandoned { reason } => (None, Some(reason)),
        Ended::NotStarted
        | Ended::SessionEnded
        | Ended::Cancelled
        | Ended::Superseded
        | Ended::Parked => (None, None),
    };
    PastAttemptView {
        attempt: past.number,
        actor: past.actor.clone(),
        why: word(&past.why).to_owned(),
        next: past.next,
        ended_at: past.ended_at,
        token: past.token,
        host: past.host.clone(),
        started_at: past.started_at,
        class: class.cloned(),
        message: None,
        reason: reason.cloned(),
        spent: past.spent,
        usage: past.usage,
    }
}

/// Why an attempt ended, in a word.
pub(super) fn word(why: &Ended) -> &'static str {
    match why {
        Ended::NotStarted => "not_started",
        Ended::Failed { .. } => "failed",
        Ended::Abandoned { .. } => "abandoned",
        Ended::SessionEnded => "session_ended",
        Ended::Cancelled => "cancelled",
        Ended::Superseded => "superseded",
        Ended::Parked => "parked",
    }
}

#[cfg(test)]
mod tests;
