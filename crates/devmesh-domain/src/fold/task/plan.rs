//! A goal is planned: proposed to a person, or worked to from now on.

use devmesh_protocol::event::plan::{PlanProposed, TaskPlanned};
use devmesh_protocol::{ActorId, Record};

use super::attempt::{free, sum};
use super::end;
use super::list::change;
use crate::state::State;
use crate::state::plan::Plan;
use crate::state::task::{Phase, Task};

/// Who made the plan that a record tells of: attempt, token and actor.
fn author(task: &Task, number: u32, record: &Record) -> (u32, u64, ActorId) {
    let (token, actor) = task.worker_of(number).unwrap_or((0, &record.actor));
    (number, token, actor.clone())
}

pub(crate) fn plan_proposed(state: &mut State, record: &Record, e: &PlanProposed) {
    change(state, e.task, |task| {
        let (attempt, token, actor) = author(task, e.attempt, record);
        task.plan = Some(Box::new(Plan {
            attempt,
            token,
            actor,
            text: Some(e.text),
            proposed: e.tasks.clone(),
            unknown: e.unknown.clone(),
            framework: None,
            tasks: Vec::new(),
        }));
    });
}

pub(crate) fn planned(state: &mut State, record: &Record, e: &TaskPlanned) {
    let Some(task) = state.tasks.get(&e.task) else { return };
    let (attempt, token, actor) = author(task, e.attempt, record);
    if let Some(live) = task.attempt.clone() {
        free(state, record, e.task, &live);
    }
    change(state, e.task, |task| {
        if let Some(live) = task.attempt.take() {
            task.usage = sum(task.usage, e.usage.unwrap_or(live.usage));
        }
        task.plan = Some(Box::new(Plan {
            attempt,
            token,
            actor,
            text: None,
            proposed: Vec::new(),
            unknown: e.unknown.clone(),
            framework: Some(e.framework),
            tasks: e.tasks.clone(),
        }));
        end(task, record, Phase::Completed);
    });
}
