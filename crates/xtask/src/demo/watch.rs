//! Progress as it happens, and the two things that a person does meanwhile: approve, and kill.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use devmesh_protocol::TaskId;
use devmesh_protocol::view::TaskView;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::clock;
use super::mesh::{Mesh, Queued};
use super::tasks::Shows;
use crate::error::{Error, Result};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(200);
/// All must have landed after this, on a slow machine too.
const DONE_MAX: Duration = Duration::from_secs(150);

/// What came about.
pub(crate) struct Story {
    /// The tasks at the end, by id.
    pub(crate) tasks: BTreeMap<TaskId, TaskView>,
    /// What each was queued for.
    pub(crate) shows: BTreeMap<TaskId, Shows>,
    /// Who worked on each, in order.
    pub(crate) workers: BTreeMap<TaskId, Vec<String>>,
    /// The agent that was killed, its process and its task.
    pub(crate) killed: Option<(String, u32, TaskId)>,
    /// What was approved.
    pub(crate) approved: Vec<TaskId>,
}

impl Story {
    /// The task that is there to show this.
    pub(crate) fn task_of(&self, shows: Shows) -> Option<&TaskView> {
        let id = self.shows.iter().find(|(_, other)| **other == shows)?.0;
        self.tasks.get(id)
    }
}

/// Watches until every task has ended, or none will any more.
pub(crate) async fn until_done(
    mesh: &Mesh<'_>,
    queued: &[Queued],
    began: Instant,
) -> Result<Story> {
    let mut story = Story {
        tasks: BTreeMap::new(),
        shows: queued.iter().map(|one| (one.id, one.task.shows)).collect(),
        workers: BTreeMap::new(),
        killed: None,
        approved: Vec::new(),
    };
    let deadline = Instant::now() + DONE_MAX;
    loop {
        for task in mesh.tasks().await? {
            take(mesh, &mut story, task, began).await?;
        }
        if story.tasks.len() >= queued.len() && story.tasks.values().all(has_ended) {
            return Ok(story);
        }
        if Instant::now() >= deadline {
            let open = story.tasks.values().filter(|task| !has_ended(task)).map(line);
            return Err(Error::Demo {
                doing: format!("see every task land within {} s", DONE_MAX.as_secs()),
                evidence: open.collect::<Vec<_>>().join("\n"),
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn take(mesh: &Mesh<'_>, story: &mut Story, task: TaskView, began: Instant) -> Result<()> {
    let id = task.task;
    let news = line(&task);
    if story.tasks.get(&id).map(line).as_deref() != Some(&news) {
        eprintln!("{}  {news}", clock(began.elapsed()));
    }
    if let Some(attempt) = &task.attempt {
        let workers = story.workers.entry(id).or_default();
        let worker = attempt.actor.to_string();
        if workers.last() != Some(&worker) {
            workers.push(worker);
        }
    }
    let shows = story.shows.get(&id).copied().unwrap_or(Shows::Work);
    if shows == Shows::Review && task.state == "review" && !story.approved.contains(&id) {
        super::mesh::say(&format!("devmesh task approve {id}"));
        mesh.approve(id).await?;
        story.approved.push(id);
    }
    // Its tool has spoken: it is in the middle of its work.
    let runs = task.state == "working" && task.tool_session.is_some();
    if shows == Shows::Kill && runs && story.killed.is_none() {
        story.killed = Some(kill_worker(mesh, &task, began)?);
    }
    story.tasks.insert(id, task);
    Ok(())
}

/// Ends the agent's process as a crash does.
fn kill_worker(mesh: &Mesh<'_>, task: &TaskView, began: Instant) -> Result<(String, u32, TaskId)> {
    let worker = task.attempt.as_ref().map(|attempt| attempt.actor.to_string()).unwrap_or_default();
    let pids = mesh.processes()?;
    let found = pids
        .iter()
        .find(|(name, _)| *name == &worker || name.strip_prefix("agent-") == Some(worker.as_str()));
    let unknown = || Error::Demo {
        doing: format!("find the process of {worker}"),
        evidence: format!("run.json names {pids:?}"),
    };
    let (_, pid) = found.ok_or_else(unknown)?;
    let id = i32::try_from(*pid).map_err(|_| unknown())?;
    super::mesh::say(&format!("kill -9 {pid}    # {worker}, in the middle of {}", task.task));
    kill(Pid::from_raw(id), Signal::SIGKILL).map_err(|why| Error::Demo {
        doing: format!("kill {worker}"),
        evidence: format!("process {pid}: {why}"),
    })?;
    eprintln!("{}  {worker} is dead; nobody told the mesh", clock(began.elapsed()));
    Ok((worker, *pid, task.task))
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
