//! Landed changes of files that others share: whoever lands second has to bring them in.

use devmesh_protocol::command::task::FileEdit;
use devmesh_protocol::event::task::LandEnded;
use devmesh_protocol::{Mode, TaskId};

use super::list::change;
use crate::state::State;
use crate::state::task::{MET_MAX, Met};

/// Each task with an attempt that shares a file of what has landed learns what is there now.
///
/// What was changed is told by whoever landed it: what was verified, or what the merge made of it.
/// Where a change was too large to be named as a whole, the files that it names count. A hot file
/// is everybody's to write: nobody is asked to look at each line of a changelog, and its merge is
/// verified before it lands as any other is.
pub(super) fn landed(state: &mut State, seq: u64, e: &LandEnded) {
    let Some(attempt) = state.tasks.get(&e.task).and_then(|task| task.attempt.as_ref()) else {
        return;
    };
    let as_verified = attempt.receipt.as_ref().map(|receipt| &receipt.tree) == e.tree.as_ref();
    let verified = attempt.change.as_ref().filter(|_| as_verified);
    let Some(change) = e.change.as_ref().or(verified) else { return };
    let mut edits = change.edits.clone();
    edits.retain(|edit| !state.is_hot(&e.repo, &edit.path));
    for edit in edits {
        for other in sharers(state, e, &edit) {
            remember(
                state,
                other,
                Met { path: edit.path.clone(), now: edit.now.clone(), task: e.task, seq },
            );
        }
    }
}

/// The tasks for the same branch whose attempts hold a shared lease on the file.
fn sharers(state: &State, e: &LandEnded, edit: &FileEdit) -> Vec<TaskId> {
    let key = state.path_key(&e.repo, &edit.path);
    let leases = state.index.leases_by_path.over(&e.repo, &key);
    let shared = leases.filter_map(|id| state.leases.get(&id));
    let shared = shared.filter(|lease| lease.mode == Mode::CoWrite);
    let mut tasks: Vec<TaskId> = shared.filter_map(|lease| lease.holder.task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let target = (&e.repo, &e.target);
    let here = |task: &crate::state::task::Task| (&task.spec.repo, &task.spec.target) == target;
    tasks.retain(|id| *id != e.task && state.tasks.get(id).is_some_and(here));
    tasks
}

fn remember(state: &mut State, id: TaskId, met: Met) {
    change(state, id, |task| {
        if task.met.len() >= MET_MAX {
            task.met.remove(0);
        }
        task.met.push(met);
    });
}
