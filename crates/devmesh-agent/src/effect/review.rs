//! Another's work in a slot of its own, and the question that the tool is asked about it.

use std::sync::Arc;

use devmesh_protocol::limits::REVIEW_MS;

use super::desk::{Bench, Desk};
use super::patience::Patience;
use super::prepare::{Purpose, take_slot};
use super::{World, read, tool};
use crate::error::Result;
use crate::git::Git;
use crate::input::Input;
use crate::prompt;
use crate::save;
use crate::view::Job;

/// The verdict has to be told before the coordinator asks somebody else.
const TELL_S: u64 = 60;

pub(super) async fn prepare(world: World, desk: Arc<Desk>, tree: String) {
    let prompt = match read::job_of(&world, desk.key, 0).await {
        Ok(job) => prompt_on(&world, &desk, job, &tree).await,
        Err(unable) => Err(unable.why().to_owned()),
    };
    world.put(Input::ReviewPrepared { key: desk.key, prompt }).await;
}

async fn prompt_on(world: &World, desk: &Desk, mut job: Job, tree: &str) -> Result<String, String> {
    // Its limit is the review's, and never more than the task itself may take.
    job.task.max_wall_s = job.task.max_wall_s.min(REVIEW_MS / 1_000 - TELL_S);
    let mut patience = Patience::new(desk.key);
    loop {
        match fill(world, desk, &job, tree).await {
            Err(error) if patience.outlasts(&error).await => {}
            Err(error) => return Err(error.chain()),
            Ok(prompt) => return prompt.ok_or_else(|| "the work is not on this host".to_owned()),
        }
    }
}

async fn fill(world: &World, desk: &Desk, job: &Job, tree: &str) -> Result<Option<String>> {
    let name = desk.key.task.to_string();
    let saved = save::last_of(&Git::at(&job.repo_path), &name).await?;
    let Some(saved) = saved.filter(|saved| saved.tree == tree) else { return Ok(None) };
    let mut bench = desk.bench.lock().await;
    // What a try before this one has taken.
    *bench = None;
    let slot = take_slot(world, desk, job, &saved.commit, Purpose::Review).await?;
    let args = ["diff", "--no-ext-diff", "--no-textconv", "--no-color", &saved.base, &saved.commit];
    let diff = slot.git().try_run(&args, &[]).await?.text();
    let (base, job, conflicts) = (saved.base, job.clone(), Vec::new());
    let bench = bench.insert(Bench { slot, base, job, conflicts });
    let task = &bench.job.task;
    let merged = task.parked.as_ref().map_or(&[][..], |parked| &parked.receipt.merged);
    Ok(Some(prompt::review(task, merged, &diff)))
}

/// Whatever the reviewer's tool has left in its slot is nobody's work.
pub(super) async fn end(world: World, desk: Arc<Desk>) {
    tool::stop(desk.clone()).await;
    let taken = desk.bench.lock().await.take();
    if let Some(bench) = taken
        && let Err(error) = bench.slot.release().await
    {
        tracing::warn!(key = %desk.key, error = error.chain(), "slot not released");
    }
    world.put(Input::Dropped(desk.key)).await;
}
