//! Another's work in a slot of its own, and the question that the tool is asked about it.

use std::sync::Arc;

use devmesh_protocol::limits::REVIEW_MS;

use super::desk::{Bench, Desk};
use super::worktree::{chain, settings_of, strings};
use super::{World, read, tool};
use crate::git::Git;
use crate::input::Input;
use crate::prompt;
use crate::save;
use crate::slot::{self, SlotSpec};

/// The verdict has to be told before the coordinator asks somebody else.
const TELL_S: u64 = 60;

pub(super) async fn prepare(world: World, desk: Arc<Desk>, tree: String) {
    let prompt = fill(&world, &desk, &tree).await;
    world.put(Input::ReviewPrepared { key: desk.key, prompt }).await;
}

async fn fill(world: &World, desk: &Desk, tree: &str) -> Result<String, String> {
    let job = read::job_of(world, desk.key, 0).await;
    let mut job = job.map_err(|unable| unable.why().to_owned())?;
    let repo = Git::at(&job.repo_path);
    let saved = save::last_of(&repo, &desk.key.task.to_string()).await;
    let saved = saved.map_err(|error| chain(&error))?.filter(|saved| saved.tree == tree);
    let saved = saved.ok_or("the work is not on this host")?;
    let settings = settings_of(&job).await;
    // Its limit is the review's, and never more than the task itself may take.
    job.task.max_wall_s = job.task.max_wall_s.min(REVIEW_MS / 1_000 - TELL_S);
    let mut bench = desk.bench.lock().await;
    let slot = slot::prepare(&SlotSpec {
        repo: job.repo_path.clone(),
        repo_name: job.repo.repo.to_string(),
        root: world.config.worktrees.clone(),
        base: saved.commit.clone(),
        copy: strings(&settings, "worktree", "copy"),
        setup: job.repo.setup.clone(),
        setup_inputs: strings(&settings, "worktree", "setup_inputs"),
        setup_limit: world.config.command_limit,
        env: world.config.env.clone(),
        occupant: None,
    })
    .await
    .map_err(|error| chain(&error))?;
    let args = ["diff", "--no-ext-diff", "--no-textconv", "--no-color", &saved.base, &saved.commit];
    let diff = slot.git().try_run(&args, &[]).await.map_err(|error| chain(&error))?.text();
    let bench = bench.insert(Bench { slot, base: saved.base, job, conflicts: Vec::new() });
    let task = &bench.job.task;
    let said = read::words_of(task);
    let name = desk.key.task.to_string();
    Ok(prompt::review(&name, &task.title, task.prompt.as_deref(), &said, &diff))
}

/// Whatever the reviewer's tool has left in its slot is nobody's work.
pub(super) async fn end(world: World, desk: Arc<Desk>) {
    tool::stop(desk.clone()).await;
    let taken = desk.bench.lock().await.take();
    if let Some(bench) = taken
        && let Err(error) = bench.slot.release().await
    {
        tracing::warn!(key = %desk.key, error = chain(&error), "slot not released");
    }
    world.put(Input::Dropped(desk.key)).await;
}
