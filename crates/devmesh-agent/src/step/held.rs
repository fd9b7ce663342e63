//! The leases that the coordinator says are held, against what is known here: one that nobody
//! wants would keep others out for as long as the session lives, and one that is gone must not be
//! believed in.

use std::collections::BTreeSet;

use devmesh_protocol::command::lock::Release;
use devmesh_protocol::limits::PATHS_MAX;
use devmesh_protocol::view::LeaseView;
use devmesh_protocol::{LeaseId, Mode, RepoPath, SessionId, TaskId, Verb};

use crate::effect::Effect;
use crate::input::LeasesSeen;
use crate::view::{Attempt, Phase, View};

/// A beat told what is held. What is as it was looked at, or still changing, is let be.
pub(super) fn told(view: &mut View, leases: Vec<LeaseId>) -> Option<Effect> {
    let told: BTreeSet<LeaseId> = leases.into_iter().collect();
    let stands_still = told == view.told;
    view.told = told;
    let news = stands_still && view.held.as_ref() != Some(&view.told) && !is_asking(view);
    news.then(|| Effect::LookAtLeases(view.session.clone()))
}

/// Whether an answer that is awaited may change what is held.
fn is_asking(view: &View) -> bool {
    view.attempt.as_ref().is_some_and(|attempt| match attempt.phase {
        Phase::Looking
        | Phase::Starting
        | Phase::Leasing { .. }
        | Phase::Queueing
        | Phase::Landing
        | Phase::Ending
        | Phase::Dropping => true,
        Phase::Preparing
        | Phase::ProvingBase
        | Phase::Running
        | Phase::Capturing
        | Phase::Refreshing
        | Phase::Announcing
        | Phase::Verifying
        | Phase::Telling
        | Phase::Proposing
        | Phase::Reviewing
        | Phase::Publishing
        | Phase::Yielding(_)
        | Phase::Rebasing { .. }
        | Phase::Blocked => false,
    })
}

/// It was looked at what they are for.
pub(super) fn seen(view: &mut View, session: &SessionId, seen: LeasesSeen) -> Vec<Effect> {
    let LeasesSeen { leases, awarded } = seen;
    let ids: BTreeSet<LeaseId> = leases.iter().map(|lease| lease.lease).collect();
    if *session != view.session || ids != view.told || is_asking(view) {
        // It has changed meanwhile; the next beats tell.
        return Vec::new();
    }
    let own = view.attempt.as_ref().map(|attempt| attempt.key.task);
    let is_wanted = |task: TaskId| Some(task) == own || awarded.contains(&task);
    let orphans = leases.iter().filter(|lease| !lease.task.is_some_and(is_wanted));
    let orphans: Vec<LeaseId> = orphans.map(|lease| lease.lease).take(PATHS_MAX).collect();
    view.held = Some(ids.into_iter().filter(|id| !orphans.contains(id)).collect());
    if let Some(attempt) = &mut view.attempt {
        forget_lost(attempt, &leases);
    }
    let mut effects = Vec::new();
    if !orphans.is_empty() {
        let release = Release { leases: orphans, ..Release::default() };
        let verb = Box::new(Verb::LockRelease(release));
        effects.push(Effect::Tell { session: session.clone(), verb });
    }
    // The award of one of its tasks went by unheard.
    if own.is_none() && !awarded.is_empty() {
        effects.push(Effect::Reconcile);
    }
    effects
}

/// What is not held any more is asked for again before it lands.
fn forget_lost(attempt: &mut Attempt, leases: &[LeaseView]) {
    let own = leases.iter().filter(|lease| lease.task == Some(attempt.key.task));
    let own = own.filter(|lease| matches!(lease.mode, Mode::Write | Mode::CoWrite));
    let own: Vec<&RepoPath> = own.map(|lease| &lease.path).collect();
    attempt.leased.retain(|path| {
        RepoPath::new(path).is_ok_and(|path| own.iter().any(|lease| lease.overlaps(&path)))
    });
}
