//! What came about, as the log itself tells it.

use std::collections::BTreeMap;

use devmesh_protocol::command::task::{LandOutcome, Verdict};
use devmesh_protocol::view::TaskView;
use devmesh_protocol::{Event, Record, TaskId};

use super::mesh::{Mesh, Queued};
use super::tasks::Shows;
use super::watch::Seen;
use crate::error::{Error, Result};

/// What the log tells of one task.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Who won it, in order.
    pub(crate) workers: Vec<String>,
    /// How its verifications ended, in order.
    pub(crate) verdicts: Vec<Verdict>,
    /// Where its work met another's, once for each time.
    pub(crate) conflicts: Vec<String>,
    /// Who reviewed it.
    pub(crate) reviewers: Vec<String>,
}

/// What came about.
pub(crate) struct Story {
    /// What was queued.
    pub(crate) queued: Vec<Queued>,
    /// What was seen and done meanwhile.
    pub(crate) seen: Seen,
    told: BTreeMap<TaskId, Told>,
    /// What the log tells of the agents' comings and goings, in order.
    pub(crate) agents: Vec<String>,
}

impl Story {
    /// Reads the whole log.
    pub(crate) async fn read(mesh: &Mesh<'_>, queued: Vec<Queued>, seen: Seen) -> Result<Self> {
        let lines = mesh.folder.devmesh(&["replay", "--records", "--json"]).await?.succeeded()?;
        let mut story = Self { queued, seen, told: BTreeMap::new(), agents: Vec::new() };
        for line in lines.lines() {
            let record: Record = serde_json::from_str(line).map_err(Error::Json)?;
            for event in record.events {
                story.take(event);
            }
        }
        Ok(story)
    }

    fn take(&mut self, event: Event) {
        let sentence = event.to_string();
        match event {
            Event::TaskAwarded(e) => self.to(e.task).workers.push(e.actor.to_string()),
            Event::TaskVerified(e) => self.to(e.task).verdicts.push(e.receipt.verdict),
            Event::TaskReviewed(e) => self.to(e.task).reviewers.push(e.by.to_string()),
            Event::LandEnded(e) if e.outcome == LandOutcome::Conflict => {
                self.to(e.task).conflicts.push(sentence);
            }
            Event::AgentResumed(_) | Event::SessionLost(_) => self.agents.push(sentence),
            _ => {}
        }
    }

    fn to(&mut self, task: TaskId) -> &mut Told {
        self.told.entry(task).or_default()
    }

    /// The tasks at the end, oldest first.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &TaskView> {
        self.seen.tasks.values()
    }

    /// The tasks that are there to show this.
    pub(crate) fn showing(&self, shows: Shows) -> impl Iterator<Item = TaskId> {
        self.queued.iter().filter(move |one| one.task.shows == shows).map(|one| one.id)
    }

    /// What the log tells of a task.
    pub(crate) fn of(&self, task: TaskId) -> &Told {
        const NOTHING: &Told = &Told {
            workers: Vec::new(),
            verdicts: Vec::new(),
            conflicts: Vec::new(),
            reviewers: Vec::new(),
        };
        self.told.get(&task).unwrap_or(NOTHING)
    }
}
