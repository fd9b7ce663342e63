//! *Why*: the chain of records that led to a task, a lease or an agent as it stands.
//!
//! A record belongs to the story where it is about the subject itself; and so does, as its cause,
//! every record that one of those names as what led to it, and for a wait every grant and end of
//! the leases that stood in its way.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::ControlFlow;

use devmesh_bus::log::Log;
use devmesh_domain::Reader;
use devmesh_protocol::event::lock::LockQueued;
use devmesh_protocol::view::WhyView;
use devmesh_protocol::{ActorId, Event, LeaseId, Record, RepoPath, TaskId};
use serde_json::json;

use crate::Args;
use crate::error::{Error, Result};
use crate::read;
use crate::show::plain;

/// What a story is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    Task(TaskId),
    Lease(LeaseId),
    Agent(ActorId),
}

impl Subject {
    fn parse(text: &str) -> Option<Subject> {
        let task = text.parse().map(Subject::Task).ok();
        let lease = || text.parse().map(Subject::Lease).ok();
        task.or_else(lease).or_else(|| text.parse().map(Subject::Agent).ok())
    }
}

/// A lease as the log tells it: enough to see whom it stood in the way of.
struct Held {
    path: RepoPath,
    mode: devmesh_protocol::Mode,
    granted: u64,
}

/// Tells the story of `about`, oldest first.
pub async fn tell<L: Log>(log: &L, about: &str) -> Result<Vec<WhyView>> {
    let subject = Subject::parse(about).ok_or_else(|| Error::Unknown(about.to_owned()))?;
    let mut story = Story::new(subject);
    let mut reader = Reader::default();
    read::each(log, &mut reader, |step| {
        for record in step.records {
            story.hear(record);
        }
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    let links = story.links();
    if links.is_empty() { Err(Error::Unknown(about.to_owned())) } else { Ok(links) }
}

pub(crate) async fn run<L: Log>(
    args: &Args,
    log: &L,
    about: &str,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let links = tell(log, about).await?;
    if args.json {
        let seq = links.last().map(|link| link.seq);
        return writeln!(out, "{}", json!({ "about": about, "seq": seq, "why": links }))
            .map_err(Error::Print);
    }
    for link in links {
        let because = link.because.map(|seq| format!("  (because of {seq})")).unwrap_or_default();
        let what = plain(&link.what);
        writeln!(out, "{:>6}  {}  {:<14}  {what}{because}", link.seq, link.at, link.actor)
            .map_err(Error::Print)?;
    }
    Ok(())
}

struct Story {
    subject: Subject,
    /// Records that could turn out to be causes.
    heard: BTreeMap<u64, Record>,
    told: BTreeSet<u64>,
    leases: BTreeMap<LeaseId, Held>,
    /// The subject's leases, where the subject is a task or an agent.
    own: BTreeSet<LeaseId>,
}

impl Story {
    fn new(subject: Subject) -> Story {
        let (heard, told, leases, own) = Default::default();
        Story { subject, heard, told, leases, own }
    }

    fn hear(&mut self, record: Record) {
        for event in &record.events {
            self.watch(record.seq, event);
            if let Event::LockQueued(queued) = event
                && self.is_about(&record, event)
            {
                self.blame(queued);
            }
        }
        if record.events.iter().any(|event| self.is_about(&record, event)) {
            self.told.insert(record.seq);
        }
        self.heard.insert(record.seq, record);
    }

    /// Keeps what the log says about leases, for the waits to come.
    fn watch(&mut self, seq: u64, event: &Event) {
        if let Event::LockGranted(granted) = event {
            let id = LeaseId { seq, index: granted.index };
            let own = match &self.subject {
                Subject::Task(task) => granted.task == Some(*task),
                Subject::Agent(actor) => granted.actor == *actor,
                Subject::Lease(lease) => id == *lease,
            };
            if own {
                self.own.insert(id);
            }
            let held = Held { path: granted.path.clone(), mode: granted.mode, granted: seq };
            self.leases.insert(id, held);
        }
        if let Event::LeaseShared(shared) = event
            && let Some(held) = self.leases.get_mut(&shared.lease)
        {
            held.mode = shared.to;
        }
        if let Event::LockConverted(converted) = event
            && let Some(mut held) = self.leases.remove(&converted.lease)
        {
            held.mode = converted.to;
            let id = converted.index.map_or(converted.lease, |index| LeaseId { seq, index });
            if self.own.contains(&converted.lease) {
                self.own.insert(id);
            }
            self.leases.insert(id, held);
        }
        if let Some(lease) = ended_lease(event) {
            self.leases.remove(&lease);
        }
    }

    /// The leases that stand in the way of a wait are part of its story.
    fn blame(&mut self, queued: &LockQueued) {
        let in_the_way = |held: &&Held| {
            !held.mode.is_compatible(queued.mode)
                && queued.paths.iter().any(|path| path.overlaps(&held.path))
        };
        let granted: Vec<u64> =
            self.leases.values().filter(in_the_way).map(|held| held.granted).collect();
        self.told.extend(granted);
    }

    fn is_about(&self, record: &Record, event: &Event) -> bool {
        if ended_lease(event).is_some_and(|lease| self.own.contains(&lease)) {
            return true;
        }
        match &self.subject {
            Subject::Task(task) => is_of_task(event, *task),
            Subject::Lease(lease) => {
                self.own.contains(lease) && record.seq == lease.seq
                    || matches!(event, Event::LockConverted(e) if self.own.contains(&e.lease))
                    || matches!(event, Event::LeaseShared(e) if self.own.contains(&e.lease))
            }
            Subject::Agent(actor) => {
                event.key() == actor.as_str()
                    || record.actor == *actor && !matches!(event, Event::TaskProgressed(_))
                    || matches!(event, Event::TaskAwarded(e) if e.actor == *actor)
            }
        }
    }

    /// The records told, with all that led to them.
    fn links(mut self) -> Vec<WhyView> {
        let mut open: Vec<u64> = self.told.iter().copied().collect();
        while let Some(seq) = open.pop() {
            let cause = self.heard.get(&seq).and_then(|record| record.causation);
            if let Some(cause) = cause
                && self.told.insert(cause)
            {
                open.push(cause);
            }
        }
        let links = self.told.iter().filter_map(|seq| self.heard.get(seq));
        links
            .map(|record| {
                let what: Vec<String> = record.events.iter().map(ToString::to_string).collect();
                WhyView {
                    seq: record.seq,
                    at: record.at,
                    actor: record.actor.clone(),
                    what: what.join("; "),
                    because: record.causation,
                }
            })
            .collect()
    }
}

fn ended_lease(event: &Event) -> Option<LeaseId> {
    match event {
        Event::LockReleased(e) => Some(e.lease),
        Event::LockExpired(e) => Some(e.lease),
        Event::LockBroken(e) => Some(e.lease),
        _ => None,
    }
}

fn is_of_task(event: &Event, task: TaskId) -> bool {
    match event {
        Event::LockGranted(e) => e.task == Some(task),
        Event::LockQueued(e) => e.task == Some(task),
        Event::LeaseShared(e) => e.task == Some(task) || e.with_task == Some(task),
        Event::CommandRejected(e) => e.task == Some(task),
        event => event.key() == task.to_string(),
    }
}
