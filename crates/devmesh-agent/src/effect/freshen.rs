//! Bringing a slot up to what others have landed: a lease is on the current version.

use std::sync::Arc;

use super::World;
use super::desk::{Bench, Desk};
use super::worktree::{person, take_work};
use crate::error::Result;
use crate::git::Git;
use crate::input::{Input, Refreshed};
use crate::land;
use crate::view::Work;

/// Looks whether others have changed the same files since the work began, and if so puts it on
/// their version.
pub(super) async fn refresh(world: World, desk: Arc<Desk>, work: Work) {
    let mut bench = desk.bench.lock().await;
    let Some(bench) = bench.as_mut() else { return };
    let fresh = freshen(bench, &desk, &work).await.map_err(|error| error.chain());
    world.put(Input::Refreshed { key: desk.key, fresh }).await;
}

async fn freshen(bench: &mut Bench, desk: &Desk, work: &Work) -> Result<Option<Refreshed>> {
    let task = &bench.job.task;
    let repo = Git::at(&bench.job.repo_path);
    let author = person(&repo, task.by.as_str()).await;
    let now = land::standing_point(&repo, &task.base, &task.target, &author).await?;
    let Some(now) = now.filter(|now| *now != bench.base) else { return Ok(None) };
    let theirs = land::changed_paths(&repo, &bench.base, &now).await?;
    if !theirs.iter().any(|path| work.changed.contains(path)) {
        // The landing merges what does not meet.
        return Ok(None);
    }
    let conflicts = put_on(bench, work, &now).await?;
    let captured = match conflicts.is_empty() {
        true => take_work(bench, desk, &[]).await?,
        false => Default::default(),
    };
    Ok(Some(Refreshed { base: now, conflicts, captured }))
}

/// Puts the work on the commit in the slot; gives the paths in conflict.
async fn put_on(bench: &mut Bench, work: &Work, onto: &str) -> Result<Vec<String>> {
    let git = bench.slot.git();
    let conflicts = land::rebase(&git, &work.commit, onto, &bench.slot.copied).await?;
    bench.base = onto.to_owned();
    bench.conflicts.clone_from(&conflicts);
    Ok(conflicts)
}

pub(super) async fn rebase(world: World, desk: Arc<Desk>, work: Work, onto: String) {
    let mut bench = desk.bench.lock().await;
    let Some(bench) = bench.as_mut() else { return };
    let done = put_on(bench, &work, &onto).await;
    let conflicts = done.map_err(|error| error.chain());
    world.put(Input::Rebased { key: desk.key, conflicts }).await;
}
