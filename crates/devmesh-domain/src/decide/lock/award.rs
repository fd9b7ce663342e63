//! The leases that come with an award.

use devmesh_protocol::event::lock::LockGranted;
use devmesh_protocol::{ActorId, Event, Mode, RepoId, RepoPath, TaskId};

use crate::state::State;
use crate::state::lease::{Ask, Holder, Standing};

fn ask<'a>(holder: &'a Holder, repo: &'a RepoId, paths: &'a [RepoPath], mode: Mode) -> Ask<'a> {
    Ask { holder, repo, paths, mode, converts: false, sharing: None }
}

/// Whether it can be had now, by a task at its own place where it stands in the queue.
fn is_free(state: &State, ask: Ask<'_>) -> bool {
    let place = ask.holder.task.and_then(|task| state.place_in_queue(task));
    state.leases_against(ask).next().is_none() && state.standing(ask, place) == Standing::Free
}

/// The paths of a touch set that a task waits for: a hot one it never does.
pub(in crate::decide) fn waited_for(
    state: &State,
    repo: &RepoId,
    paths: &[RepoPath],
) -> Vec<RepoPath> {
    let paths = state.outermost(repo, paths);
    paths.into_iter().filter(|path| !state.is_hot(repo, path)).collect()
}

/// The grants of a touch set, all or none; none where one of its paths is not free, or somebody
/// who waits for it comes first. The holder works for a task that has just become its own.
pub(in crate::decide) fn grant_for_award(
    state: &State,
    holder: &Holder,
    repo: &RepoId,
    paths: &[RepoPath],
    mode: Mode,
    first_index: u32,
) -> Option<Vec<Event>> {
    let paths = state.outermost(repo, paths);
    let (hot, cold): (Vec<_>, Vec<_>) =
        paths.into_iter().partition(|path| state.is_hot(repo, path));
    if !is_free(state, ask(holder, repo, &cold, mode)) {
        return None;
    }
    let ttl_ms = state.lock_ttl_ms();
    // A hot file is written together with others from the beginning, and where somebody holds
    // it for themselves it is asked for when it is needed.
    let free = |path: &RepoPath| {
        is_free(state, ask(holder, repo, std::slice::from_ref(path), Mode::CoWrite))
    };
    let hot = hot.into_iter().filter(free).map(|path| (path, Mode::CoWrite));
    let paths = cold.into_iter().map(|path| (path, mode)).chain(hot);
    let grant = |(index, (path, mode))| {
        LockGranted {
            index,
            actor: holder.actor.clone(),
            session: holder.session.clone(),
            task: holder.task,
            repo: repo.clone(),
            path,
            mode,
            ttl_ms,
            expires_at: None,
            waited: None,
            share: None,
            reason: None,
        }
        .into()
    };
    Some((first_index..).zip(paths).map(grant).collect())
}

/// Whether a touch set could be granted now, to somebody who holds nothing yet and begins this
/// task; without one, to a task that is not in the queue.
pub(crate) fn touch_set_free(
    state: &State,
    task: Option<TaskId>,
    repo: &RepoId,
    paths: &[RepoPath],
    mode: Mode,
) -> bool {
    // The coordinator never holds a lease, so this is nobody's own.
    let nobody = Holder { actor: ActorId::coordinator(), session: None, task };
    let cold: Vec<RepoPath> =
        paths.iter().filter(|path| !state.is_hot(repo, path)).cloned().collect();
    is_free(state, ask(&nobody, repo, &cold, mode))
}
