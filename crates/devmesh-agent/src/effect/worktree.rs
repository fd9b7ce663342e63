//! What is done in an attempt's slot: save, capture, verify, land, give back.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devmesh_protocol::RepoPath;
use devmesh_protocol::command::task::Flow;

use super::desk::{Bench, Desk};
use super::patience::Patience;
use super::prepare::builds;
use super::{LandOrder, World};
use crate::error::Result;
use crate::git::{Change, Git, Trust, tree_of};
use crate::input::{Captured, Input};
use crate::land::{self, Gates, Known, Landing, Person, Seen, Turn};
use crate::save::{self, SaveSpec};
use crate::verify::{self, Step, Verdict, VerifySpec};
use crate::view::{Job, Key, Work};

/// Clocks of the host and of the log may differ by so much.
const CLOCK_SLACK_S: u64 = 5;

fn save_spec(bench: &Bench, desk: &Desk) -> SaveSpec {
    SaveSpec {
        worktree: bench.slot.path.clone(),
        task: desk.key.task.to_string(),
        attempt: desk.key.attempt,
        base: bench.base.clone(),
        copied: bench.slot.copied.clone(),
        conflicts: Some(bench.conflicts.clone()),
        trust: Some(bench.slot.trust.clone()),
    }
}

/// Saves the worktree and gives what has been made; none where nothing was changed.
pub(super) async fn work_in(bench: &Bench, desk: &Desk) -> Result<Option<Work>> {
    let git = bench.slot.git();
    let Some(commit) = last_save(bench, desk).await? else { return Ok(None) };
    let tree = tree_of(&git, &commit).await?;
    if tree == tree_of(&git, &bench.base).await? {
        return Ok(None);
    }
    let changed = land::changed_paths(&git, &bench.base, &commit).await?;
    let change = Some(land::change(&git, &bench.base, &commit).await?);
    Ok(Some(Work { commit, tree, base: bench.base.clone(), changed, change }))
}

pub(super) async fn save(world: World, desk: Arc<Desk>) {
    let bench = desk.bench.lock().await;
    let Some(bench) = bench.as_ref() else { return };
    match save::save(&save_spec(bench, &desk)).await {
        Ok(saved) => {
            let commit = saved.map(|saved| saved.commit);
            if let Some(commit) = &commit {
                send(&world, &bench.job, &desk, commit).await;
            }
            world.put(Input::Saved { key: desk.key, commit }).await;
        }
        Err(error) => tracing::warn!(key = %desk.key, error = error.chain(), "not saved"),
    }
}

pub(super) async fn capture(world: World, desk: Arc<Desk>, conflicts: Vec<String>) {
    let bench = desk.bench.lock().await;
    let Some(bench) = bench.as_ref() else { return };
    let mut patience = Patience::new(desk.key);
    let captured = loop {
        match take_work(bench, &desk, &conflicts).await {
            Err(error) if patience.outlasts(&error).await => {}
            captured => break captured.map_err(|error| error.chain()),
        }
    };
    world.put(Input::Captured { key: desk.key, captured }).await;
}

pub(super) async fn take_work(
    bench: &Bench,
    desk: &Desk,
    conflicts: &[String],
) -> Result<Captured> {
    let unresolved = land::unresolved(&bench.slot.git(), conflicts).await?;
    let work = work_in(bench, desk).await?;
    let changed = work.iter().flat_map(|work| &work.changed);
    // A lease names a path in one spelling; what is spelled otherwise would slip through the gate.
    let unnamable = changed
        .filter(|path| RepoPath::new(path).map(|it| it.key() != path.as_str()).unwrap_or(true));
    let unnamable = unnamable.map(|path| crate::text::shown(path.as_bytes())).collect();
    let nested = save::nested(&bench.slot.git(), &bench.base).await?;
    let nested = nested.iter().map(|path| crate::text::shown(path.as_bytes())).collect();
    let submodules = save::changed_within(&bench.slot.git()).await?;
    let submodules = submodules.iter().map(|path| crate::text::shown(path.as_bytes())).collect();
    let change = changed_config(bench).await?;
    Ok(Captured { work, unresolved, unnamable, nested, submodules, change })
}

/// What is not as it was in the repository's own configuration and hooks.
async fn changed_config(bench: &Bench) -> Result<Change> {
    let now = Trust::look(&Git::at(&bench.job.repo_path)).await?;
    Ok(bench.slot.trust.change(&now))
}

fn verify_spec(
    world: &World,
    (bench, key): (&Bench, Key),
    left: Option<Duration>,
    tree: &str,
    changed: &[String],
) -> VerifySpec {
    let job = &bench.job;
    let steps = job.task.verify.iter().enumerate().map(|(number, command)| Step {
        name: step_name(number, command),
        command: command.clone(),
        limit: world.config.command_limit,
    });
    let mut env: Vec<(OsString, OsString)> = world.config.env.clone();
    env.extend(bench.slot.env());
    VerifySpec {
        steps: steps.collect(),
        worktree: bench.slot.path.clone(),
        tree: tree.to_owned(),
        env,
        host: world.config.host.to_string(),
        changed: changed.to_vec(),
        paths: job.task.paths.iter().map(|path| path.key().to_owned()).collect(),
        left,
        builds: builds(world, key),
    }
}

/// What a command is for, as far as its words tell.
fn step_name(number: usize, command: &str) -> String {
    let known = [("lint", ["clippy", "lint", "fmt"]), ("test", ["test", "check", "spec"])];
    let lower = command.to_lowercase();
    let found = known.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word)));
    match found {
        Some((name, _)) => (*name).to_owned(),
        None if lower.contains("build") => "build".to_owned(),
        None => format!("step-{}", number + 1),
    }
}

pub(super) async fn prove_base(world: World, desk: Arc<Desk>) {
    let bench = desk.bench.lock().await;
    let Some(bench) = bench.as_ref() else { return };
    let red = match base_is_red(&world, bench, desk.key).await {
        Ok(red) => red,
        // What cannot be run here says nothing about the base.
        Err(error) => {
            tracing::warn!(error = error.chain(), "the base was not verified");
            None
        }
    };
    world.put(Input::BaseProven { key: desk.key, red }).await;
}

async fn base_is_red(world: &World, bench: &Bench, key: Key) -> Result<Option<String>> {
    if bench.job.task.verify.is_empty() {
        return Ok(None);
    }
    let git = bench.slot.git();
    let tree = tree_of(&git, &bench.base).await?;
    let name = crate::state::proof_name(&tree, &bench.job.task.verify);
    if crate::state::is_proven(&world.config.state, &name).await {
        return Ok(None);
    }
    let verdict = verify::verify(&verify_spec(world, (bench, key), None, &tree, &[])).await?;
    land::settle(&git, &tree, &bench.base, &bench.slot.copied).await?;
    match verdict {
        Verdict::Passed(_) => {
            crate::state::prove(&world.config.state, &name).await;
            Ok(None)
        }
        Verdict::Failed { tail, .. } => Ok(Some(tail)),
    }
}

pub(super) async fn verify(world: World, desk: Arc<Desk>, work: Work) {
    let bench = desk.bench.lock().await;
    let Some(bench) = bench.as_ref() else { return };
    let verdict = check(&world, bench, &desk, &work).await.map_err(|error| error.chain());
    world.put(Input::Verified { key: desk.key, verdict }).await;
}

async fn check(world: &World, bench: &Bench, desk: &Desk, work: &Work) -> Result<Verdict> {
    let left = Some(desk.left(&bench.job));
    let spec = verify_spec(world, (bench, desk.key), left, &work.tree, &work.changed);
    let started = Instant::now();
    let mut verdict = verify::verify(&spec).await?;
    desk.spend_since(started, spec.builds.waited());
    let git = bench.slot.git();
    land::settle(&git, &work.tree, &bench.base, &bench.slot.copied).await?;
    if let Verdict::Failed { tail, .. } = &mut verdict {
        *tail = world.config.mask.clean(tail);
    }
    Ok(verdict)
}

/// The person's own identity where the repository has one, for an agent works for its owner.
pub(super) async fn person(repo: &Git, actor: &str) -> Person {
    let mut found = BTreeMap::new();
    for key in ["user.name", "user.email"] {
        let value = repo.try_run(&["config", "--get", key], &[]).await;
        if let Some(text) = value.ok().map(|output| output.text()).filter(|text| !text.is_empty()) {
            found.insert(key, text);
        }
    }
    let name = found.remove("user.name").unwrap_or_else(|| actor.to_owned());
    let email = found.remove("user.email");
    Person { name, email: email.unwrap_or_else(|| format!("{actor}@devmesh.invalid")) }
}

pub(super) async fn land(world: World, desk: Arc<Desk>, order: LandOrder) {
    let bench = desk.bench.lock().await;
    let Some(bench) = bench.as_ref() else { return };
    let landing = take_turn(&world, bench, &desk, order).await;
    let repo = Git::at(&bench.job.repo_path);
    let mut trees = Vec::new();
    if let Ok((_, seen)) = &landing {
        for found in &seen.found {
            trees.push(tree_of(&repo, &found.commit).await.unwrap_or_default());
        }
    }
    let landing = landing.map_err(|error| error.chain());
    world.put(Input::Landed { key: desk.key, landing, trees }).await;
}

async fn take_turn(
    world: &World,
    bench: &Bench,
    desk: &Desk,
    order: LandOrder,
) -> Result<(Landing, Seen)> {
    let LandOrder { job, work, turn, head, leased, until_ms, message } = order;
    let since_s = (job.task.added_at.0 / 1_000).saturating_sub(CLOCK_SLACK_S);
    let known = Known { head, since_s, ..Known::default() };
    let turn = Turn { token: turn, known, ..turn_of(world, desk, &job, &work, &message).await };
    let left = Some(desk.left(&bench.job));
    let gates = Gates {
        verified_tree: work.tree.clone(),
        leased,
        verify: verify_spec(world, (bench, desk.key), left, &work.tree, &work.changed),
        copied: bench.slot.copied.clone(),
        until_ms,
        clock: world.clock,
    };
    // What a proof runs is the attempt's own code, which may have written there too.
    let change = changed_config(bench).await?;
    if !change.commands.is_empty() {
        let reason = format!(
            "the repository's git runs something else than before the attempt: {}",
            change.commands.join(", ")
        );
        return Ok((Landing::Blocked { reason, files: change.files }, Seen::default()));
    }
    let (landing, seen) = land::take(&turn, &gates).await?;
    if let Landing::Landed { tree, .. } = &landing {
        // The next base is this tree, and it has passed.
        let name = crate::state::proof_name(tree, &job.task.verify);
        crate::state::prove(&world.config.state, &name).await;
    }
    Ok((landing, seen))
}

/// What is landed, without a turn's token.
async fn turn_of(world: &World, desk: &Desk, job: &Job, work: &Work, message: &str) -> Turn {
    let repo = Git::at(&job.repo_path);
    Turn {
        author: person(&repo, job.task.by.as_str()).await,
        repo: job.repo_path.clone(),
        base: job.task.base.clone(),
        target: job.task.target.clone(),
        task: desk.key.task.to_string(),
        attempt: desk.key.attempt,
        token: 0,
        title: job.task.title.clone(),
        body: world.config.mask.clean(&crate::text::head(message, 4_000)),
        co_author: Some(world.config.profile.co_author.clone()),
        work: work.commit.clone(),
        work_base: work.base.clone(),
        known: Known::default(),
        origin: world.origin(&job.repo),
    }
}

/// A branch of its own, or a patch file, for work that a person takes from there.
pub(super) async fn publish(
    world: World,
    desk: Arc<Desk>,
    job: Job,
    work: Work,
    flow: Flow,
    message: String,
) {
    let turn = turn_of(&world, &desk, &job, &work, &message).await;
    let done = match flow {
        Flow::Patch => {
            let folder = world.config.state.join("patches");
            land::write_patch(&turn, &folder).await.map(|path| path.display().to_string())
        }
        Flow::Merge | Flow::Branch | Flow::Pr => branch(&turn, &work.tree).await,
    };
    let done = match done {
        Ok(place) => {
            tracing::info!(key = %desk.key, place, "published");
            Ok(())
        }
        Err(error) => Err(error.chain()),
    };
    world.put(Input::Published { key: desk.key, done }).await;
}

/// A branch of its own, where the repository is.
async fn branch(turn: &Turn, tree: &str) -> Result<String> {
    let (name, commit) = land::make_branch(turn, tree).await?;
    if let Some(origin) = &turn.origin {
        let git = Git::at(&turn.repo);
        let (branch, task) = (format!("refs/heads/{name}"), &turn.task);
        origin.send(&git, task, &branch, &commit).await?;
    }
    Ok(name)
}

/// Sends a save of the attempt to where the repository is, so that no work is on this host alone.
async fn send(world: &World, job: &Job, desk: &Desk, commit: &str) {
    let Some(origin) = world.origin(&job.repo) else { return };
    let task = desk.key.task.to_string();
    let (git, name) = (Git::at(&job.repo_path), save::work_ref(&task, desk.key.attempt));
    if let Err(error) = origin.send(&git, &task, &name, commit).await {
        tracing::warn!(key = %desk.key, error = error.chain(), "the save is on this host alone");
    }
}

/// Stops the tool, saves the work, gives the slot back.
pub(super) async fn drop_all(world: World, desk: Arc<Desk>) {
    super::tool::stop(desk.clone()).await;
    super::tool::forget(&world, desk.key);
    let taken = desk.bench.lock().await.take();
    if let Some(bench) = taken {
        let last = match last_save(&bench, &desk).await {
            Ok(last) => last,
            Err(error) => {
                // The slot keeps its note of whose work it holds: the next use saves it.
                tracing::warn!(key = %desk.key, error = error.chain(), "not saved");
                world.put(Input::Dropped(desk.key)).await;
                return;
            }
        };
        if let Some(commit) = last {
            send(&world, &bench.job, &desk, &commit).await;
        }
        if let Err(error) = bench.slot.release().await {
            tracing::warn!(key = %desk.key, error = error.chain(), "slot not released");
        }
    }
    world.put(Input::Dropped(desk.key)).await;
}

/// The newest save of the attempt, made now where there is anything new.
async fn last_save(bench: &Bench, desk: &Desk) -> Result<Option<String>> {
    let spec = save_spec(bench, desk);
    match save::save(&spec).await? {
        Some(saved) => Ok(Some(saved.commit)),
        None => {
            let name = save::work_ref(&spec.task, spec.attempt);
            crate::git::resolve(&bench.slot.git(), &name).await
        }
    }
}

/// The work has landed: its saves are forgotten, its slot given back.
pub(super) async fn finish(world: World, desk: Arc<Desk>) {
    super::tool::forget(&world, desk.key);
    let taken = desk.bench.lock().await.take();
    if let Some(bench) = taken {
        let git = Git::at(&bench.job.repo_path);
        if let Err(error) = save::forget(&git, &desk.key.task.to_string()).await {
            tracing::warn!(key = %desk.key, error = error.chain(), "saves not forgotten");
        }
        if let Some(origin) = world.origin(&bench.job.repo)
            && let Err(error) = origin.forget(&git, &desk.key.task.to_string()).await
        {
            tracing::warn!(key = %desk.key, error = error.chain(), "saves not forgotten there");
        }
        if let Err(error) = bench.slot.release().await {
            tracing::warn!(key = %desk.key, error = error.chain(), "slot not released");
        }
    }
    world.put(Input::Dropped(desk.key)).await;
}
