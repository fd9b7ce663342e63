//! Requests: sent with the same id again and again until they are answered, as the client of the
//! bus does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use devmesh_bus::intake::ReplyTo;
use devmesh_coordinator::input::{Caller, Input};
use devmesh_protocol::command::Encoding;
use devmesh_protocol::query::Query;
use devmesh_protocol::report::{Beat, BeatReply, HostReport};
use devmesh_protocol::{ActorId, Code, Command, CommandId, Reply, SessionId, Verb};

use crate::locker::LockerTag;
use crate::person::PersonTag;
use crate::rng::Rng;
use crate::worker::WorkerTag;
use crate::world::{Happening, World};

/// Between two sendings of a request that waits.
const WAITING_MS: u64 = 5_000;
/// A heartbeat is answered within this, or not at all.
pub(crate) const BEAT_ANSWER_MS: u64 = 2_000;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// A command.
    Command(Arc<Command>),
    /// A question.
    Query(Box<Query>),
    /// A heartbeat.
    Beat(ActorId, Beat),
    /// What a host measures.
    Report(Box<HostReport>),
}

/// What is done with the answer.
#[derive(Debug)]
pub(crate) enum Tag {
    /// An agent goes on.
    Worker(usize, WorkerTag),
    /// Somebody with leases goes on.
    Locker(usize, LockerTag),
    /// The person goes on.
    Person(PersonTag),
    /// Nothing.
    Nobody,
}

/// What came of a request; `None`: nothing in time.
pub(crate) type Came = Option<Reply>;

#[derive(Debug)]
struct Call {
    process: usize,
    body: Body,
    tag: Tag,
    sent_at: u64,
    until: u64,
    again_ms: u64,
    again_at: u64,
    pause_ms: u64,
}

/// All requests that are not answered.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    made: u64,
    open: BTreeMap<u64, Call>,
    /// Every command that was ever sent, by its request.
    sent: BTreeMap<u64, (usize, Arc<Command>)>,
}

impl Calls {
    /// A process has died, and what it asked with it.
    pub(crate) fn forget(&mut self, process: usize) {
        self.open.retain(|_, call| call.process != process);
    }

    /// Requests of an attempt that was let go.
    pub(crate) fn cancel(&mut self, is_over: impl Fn(&Tag) -> bool) {
        self.open.retain(|_, call| !is_over(&call.tag));
    }

    /// How many are open that are not heartbeats.
    #[must_use]
    pub(crate) fn open(&self) -> usize {
        self.open.values().filter(|call| matches!(call.body, Body::Command(_))).count()
    }

    /// The open commands, in words.
    #[must_use]
    pub(crate) fn list(&self) -> Vec<String> {
        let name = |call: &Call| match &call.body {
            Body::Command(command) => Some(format!("{} {}", command.actor, command.verb.name())),
            Body::Query(_) | Body::Beat(..) | Body::Report(_) => None,
        };
        self.open.values().filter_map(name).collect()
    }
}

/// A UUIDv7 of that wall time.
pub(crate) fn uuid(rng: &mut Rng, wall_ms: u64) -> String {
    let (a, b) = (rng.below(0x1000), rng.bits());
    let (high, low) = (wall_ms >> 16, wall_ms & 0xffff);
    let (c, d) = (0x8000 | (b >> 48 & 0x3fff), b & 0xffff_ffff_ffff);
    format!("{high:08x}-{low:04x}-7{a:03x}-{c:04x}-{d:012x}")
}

impl World {
    /// A command with an id of its own.
    pub(crate) fn command(
        &mut self,
        process: usize,
        actor: &ActorId,
        session: Option<&SessionId>,
        verb: Verb,
    ) -> Arc<Command> {
        let wall = self.processes[process].wall(self.now);
        let id = uuid(&mut self.rng, wall);
        let id = CommandId::new(&id).expect("a UUID is a command id");
        Arc::new(Command { id, actor: actor.clone(), session: session.cloned(), verb })
    }

    /// Sends a request until it is answered, for so long.
    pub(crate) fn ask(&mut self, process: usize, body: Body, within_ms: u64, tag: Tag) {
        self.calls.made += 1;
        let no = self.calls.made;
        let waits = match &body {
            Body::Command(command) => match &command.verb {
                Verb::LockAcquire(it) => it.wait_ms.is_some_and(|ms| ms > 0),
                Verb::LockConvert(it) => it.wait_ms.is_some_and(|ms| ms > 0),
                Verb::LandBegin(it) => it.wait_ms.is_some_and(|ms| ms > 0),
                _ => false,
            },
            Body::Query(_) | Body::Beat(..) | Body::Report(_) => false,
        };
        if let Body::Command(command) = &body {
            self.calls.sent.insert(no, (process, Arc::clone(command)));
            self.note_command(command);
            if !self.healing && self.rng.chance(self.plan.ghosts) {
                let ms = self.rng.pick(&[1_000, 20_000, 60_000, 300_000]);
                let ms = self.rng.within(1, ms);
                self.after(ms, Happening::Ghost { call: no });
            }
        }
        let call = Call {
            process,
            body,
            tag,
            sent_at: self.now,
            until: self.now.saturating_add(within_ms),
            again_ms: if waits { WAITING_MS } else { 1_000 },
            again_at: self.now,
            pause_ms: 20,
        };
        self.calls.open.insert(no, call);
        self.look_at_call(no);
    }

    /// A request is given up, sent again, or waited for.
    pub(crate) fn look_at_call(&mut self, no: u64) {
        let Some(call) = self.calls.open.get(&no) else { return };
        let process = call.process;
        if self.now >= call.until {
            let call = self.calls.open.remove(&no).expect("it was there a line above");
            return self.came(call.tag, None, None);
        }
        if self.now >= call.again_at {
            self.send_call(no);
        }
        let Some(call) = self.calls.open.get(&no) else { return };
        let at = call.again_at.min(call.until).max(self.now + 1);
        self.at(at, Happening::Look { process, call: no });
    }

    fn send_call(&mut self, no: u64) {
        let Some(call) = self.calls.open.get_mut(&no) else { return };
        call.again_at = self.now + call.again_ms;
        call.again_ms = (call.again_ms * 2).min(WAITING_MS);
        if matches!(call.body, Body::Beat(..) | Body::Report(_)) {
            call.again_at = u64::MAX;
        }
        let (process, body) = (call.process, call.body.clone());
        let is_soft = matches!(body, Body::Beat(..) | Body::Report(_));
        let sent = self.send_body(process, no, &body);
        if !sent && !is_soft && self.processes[process].is_connected(self.now) {
            // "No responders" comes at once.
            let jitter = self.rng.below(500);
            if let Some(call) = self.calls.open.get_mut(&no) {
                call.again_at = self.now + 20 + jitter.min(call.pause_ms);
                call.pause_ms = (call.pause_ms * 2).min(500);
            }
        }
    }

    /// Sends it to every coordinator that hears such; whether there is one.
    fn send_body(&mut self, process: usize, no: u64, body: &Body) -> bool {
        let is_soft = matches!(body, Body::Beat(..) | Body::Report(_));
        let mut has_heard = false;
        for node in 0..self.nodes.len() {
            let is_there = self.processes[node].alive && self.nodes[node].halted.is_none();
            if !is_there || !(is_soft || self.nodes[node].hears) {
                continue;
            }
            has_heard = true;
            let caller =
                Caller { to: ReplyTo::to_subject(&no.to_string()), encoding: Encoding::Json };
            self.send_to_node(process, node, || input_of(body, caller.clone()));
        }
        has_heard
    }

    /// A command comes once more, from wherever it was held up.
    pub(crate) fn ghost(&mut self, no: u64) {
        let Some((process, command)) = self.calls.sent.get(&no).cloned() else { return };
        self.stats.ghosts += 1;
        let healing = std::mem::replace(&mut self.healing, true);
        self.send_body(process, no, &Body::Command(command));
        self.healing = healing;
    }

    /// A coordinator answers.
    pub(crate) fn reply(&mut self, node: usize, to: &str, bytes: Bytes) {
        let Ok(no) = to.parse::<u64>() else { return };
        if let Some((_, command)) = self.calls.sent.get(&no).cloned() {
            self.check_reply(&command, &bytes);
        } else if let Some(call) = self.calls.open.get(&no) {
            let sent_at = call.sent_at;
            self.check_beat(&bytes, sent_at);
        }
        let Some(call) = self.calls.open.get(&no) else { return };
        let process = call.process;
        for ms in self.transits(node) {
            let bytes = bytes.clone();
            self.after(ms, Happening::Answer { process, call: no, bytes });
        }
    }

    /// An answer has come to who asked.
    pub(crate) fn answered(&mut self, no: u64, bytes: &[u8]) {
        if let Ok(Reply::Err { error, .. }) = Reply::from_slice(bytes)
            && error.code == Code::StoreRefuses
        {
            // It is not known whether it was recorded: asked again, as by the client of the bus.
            *self.stats.refusals.entry(error.code.as_str()).or_default() += 1;
            return;
        }
        let Some(call) = self.calls.open.remove(&no) else { return };
        if let Body::Beat(..) = call.body {
            match serde_json::from_slice::<BeatReply>(bytes) {
                Ok(reply) => self.came(call.tag, None, Some(reply)),
                Err(error) => self.broken(format!("a heartbeat's answer is unreadable: {error}")),
            }
            return;
        }
        if matches!(call.body, Body::Report(_)) {
            return;
        }
        match Reply::from_slice(bytes) {
            Ok(reply) => {
                if let Reply::Err { error, .. } = &reply {
                    *self.stats.refusals.entry(error.code.as_str()).or_default() += 1;
                }
                self.came(call.tag, Some(reply), None);
            }
            Err(error) => self.broken(format!("an answer is unreadable: {error}")),
        }
    }

    fn came(&mut self, tag: Tag, came: Came, beat: Option<BeatReply>) {
        match tag {
            Tag::Worker(worker, tag) => self.came_to_worker(worker, tag, came, beat),
            Tag::Locker(locker, tag) => self.came_to_locker(locker, tag, came, beat),
            Tag::Person(tag) => self.came_to_person(tag, came),
            Tag::Nobody => {}
        }
    }
}

fn input_of(body: &Body, caller: Caller) -> Input {
    match body {
        Body::Command(command) => {
            Input::Command { command: Box::new(Command::clone(command)), caller }
        }
        Body::Query(query) => Input::Query { query: Query::clone(query), caller },
        Body::Beat(actor, beat) => Input::Beat { actor: actor.clone(), beat: beat.clone(), caller },
        Body::Report(report) => Input::Report { report: report.clone(), caller },
    }
}
