//! What is submitted: that it is a change, that nobody has made it before, and that it meets what
//! others have landed of the files that it shares with them.

use devmesh_protocol::command::task::{Change, FileEdit, Merged};
use devmesh_protocol::{Code, Rejection, TaskId};

use crate::state::State;
use crate::state::mesh::LandWaiter;
use crate::state::task::{Attempt, Met, Task};

/// Refuses what is no change, what was rejected as it is, and what another task has submitted for
/// the same branch, or landed there since this attempt was awarded.
///
/// What landed before is not compared: work that begins behind it has it, and where it was undone
/// since, it may be done again. An equal change that slips through lands nothing: at its turn
/// nothing of it is left.
pub(super) fn check_new(
    state: &State,
    task: &Task,
    attempt: &Attempt,
    change: &Change,
) -> Result<(), Rejection> {
    let id = task.spec.task;
    if change.is_empty() {
        return Err(Rejection::new(Code::NoEdit, format!("{id} changes nothing")));
    }
    if task.rejected == Some(change.digest) {
        let text = format!("exactly this change of {id} was rejected; nothing is different since");
        return Err(duplicate(text, id));
    }
    let (repo, target) = task.target();
    let same = state.index.tasks.changes.get(&(repo, target, change.digest));
    let since = |other: &&TaskId| {
        let landed = state.tasks.get(*other).and_then(|other| other.landed.as_ref());
        **other != id && landed.is_none_or(|landed| landed.seq > attempt.token)
    };
    let Some(other) = same.into_iter().flatten().find(since) else { return Ok(()) };
    let did = match state.tasks.get(other).is_some_and(|other| other.landed.is_some()) {
        true => "landed",
        false => "submitted",
    };
    Err(duplicate(format!("{other} has {did} exactly this change before {id}"), *other))
}

fn duplicate(text: String, earlier: TaskId) -> Rejection {
    Rejection::new(Code::DuplicateChange, text).with("earlier", earlier.to_string())
}

/// The newest landing of a file, of those that the task has shared with others.
fn newest<'t>(task: &'t Task, edit: &FileEdit) -> Option<&'t Met> {
    task.met.iter().rev().find(|met| met.path.key() == edit.path.key())
}

/// The files that hold another's change too: landed while the two were shared, and brought in.
pub(super) fn merged(task: &Task, change: &Change) -> Vec<Merged> {
    let merged = change.edits.iter().filter_map(|edit| {
        let met = newest(task, edit).filter(|met| met.now == edit.base)?;
        Some(Merged { path: edit.path.clone(), with: met.task })
    });
    merged.collect()
}

/// The first file whose landed version this work does not begin from: the second writer's base is
/// not what the first has made of it.
fn behind<'t>(task: &'t Task, attempt: &Attempt, seen: Option<u64>) -> Option<&'t Met> {
    let edits = attempt.change.iter().flat_map(|change| &change.edits);
    edits
        .filter_map(|edit| newest(task, edit).filter(|met| met.now != edit.base))
        .filter(|met| met.seq > seen.unwrap_or(0))
        .max_by_key(|met| met.seq)
}

/// Refuses to land what does not hold yet what another has landed of a shared file. Whoever has
/// brought in all up to that record says so by `seen`, so that this is said once for a landing.
pub(super) fn check_merged(
    task: &Task,
    attempt: &Attempt,
    seen: Option<u64>,
) -> Result<(), Rejection> {
    let Some(met) = behind(task, attempt, seen) else { return Ok(()) };
    let text = format!(
        "{} has landed its change of {} while {} shared it; bring it in and verify again",
        met.task, met.path, task.spec.task
    );
    let refused = Rejection::new(Code::MergeRequired, text);
    Err(refused.with("with", met.task.to_string()).with("seen", met.seq))
}

/// Whether a waiter's work has fallen behind what landed while it waited for its turn.
pub(super) fn has_fallen_behind(state: &State, waiter: &LandWaiter) -> bool {
    let Some(task) = state.tasks.get(&waiter.task) else { return false };
    let attempt = task.attempt.as_ref();
    attempt.is_some_and(|attempt| behind(task, attempt, waiter.seen).is_some())
}
