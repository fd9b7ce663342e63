//! Progress as it happens, and the two things that a person does meanwhile: approve, and kill.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use devmesh_protocol::TaskId;
use devmesh_protocol::view::TaskView;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::clock;
use super::mesh::{Mesh, Queued, say};
use super::tasks::{HALVES, Shows};
use crate::error::{Error, Result};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(200);
/// All must have landed after this, on a slow machine too.
const ENDED_MAX: Duration = Duration::from_secs(150);

/// What was seen and done meanwhile.
#[derive(Default)]
pub(crate) struct Seen {
    /// The tasks as they stand, by id.
    pub(crate) tasks: BTreeMap<TaskId, TaskView>,
    /// The agent that was killed, and its process.
    pub(crate) killed: Option<(String, u32)>,
    /// What was approved.
    pub(crate) approved: Vec<TaskId>,
}

/// Watches until every task has ended, or none will any more.
pub(crate) async fn until_ended(
    mesh: &Mesh<'_>,
    queued: &[Queued],
    began: Instant,
) -> Result<Seen> {
    let shows: BTreeMap<TaskId, Shows> =
        queued.iter().map(|one| (one.id, one.task.shows)).collect();
    let mut seen = Seen::default();
    let deadline = Instant::now() + ENDED_MAX;
    loop {
        for task in mesh.tasks().await? {
            let why = shows.get(&task.task).copied().unwrap_or(Shows::Work);
            take(mesh, &mut seen, task, why, began).await?;
        }
        if seen.tasks.len() >= queued.len() && seen.tasks.values().all(has_ended) {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            let open = seen.tasks.values().filter(|task| !has_ended(task)).map(line);
            return Err(Error::Demo {
                doing: format!("see every task end within {} s", ENDED_MAX.as_secs()),
                evidence: open.collect::<Vec<_>>().join("\n"),
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn take(
    mesh: &Mesh<'_>,
    seen: &mut Seen,
    task: TaskView,
    shows: Shows,
    began: Instant,
) -> Result<()> {
    let id = task.task;
    let news = line(&task);
    if seen.tasks.get(&id).map(line).as_deref() != Some(&news) {
        eprintln!("{}  {news}", clock(began.elapsed()));
    }
    if shows == Shows::Review && task.state == "review" && !seen.approved.contains(&id) {
        say(&format!("devmesh task approve {id}"));
        mesh.approve(id).await?;
        seen.approved.push(id);
    }
    let runs = task.state == "working";
    if shows == Shows::Kill && runs && seen.killed.is_none() && is_saved(mesh, id).await {
        eprintln!("{}  what {id} has so far is saved", clock(began.elapsed()));
        let (worker, pid) = kill_worker(mesh, &task)?;
        eprintln!("{}  {worker} is dead; nobody told the mesh", clock(began.elapsed()));
        mesh.folder.write("tmp/killed", &format!("{worker}\n"))?;
        seen.killed = Some((worker, pid));
    }
    seen.tasks.insert(id, task);
    Ok(())
}

/// Whether the first half of the work is in the last save of the first attempt.
async fn is_saved(mesh: &Mesh<'_>, task: TaskId) -> bool {
    let saved = format!("refs/devmesh/work/{task}/1:docs/history.md");
    let text = mesh.folder.git(&["show", &saved]).await;
    text.is_ok_and(|text| text.lines().any(|line| line == HALVES.0))
}

/// Ends the agent's process as a crash does, and takes its program away: started again it could
/// not work, so that another has to.
fn kill_worker(mesh: &Mesh<'_>, task: &TaskView) -> Result<(String, u32)> {
    let worker = task.attempt.as_ref().map(|attempt| attempt.actor.to_string()).unwrap_or_default();
    let pids = mesh.processes()?;
    let unknown = || Error::Demo {
        doing: format!("find the process of {worker}"),
        evidence: format!("run.json names {pids:?}"),
    };
    let pid = *pids.get(&worker).ok_or_else(unknown)?;
    let id = i32::try_from(pid).map_err(|_| unknown())?;
    let program = mesh.folder.tool(&worker);
    say(&format!(
        "rm {}; kill -9 {pid}    # {worker}, in the middle of {}",
        program.display(),
        task.task
    ));
    std::fs::remove_file(&program).map_err(|source| Error::Write { path: program, source })?;
    kill(Pid::from_raw(id), Signal::SIGKILL).map_err(|why| Error::Demo {
        doing: format!("kill {worker}"),
        evidence: format!("process {pid}: {why}"),
    })?;
    Ok((worker, pid))
}

fn has_ended(task: &TaskView) -> bool {
    matches!(task.state.as_str(), "completed" | "failed" | "cancelled")
}

/// A task as one line of progress.
fn line(task: &TaskView) -> String {
    let worker = task.attempt.as_ref().map(|attempt| attempt.actor.to_string());
    let state = match &task.blocked {
        Some(blocked) => format!("blocked: {blocked:?}"),
        None => task.state.clone(),
    };
    format!(
        "{:5} {state:10} {:5} {}",
        task.task.to_string(),
        worker.unwrap_or_default(),
        task.title
    )
}
