//! A slot for an attempt, with what there is of its work, and the question that its tool is asked.

use std::sync::Arc;

use super::desk::{Bench, Desk};
use super::patience::Patience;
use super::worktree::work_in;
use super::{World, read};
use crate::builds::Builds;
use crate::error::Result;
use crate::git::Git;
use crate::input::{Input, Prepared, Unable};
use crate::land;
use crate::prompt::{self, Lore, Parts};
use crate::save::{self, Restored};
use crate::slot::{self, Slot, SlotSpec};
use crate::view::{Job, Key, Place};

/// What a slot is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The attempt's own work.
    Work,
    /// A look at another's work; nothing in the slot is kept.
    Review,
    /// A look around; nothing is built there, so nothing is set up.
    Plan,
}

/// For an attempt's work, or for a goal: the repository to look around in.
pub(super) async fn prepare(world: World, desk: Arc<Desk>, job: Job, lore: Lore, plans: bool) {
    let mut patience = Patience::new(desk.key);
    let place = loop {
        let filled = match plans {
            true => fill_plan(&world, &desk, &job, &lore).await,
            false => fill(&world, &desk, &job, &lore).await,
        };
        match filled {
            Err(error) if patience.outlasts(&error).await => {}
            place => break place,
        }
    };
    let place = place.map(Box::new).map_err(|error| Unable::placed(&error));
    world.put(Input::Prepared { key: desk.key, place }).await;
}

async fn fill(world: &World, desk: &Desk, job: &Job, lore: &Lore) -> Result<Prepared> {
    let mut bench = desk.bench.lock().await;
    // What a try before this one has taken.
    *bench = None;
    let base_commit = start_of(job, desk).await?;
    let slot = take_slot(world, desk, job, &base_commit, Purpose::Work).await?;
    let git = slot.git();
    let restored = save::restore(&git, &desk.key.task.to_string(), &base_commit).await?;
    let (base, continues, conflicts) = match restored {
        Restored::Nothing => (base_commit, false, Vec::new()),
        Restored::Onto { base, conflicts } => (base, true, conflicts),
    };
    let conflicts = land::unresolved(&git, &conflicts).await?;
    let bench = bench.insert(Bench { slot, base, job: job.clone(), conflicts: conflicts.clone() });
    let work = if continues { work_in(bench, desk).await? } else { None };
    let view = &job.task;
    let paths: Vec<String> = view.paths.iter().map(|path| path.key().to_owned()).collect();
    let parts = Parts {
        map: prompt::repo_map(&git, &paths).await?,
        paths,
        notes: read::notes(world, view).await,
        by_hand: read::by_hand(world, view).await,
        continues,
        ..Parts::of(view, lore)
    };
    let place = place(bench, prompt::first(&parts), continues);
    Ok(Prepared { place, work, said: parts.said.len(), conflicts })
}

async fn fill_plan(world: &World, desk: &Desk, job: &Job, lore: &Lore) -> Result<Prepared> {
    let mut bench = desk.bench.lock().await;
    *bench = None;
    let slot = take_slot(world, desk, job, &job.base_commit, Purpose::Plan).await?;
    let map = prompt::repo_map(&slot.git(), &[]).await?;
    let (base, conflicts) = (job.base_commit.clone(), Vec::new());
    let bench = bench.insert(Bench { slot, base, job: job.clone(), conflicts });
    let parts = Parts { map, ..Parts::of(&job.task, lore) };
    let prompt = prompt::plan(&parts, &read::capabilities(world).await);
    let place = place(bench, prompt, false);
    Ok(Prepared { place, work: None, said: parts.said.len(), conflicts: Vec::new() })
}

fn place(bench: &Bench, prompt: String, continues: bool) -> Place {
    let worktree = bench.slot.path.clone();
    Place { worktree, base: bench.base.clone(), prompt, continues }
}

/// Where the worktree begins. Work that was proven under an earlier process stands on its own
/// base still: on another it would be another tree, and the proof none.
async fn start_of(job: &Job, desk: &Desk) -> Result<String> {
    let running = job.task.attempt.as_ref().filter(|it| it.attempt == desk.key.attempt);
    if running.is_none_or(|it| it.receipt.is_none() && it.turn.is_none()) {
        return Ok(job.base_commit.clone());
    }
    let saved = save::last_of(&Git::at(&job.repo_path), &desk.key.task.to_string()).await?;
    Ok(saved.map_or_else(|| job.base_commit.clone(), |saved| saved.base))
}

/// Takes a slot at a commit of the job's repository.
pub(super) async fn take_slot(
    world: &World,
    desk: &Desk,
    job: &Job,
    base: &str,
    purpose: Purpose,
) -> Result<Slot> {
    let settings = settings_of(job).await;
    let setup = job.repo.setup.clone().filter(|_| purpose != Purpose::Plan);
    let occupant = match purpose {
        Purpose::Work => Some((desk.key.task.to_string(), desk.key.attempt)),
        Purpose::Review | Purpose::Plan => None,
    };
    slot::prepare(&SlotSpec {
        repo: job.repo_path.clone(),
        repo_name: job.repo.repo.to_string(),
        root: world.config.worktrees.clone(),
        base: base.to_owned(),
        copy: strings(&settings, "worktree", "copy"),
        setup,
        setup_inputs: strings(&settings, "worktree", "setup_inputs"),
        setup_limit: world.config.command_limit,
        builds: builds(world, desk.key),
        env: world.config.env.clone(),
        occupant,
    })
    .await
}

/// The attempt's way to the places for builds of this host.
pub(super) fn builds(world: &World, key: Key) -> Builds {
    let config = &world.config;
    let who = format!("{} ({})", config.actor, key.task);
    let inputs = world.inputs.clone();
    let on_wait = move |holders| {
        // A process that has no room for it has more to tell than this.
        let _ = inputs.try_send(Input::BuildWaits { key, holders });
    };
    Builds::new(config.builds.clone(), config.build_slots, who, on_wait)
}

/// `devmesh.toml` as it stands at the base commit; the attempt's own is never read.
async fn settings_of(job: &Job) -> toml::Table {
    let spec = format!("{}:devmesh.toml", job.base_commit);
    let shown = Git::at(&job.repo_path).try_run(&["show", &spec], &[]).await;
    match shown {
        Ok(output) if output.code == 0 => toml::from_str(&output.text()).unwrap_or_default(),
        Ok(_) | Err(_) => toml::Table::new(),
    }
}

fn strings(settings: &toml::Table, section: &str, key: &str) -> Vec<String> {
    let list = settings.get(section).and_then(|part| part.get(key)).and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_str).map(str::to_owned).collect()
}
