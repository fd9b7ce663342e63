//! A goal in a slot of its own: the repository to look around in, and the question.

use std::sync::Arc;

use super::desk::{Bench, Desk};
use super::worktree::{chain, settings_of, strings};
use super::{World, read};
use crate::error::Result;
use crate::input::{Input, Prepared};
use crate::prompt::{self, Parts};
use crate::slot::{self, SlotSpec};
use crate::view::{Job, Place};

pub(super) async fn prepare(
    world: World,
    desk: Arc<Desk>,
    job: Job,
    rules: Vec<(String, String)>,
    framework: Option<String>,
) {
    let place = fill(&world, &desk, job, rules, framework).await;
    let place = place.map(Box::new).map_err(|error| chain(&error));
    world.put(Input::Prepared { key: desk.key, place }).await;
}

async fn fill(
    world: &World,
    desk: &Desk,
    job: Job,
    rules: Vec<(String, String)>,
    framework: Option<String>,
) -> Result<Prepared> {
    let settings = settings_of(&job).await;
    let mut bench = desk.bench.lock().await;
    // Nothing is built here, so nothing is set up; and nothing in it is anybody's work.
    let slot = slot::prepare(&SlotSpec {
        repo: job.repo_path.clone(),
        repo_name: job.repo.repo.to_string(),
        root: world.config.worktrees.clone(),
        base: job.base_commit.clone(),
        copy: strings(&settings, "worktree", "copy"),
        setup: None,
        setup_inputs: Vec::new(),
        setup_limit: world.config.command_limit,
        env: world.config.env.clone(),
        occupant: None,
    })
    .await?;
    let git = slot.git();
    let base = job.base_commit.clone();
    let bench = bench.insert(Bench { slot, base, job, conflicts: Vec::new() });
    let task = &bench.job.task;
    let said = read::words_of(task);
    let count = said.len();
    let parts = Parts {
        task: desk.key.task.to_string(),
        title: task.title.clone(),
        prompt: task.prompt.clone(),
        map: prompt::repo_map(&git, &[]).await?,
        rules,
        framework,
        said,
        verify: task.verify.clone(),
        ..Parts::default()
    };
    let prompt = prompt::plan(&parts, &read::capabilities(world).await);
    let worktree = bench.slot.path.clone();
    let place = Place { worktree, base: bench.base.clone(), prompt, continues: false };
    Ok(Prepared { place, work: None, said: count, conflicts: Vec::new() })
}
