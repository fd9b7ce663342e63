//! What must be so: every record is checked as it is stored, every answer as it is given.
//!
//! The oracle reads the log as anybody does, and keeps little books of its own beside the fold:
//! who holds which attempt, which session is live, what each command was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use devmesh_bus::log::Entry;
use devmesh_domain::fold::fold;
use devmesh_domain::{Reader, State, invariant};
use devmesh_protocol::batch::{Accepted, Chain};
use devmesh_protocol::event::task::Ended;
use devmesh_protocol::report::BeatReply;
use devmesh_protocol::{
    ActorId, Command, CommandId, Event, Record, Reply, SessionId, TaskId, Verb,
};

use crate::world::World;

type Name = (ActorId, CommandId);

/// How old a proof of leading may be when a heartbeat is answered: a second, the two seconds for
/// which a machine may sleep unnoticed, and what clocks are off.
const PROOF_MS_MAX: u64 = 3_100;

/// Who knows what must be so.
#[derive(Debug)]
pub(crate) struct Oracle {
    chain: Chain,
    state: State,
    check_every: u64,
    /// The term of the log, and since when.
    term: (u64, u64),
    /// A coordinator may end for good.
    pub(crate) expects_halt: bool,
    /// Records by the command that they are about.
    by_command: BTreeMap<Name, u64>,
    /// Records that end something of a task, and which.
    endings: BTreeSet<(u64, TaskId)>,
    commands: BTreeMap<Name, Arc<Command>>,
    answers: BTreeMap<Name, (bool, u64, serde_json::Value)>,
    attempts: BTreeMap<TaskId, (u32, u64, ActorId)>,
    sessions: BTreeMap<ActorId, SessionId>,
    /// Awards by agent.
    pub(crate) awards: BTreeMap<ActorId, u64>,
    /// Leases that waited, in the order of asking, and how they were served: request, place.
    pub(crate) last_grant: u64,
}

impl Oracle {
    /// One who has read nothing.
    #[must_use]
    pub(crate) fn new(check_every: u64) -> Oracle {
        Oracle {
            chain: Chain::default(),
            state: State::default(),
            check_every,
            term: (0, 0),
            expects_halt: false,
            by_command: BTreeMap::new(),
            endings: BTreeSet::new(),
            commands: BTreeMap::new(),
            answers: BTreeMap::new(),
            attempts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            awards: BTreeMap::new(),
            last_grant: 0,
        }
    }

    /// How far it has read.
    #[must_use]
    pub(crate) fn read_to(&self) -> u64 {
        self.chain.stream_seq
    }

    /// The state there.
    #[must_use]
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Whether the mesh is paused.
    #[must_use]
    pub(crate) fn is_paused(&self) -> bool {
        self.state.mesh().paused
    }

    /// The token that counts must be the attempt's, or nothing has changed.
    fn check_token(&self, command: &Command, record: &Record) -> Result<(), String> {
        let (task, attempt, token) = match &command.verb {
            Verb::TaskStart(it) => (it.task, it.attempt, it.token),
            Verb::TaskProgress(it) => (it.task, it.attempt, it.token),
            Verb::TaskVerified(it) => (it.task, it.attempt, it.token),
            Verb::TaskComplete(it) => (it.task, it.attempt, it.token),
            Verb::TaskFail(it) => (it.task, it.attempt, it.token),
            Verb::TaskAbandon(it) => (it.task, it.attempt, it.token),
            Verb::LandBegin(it) => (it.task, it.attempt, it.token),
            Verb::LandEnd(it) => (it.task, it.attempt, it.token),
            _ => return Ok(()),
        };
        match self.attempts.get(&task) {
            Some((live, its, _)) if (*live, *its) == (attempt, token) => Ok(()),
            live => Err(format!(
                "record {}: {} with token {token} of {task}/{attempt} changed something, and \
                 {live:?} is live: {:?}",
                record.seq,
                command.verb.name(),
                record.events
            )),
        }
    }

    /// An agent acts in its live session.
    fn check_session(&self, command: &Command, record: &Record) -> Result<(), String> {
        let Some(session) = &command.session else { return Ok(()) };
        if matches!(command.verb, Verb::AgentJoin(_)) {
            return Ok(());
        }
        match self.sessions.get(&command.actor) {
            Some(live) if live == session => Ok(()),
            live => Err(format!(
                "record {}: {} acted in session {session}, and {live:?} is live",
                record.seq, command.actor
            )),
        }
    }

    /// What is known before the record is folded.
    fn check_before(&mut self, record: &Record) -> Result<(), String> {
        if record.seq != self.state.seq + 1 || record.at < self.state.at {
            return Err(format!("record {} at {} does not follow", record.seq, record.at.0));
        }
        for event in &record.events {
            let expected = match event {
                Event::EpochStarted(it) => Some(it.hash),
                Event::Checkpoint(it) => Some(it.hash),
                _ => None,
            };
            if expected.is_some_and(|expected| expected != self.state.hash()) {
                return Err(format!("record {}: its writer had another state", record.seq));
            }
        }
        let Some(id) = &record.command_id else { return Ok(()) };
        let name = (record.actor.clone(), id.clone());
        if let Some(before) = self.by_command.insert(name.clone(), record.seq) {
            let text =
                format!("{id} of {} is in records {before} and {}", record.actor, record.seq);
            return Err(text);
        }
        let Some(command) = self.commands.get(&name) else {
            return Err(format!("record {}: nobody has sent {id}", record.seq));
        };
        let is_refused = record
            .events
            .iter()
            .all(|event| matches!(event, Event::CommandRejected(_) | Event::RefusalsSuppressed(_)));
        if is_refused {
            return Ok(());
        }
        self.check_token(command, record)?;
        self.check_session(command, record)
    }

    /// The little books.
    fn book(&mut self, record: &Record) -> Result<(), String> {
        for event in &record.events {
            match event {
                Event::AgentJoined(it) => {
                    self.sessions.insert(it.actor.clone(), it.session.clone());
                }
                Event::AgentLeft(it) => drop(self.sessions.remove(&it.actor)),
                Event::SessionLost(it) => drop(self.sessions.remove(&it.actor)),
                Event::ActorEnded(it) => drop(self.sessions.remove(&it.actor)),
                Event::TaskAwarded(it) => {
                    *self.awards.entry(it.actor.clone()).or_default() += 1;
                    let award = (it.attempt, record.seq, it.actor.clone());
                    if let Some(other) = self.attempts.values().find(|(.., a)| *a == it.actor) {
                        return Err(format!("{} has {other:?} and gets {}", it.actor, it.task));
                    }
                    if let Some(live) = self.attempts.insert(it.task, award) {
                        return Err(format!("{} is awarded twice, {live:?} lives", it.task));
                    }
                }
                Event::AttemptEnded(it) => {
                    self.attempts.remove(&it.task);
                    let innocent = matches!(it.why, Ended::NotStarted | Ended::Superseded);
                    if it.spent && innocent {
                        return Err(format!("{} spends a try for {:?}", it.task, it.why));
                    }
                }
                Event::TaskCompleted(it) => drop(self.attempts.remove(&it.task)),
                Event::TaskCancelled(it) => drop(self.attempts.remove(&it.task)),
                Event::LockGranted(it) if it.index == 0 => {
                    if record.seq <= self.last_grant {
                        return Err(format!("token {} was there before", record.seq));
                    }
                    self.last_grant = record.seq;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, record: &Record) -> Result<(), String> {
        self.check_before(record)?;
        self.book(record)?;
        fold(&mut self.state, record);
        if record.seq.is_multiple_of(self.check_every) {
            invariant::check(&self.state)?;
        }
        Ok(())
    }
}

impl World {
    /// A message has been stored.
    pub(crate) fn check_entry(&mut self, entry: &Entry) {
        let accepted = self.oracle.chain.accept(entry.stream_seq, &entry.payload);
        let records = match accepted {
            Ok(Accepted::Records(records)) => records,
            Ok(Accepted::Void { .. }) => return self.stats.event("void messages"),
            Err(halt) => return self.broken(format!("the log cannot be read: {halt}")),
        };
        for record in &records {
            self.stats.records += 1;
            self.check_events(record);
            if let Err(why) = self.oracle.take(record) {
                self.broken(why);
            }
        }
    }

    fn check_events(&mut self, record: &Record) {
        for event in &record.events {
            self.stats.event(event.kind());
            let ended = match event {
                Event::AttemptEnded(it) => Some(it.task),
                Event::TaskCompleted(it) => Some(it.task),
                Event::TaskPlanned(it) => Some(it.task),
                Event::LandEnded(it) => Some(it.task),
                _ => None,
            };
            if let Some(task) = ended {
                self.oracle.endings.insert((record.seq, task));
            }
            match event {
                Event::LeasesLapsed(it) => self.check_taken(&it.actor, &it.session, it.silent_ms),
                Event::SessionLost(it) => self.check_taken(&it.actor, &it.session, it.silent_ms),
                Event::LockExpired(it) => self.check_expired(it.lease),
                Event::EpochStarted(it) => self.oracle.term = (it.epoch, self.now),
                _ => {}
            }
        }
    }

    /// A command is sent.
    pub(crate) fn note_command(&mut self, command: &Arc<Command>) {
        let name = (command.actor.clone(), command.id.clone());
        self.oracle.commands.insert(name, Arc::clone(command));
    }

    /// A heartbeat of that time is answered: by nobody who had long ceased to lead when it was
    /// sent. The answer itself may be late, for whoever gives it may stand still before: its
    /// receiver counts from the time of sending.
    pub(crate) fn check_beat(&mut self, bytes: &[u8], sent_at: u64) {
        let Ok(reply) = serde_json::from_slice::<BeatReply>(bytes) else { return };
        let (epoch, since) = self.oracle.term;
        if reply.epoch < epoch && sent_at > since + PROOF_MS_MAX {
            let ms = sent_at - since;
            self.broken(format!(
                "a heartbeat is answered in term {}, and {epoch} began {ms} ms before it",
                reply.epoch
            ));
        }
    }

    /// An answer is given: what it tells of is in the log, and it is the same as before.
    pub(crate) fn check_reply(&mut self, command: &Command, bytes: &[u8]) {
        self.stats.answers += 1;
        let Ok(reply) = Reply::from_slice(bytes) else {
            return self.broken("an answer cannot be read");
        };
        let Some(seq) = reply.seq() else { return };
        let (id, verb) = (&command.id, command.verb.name());
        if seq > self.oracle.chain.seq {
            let has = self.oracle.chain.seq;
            return self
                .broken(format!("{verb} {id} is answered by record {seq}, there are {has}"));
        }
        let name = (command.actor.clone(), id.clone());
        let ended = |task| self.oracle.endings.contains(&(seq, task));
        let tells_again = ends(&command.verb).is_some_and(ended);
        // On a log that was rolled back something else may stand in its place.
        let may_be_lost = self.oracle.expects_halt;
        if !self.oracle.by_command.contains_key(&name) && !tells_again && !may_be_lost {
            return self.broken(format!("{verb} {id} is answered by {seq}, and not in the log"));
        }
        let told = match &reply {
            Reply::Ok { result, .. } => (true, seq, gist(&command.verb, result)),
            Reply::Err { error, .. } => (false, seq, error.code.as_str().into()),
        };
        match self.oracle.answers.get(&name) {
            Some(before) if *before == told => self.stats.again += 1,
            Some(before) => {
                let text = format!("{verb} {id} was answered {before:?} and is answered {told:?}");
                self.broken(text);
            }
            None => drop(self.oracle.answers.insert(name, told)),
        }
    }

    /// Everybody who has read the whole log has the same state.
    pub(crate) fn check_agreement(&mut self) {
        let mut reader = Reader::default();
        for entry in self.log.entries() {
            if let Err(stop) = reader.take(entry.stream_seq, &entry.payload) {
                return self.broken(format!("a reader stops: {stop}"));
            }
        }
        let hash = reader.hash();
        if self.oracle.state.hash() != hash {
            self.broken("record by record and batch by batch lead to different states");
        }
        for node in 0..self.nodes.len() {
            let view = &self.nodes[node].view;
            if view.head().stream_seq != reader.chain().stream_seq {
                continue;
            }
            self.stats.event("coordinators compared");
            let mut state = view.state().clone();
            let same = view.head().h == reader.chain().h && state.hash() == hash;
            if !same {
                self.broken(format!("coordinator {node} has another state than the log"));
            }
        }
        if let Err(why) = invariant::check(&self.oracle.state) {
            self.broken(why);
        }
    }
}

/// The task that a command ends something of: a second one of that kind, under another id, is
/// answered with the record of the first.
fn ends(verb: &Verb) -> Option<TaskId> {
    match verb {
        Verb::TaskComplete(it) => Some(it.task),
        Verb::TaskFail(it) => Some(it.task),
        Verb::TaskAbandon(it) => Some(it.task),
        Verb::LandEnd(it) => Some(it.task),
        _ => None,
    }
}

/// What of a result stays the same for ever: what shows the state around it does not.
fn gist(verb: &Verb, result: &serde_json::Value) -> serde_json::Value {
    match verb {
        Verb::AgentJoin(_) | Verb::RepoAdd(_) => serde_json::Value::Null,
        _ => result.get("task").unwrap_or(result).clone(),
    }
}
