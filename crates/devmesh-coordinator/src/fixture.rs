//! A world without clocks, network or tasks: coordinators over one log in memory, with callers
//! whose answers are kept. Everything that goes wrong is asked for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use devmesh_bus::intake::ReplyTo;
use devmesh_bus::log::memory::{Fault, MemoryLog, MemoryOpen};
use devmesh_bus::log::{AppendError, Log};
use devmesh_domain::Reader;
use devmesh_protocol::batch::Chain;
use devmesh_protocol::command::Encoding;
use devmesh_protocol::query::Query;
use devmesh_protocol::report::{Beat, LeaderBeat};
use devmesh_protocol::{ActorId, Command, CommandId, Digest, Record, SessionId};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::drive::reading;
use crate::effect::Effect;
use crate::error::Error;
use crate::input::{Caller, Input, Now, Read};
use crate::step::{settle, start, step, wake_at};
use crate::view::store::Room;
use crate::view::{Options, View};

/// Wall time at the beginning of every world.
const WALL: u64 = 1_800_000_000_000;

type Appending = BoxFuture<'static, Result<u64, AppendError>>;

/// One coordinator.
pub(crate) struct Node {
    pub(crate) view: View,
    log: MemoryLog,
    appending: Option<(u64, Appending)>,
    follows: Option<(u64, u64)>,
    /// It runs; a frozen one takes nothing.
    pub(crate) runs: bool,
    /// Nothing comes over the connection that heartbeats come by.
    pub(crate) ears_are_dead: bool,
    pub(crate) hears: bool,
    pub(crate) halted: Option<Error>,
    pub(crate) done: bool,
    /// What it has written to its state folder.
    pub(crate) remembered: Vec<Chain>,
    opening: Option<(u64, u64)>,
    queue: VecDeque<Input>,
}

/// All of it.
pub(crate) struct World {
    pub(crate) open: MemoryOpen,
    pub(crate) nodes: Vec<Node>,
    pub(crate) mono: u64,
    /// How far the wall clock has been moved.
    pub(crate) skew: i64,
    pub(crate) texts: BTreeMap<Digest, String>,
    pub(crate) texts_fail: bool,
    /// Nobody tells of the texts that are read.
    pub(crate) texts_hang: bool,
    /// Beats of leaders reach the others.
    pub(crate) beats: bool,
    /// Answers by the name of the call, in the order in which they came.
    pub(crate) answers: BTreeMap<String, Vec<Value>>,
    pub(crate) told: Vec<Record>,
    /// Answers that left while their record was not in the log.
    pub(crate) early: BTreeSet<String>,
    pub(crate) deleted: Vec<Digest>,
    /// Servers that keep the log.
    pub(crate) replicas: u32,
    /// How often somebody has asked for the last position.
    pub(crate) asked: u64,
    /// Records that were in the log when somebody last looked.
    logged: u64,
}

impl World {
    pub(crate) fn new(nodes: usize) -> World {
        World::over(MemoryOpen::new(), nodes)
    }

    pub(crate) fn over(open: MemoryOpen, nodes: usize) -> World {
        let mut world = World {
            open,
            nodes: Vec::new(),
            mono: 1_000,
            skew: 0,
            texts: BTreeMap::new(),
            texts_fail: false,
            texts_hang: false,
            beats: true,
            answers: BTreeMap::new(),
            told: Vec::new(),
            early: BTreeSet::new(),
            deleted: Vec::new(),
            replicas: 1,
            asked: 0,
            logged: 0,
        };
        for _ in 0..nodes {
            world.add_node(None);
        }
        world
    }

    pub(crate) fn add_node(&mut self, known: Option<Chain>) -> usize {
        let index = self.nodes.len();
        let seed = 77 * (index as u64 + 1);
        let node = format!("n{index}");
        let mut view = View::new(Options { node, seed, known });
        let mut effects = Vec::new();
        start(&mut view, &mut effects);
        self.nodes.push(Node {
            view,
            log: self.open.handle(),
            appending: None,
            follows: None,
            runs: true,
            ears_are_dead: false,
            hears: false,
            halted: None,
            done: false,
            remembered: Vec::new(),
            opening: None,
            queue: VecDeque::new(),
        });
        self.perform(index, effects);
        index
    }

    /// A world with one coordinator that leads.
    pub(crate) fn led() -> World {
        let mut world = World::new(1);
        world.until(5_000, |world| world.leader().is_some());
        world
    }

    pub(crate) fn now(&self) -> Now {
        let wall = i128::from(WALL) + i128::from(self.mono) + i128::from(self.skew);
        Now { wall_ms: u64::try_from(wall).unwrap(), mono_ms: self.mono }
    }

    pub(crate) fn leader(&self) -> Option<usize> {
        self.nodes.iter().position(|node| node.runs && node.view.is_leading())
    }

    /// Lets time pass until something is so; panics if it never is.
    pub(crate) fn until(&mut self, ms: u64, is_so: impl Fn(&World) -> bool) {
        for _ in 0..ms / 5 {
            if is_so(self) {
                return;
            }
            self.pass(5);
        }
        assert!(is_so(self), "it has not come about in {ms} ms");
    }

    /// Lets time pass, in small steps.
    pub(crate) fn pass(&mut self, ms: u64) {
        let until = self.mono + ms;
        loop {
            self.work();
            if self.mono >= until {
                return;
            }
            self.mono = (self.mono + 5).min(until);
            let now = self.now();
            for index in 0..self.nodes.len() {
                let node = &mut self.nodes[index];
                let is_due =
                    wake_at(&node.view, Now { mono_ms: now.mono_ms - 5, ..now }) <= self.mono;
                if node.runs && is_due {
                    node.queue.push_back(Input::Tick);
                }
            }
        }
    }

    /// Takes everything that can be taken without time passing.
    pub(crate) fn work(&mut self) {
        for _ in 0..10_000 {
            let mut has_worked = false;
            for index in 0..self.nodes.len() {
                if self.nodes[index].runs {
                    self.poll(index);
                    has_worked |= self.turn(index);
                }
            }
            if !has_worked {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    fn poll(&mut self, index: usize) {
        let mono = self.mono;
        let node = &mut self.nodes[index];
        if let Some((link, at)) = node.opening
            && at <= mono
        {
            node.opening = None;
            node.queue.push_back(Input::Opened { link });
        }
        if let Some((link, mut appending)) = node.appending.take() {
            match (&mut appending).now_or_never() {
                Some(outcome) => node.queue.push_back(Input::Appended { link, outcome }),
                None => node.appending = Some((link, appending)),
            }
        }
        if let Some((link, from)) = node.follows {
            let entries: Vec<Read> = self
                .open
                .entries()
                .into_iter()
                .filter(|entry| entry.stream_seq >= from)
                .map(Read::of)
                .collect();
            if let Some(last) = entries.last() {
                node.follows = Some((link, last.entry.stream_seq + 1));
                node.queue.push_back(Input::Entries { link, entries });
            }
        }
    }

    pub(crate) fn turn(&mut self, index: usize) -> bool {
        let now = self.now();
        let mut effects = Vec::new();
        let node = &mut self.nodes[index];
        if node.queue.is_empty() {
            return false;
        }
        while let Some(input) = node.queue.pop_front() {
            step(&mut node.view, now, input, &mut effects);
        }
        settle(&mut node.view, now, &mut effects);
        self.perform(index, effects);
        true
    }

    fn perform(&mut self, index: usize, effects: Vec<Effect>) {
        for effect in effects {
            self.perform_one(index, effect);
        }
    }

    fn perform_one(&mut self, index: usize, effect: Effect) {
        let mono = self.mono;
        let node = &mut self.nodes[index];
        match effect {
            Effect::Reopen { link, after_ms } => {
                (node.appending, node.follows) = (None, None);
                // A connection takes a while.
                node.opening = Some((link, mono + after_ms.max(10)));
            }
            Effect::AskLast { link } => {
                let last = node.log.last().now_or_never().unwrap().map_err(|e| e.to_string());
                let replicas = Some(self.replicas);
                self.asked += 1;
                node.queue.push_back(Input::Last { link, asked_at: mono, last, replicas });
            }
            Effect::Read { link, from, to } => {
                node.follows = None;
                let wanted = |e: &devmesh_bus::log::Entry| (from..=to).contains(&e.stream_seq);
                let entries = self.open.entries().into_iter().filter(wanted).map(Read::of);
                let entries = entries.collect();
                node.queue.push_back(Input::Entries { link, entries });
            }
            Effect::Follow { link, from } => node.follows = Some((link, from)),
            Effect::StopReading => node.follows = None,
            Effect::Append { link, expected_last, epoch, payload } => {
                assert!(node.appending.is_none(), "one append in flight, ever");
                let log = node.log.clone();
                let append = async move { log.append(expected_last, epoch, payload).await };
                node.appending = Some((link, append.boxed()));
            }
            Effect::HearRequests => node.hears = true,
            Effect::IgnoreRequests { .. } => node.hears = false,
            Effect::Reply { to, bytes } => self.answer(to.as_str(), &bytes),
            Effect::Announce(records) => {
                self.told.extend(records.iter().map(|record| Record::clone(record)));
            }
            Effect::Lead(beat) => self.beat_of_leader(index, &beat),
            Effect::StoreText { digest, text } => {
                let stored = if self.texts_fail { Err("full".to_owned()) } else { Ok(()) };
                if stored.is_ok() {
                    self.texts.insert(digest, text.to_string());
                }
                self.nodes[index].queue.push_back(Input::TextStored { digest, stored });
            }
            Effect::ReadText { .. } if self.texts_hang => {}
            Effect::ReadText { digest } => {
                let down = self.texts_fail.then(|| "down".to_owned());
                let text = down.map_or_else(|| Ok(self.texts.get(&digest).cloned()), Err);
                self.nodes[index].queue.push_back(Input::TextRead { digest, text });
            }
            Effect::DeleteText { digest } => {
                self.texts.remove(&digest);
                self.deleted.push(digest);
                self.nodes[index].queue.push_back(Input::TextDeleted { digest, deleted: Ok(()) });
            }
            Effect::ReadRecord { ticket, after, to, seq } => {
                let log = node.log.clone();
                let record = futures::executor::block_on(reading::record(&log, after, to, seq));
                node.queue.push_back(Input::RecordRead { ticket, record });
            }
            Effect::Remember(head) => node.remembered.push(head),
            Effect::WeighStore => {
                let room = Room { dir: "/store".into(), free: Some(2_048) };
                node.queue.push_back(Input::Weighed(Some(room)));
            }
            Effect::Halt(error) => node.halted = Some(error),
            Effect::Done => node.done = true,
        }
    }

    fn beat_of_leader(&mut self, from: usize, beat: &LeaderBeat) {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            // Its own beat comes back to it.
            if node.runs && !node.ears_are_dead && (index == from || self.beats) {
                node.queue.push_back(Input::Leader(beat.clone()));
            }
        }
    }

    fn answer(&mut self, to: &str, bytes: &[u8]) {
        let value: Value = serde_json::from_slice(bytes).unwrap();
        if let Some(seq) = value["seq"].as_u64()
            && seq > self.logged
        {
            self.logged = self.reader().chain().seq;
            if seq > self.logged {
                self.early.insert(to.to_owned());
            }
        }
        self.answers.entry(to.to_owned()).or_default().push(value);
    }

    /// What anybody reads of the log now.
    pub(crate) fn reader(&self) -> Reader {
        let mut reader = Reader::default();
        for entry in self.open.entries() {
            reader.take(entry.stream_seq, &entry.payload).expect("a log that can be read");
        }
        reader
    }

    /// All records of the log.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut reader = Reader::default();
        let entries = self.open.entries().into_iter();
        entries.flat_map(|e| reader.take(e.stream_seq, &e.payload).unwrap()).collect()
    }

    /// Makes that many records, and more.
    pub(crate) fn fill(&mut self, records: u64) {
        let leader = self.leader().expect("a leader");
        for n in 0..records / 2 + 1 {
            let path = format!("fill/{n}.rs");
            let acquire = json!({ "paths": [path], "mode": "write" });
            self.send(leader, &format!("fill-{n}-a"), "admin", "lock.acquire", acquire);
            let release = json!({ "paths": [path] });
            self.send(leader, &format!("fill-{n}-r"), "admin", "lock.release", release);
        }
        self.pass(100);
    }

    /// Records of the log with that command id.
    pub(crate) fn records_of(&self, id: &str) -> Vec<Record> {
        let is_of = |r: &Record| r.command_id.as_ref().is_some_and(|other| other.as_str() == id);
        self.records().into_iter().filter(is_of).collect()
    }

    /// Puts a command before that coordinator, without waiting.
    pub(crate) fn send(&mut self, node: usize, call: &str, actor: &str, verb: &str, body: Value) {
        let actor = ActorId::new(actor).unwrap();
        let body = body.to_string();
        let mint = || CommandId::new(&format!("minted-{call}")).unwrap();
        let parsed = Command::parse(actor, verb, body.as_bytes(), Encoding::Json, mint);
        let caller = caller(call);
        let input = match parsed {
            Ok(command) => Input::Command { command: Box::new(command), caller },
            Err(rejection) => Input::Unread { rejection, caller },
        };
        self.nodes[node].queue.push_back(input);
    }

    /// Puts a command before the leader and waits for its answer.
    pub(crate) fn call(&mut self, actor: &str, verb: &str, body: Value) -> Value {
        let call = format!("call-{}", self.answers.len());
        let leader = self.leader().expect("a leader");
        self.send(leader, &call, actor, verb, body);
        self.until(5_000, |world| world.answers.contains_key(&call));
        self.answers[&call][0].clone()
    }

    /// As [`World::call`]; panics if it is refused.
    pub(crate) fn ok(&mut self, actor: &str, verb: &str, body: Value) -> Value {
        let answer = self.call(actor, verb, body);
        assert_eq!(answer["ok"], json!(true), "{verb}: {answer}");
        answer
    }

    pub(crate) fn ask(&mut self, node: usize, call: &str, what: &str, body: Value) {
        let body = body.to_string();
        let actor = ActorId::new("alice").unwrap();
        let query = Query::parse(actor, what, body.as_bytes(), Encoding::Json).unwrap();
        self.nodes[node].queue.push_back(Input::Query { query, caller: caller(call) });
    }

    pub(crate) fn beat(&mut self, node: usize, call: &str, actor: &str, session: &str, seen: u64) {
        let actor = ActorId::new(actor).unwrap();
        let beat = Beat { session: SessionId::new(session).unwrap(), seen };
        self.nodes[node].queue.push_back(Input::Beat { actor, beat, caller: caller(call) });
    }

    pub(crate) fn report(&mut self, node: usize, report: &devmesh_protocol::report::HostReport) {
        let report = Box::new(report.clone());
        self.nodes[node].queue.push_back(Input::Report { report, caller: caller("report") });
    }

    /// The answer to a question for the last position, asked at that time of the node's clock.
    pub(crate) fn tell_last(&mut self, node: usize, asked_at: u64, last: u64) {
        let node = &mut self.nodes[node];
        let link = node.view.link;
        let last = Input::Last { link, asked_at, last: Ok(last), replicas: None };
        node.queue.push_back(last);
        self.work();
    }

    /// Lets something happen to that coordinator, with its next turn.
    pub(crate) fn put(&mut self, node: usize, input: Input) {
        self.nodes[node].queue.push_back(input);
    }

    /// What that coordinator would do about it; nothing of that is done.
    pub(crate) fn effects(&mut self, node: usize, input: Input) -> Vec<Effect> {
        let now = self.now();
        let mut effects = Vec::new();
        let view = &mut self.nodes[node].view;
        step(view, now, input, &mut effects);
        settle(view, now, &mut effects);
        effects
    }

    /// A beat of a leader that is none of these.
    pub(crate) fn foreign_beat(&mut self, node: usize, epoch: u64) {
        let beat = LeaderBeat { epoch, node: "foreign".into(), seq: 1, answered: Vec::new() };
        self.put(node, Input::Leader(beat));
    }

    pub(crate) fn stop(&mut self, node: usize) {
        self.put(node, Input::Stop);
    }

    pub(crate) fn lose_link(&mut self, node: usize) {
        let link = self.nodes[node].view.link;
        let why = "cut".to_owned();
        self.put(node, Input::Lost { link, why });
    }

    /// People, agents and a repository.
    pub(crate) fn furnish(&mut self) {
        for (actor, role) in [("alice", "person"), ("bob", "person"), ("codex-1", "agent")] {
            self.ok("admin", "actor.add", json!({ "actor": actor, "role": role }));
        }
        self.ok("alice", "repo.add", json!({ "name": "web", "path": "/src/web" }));
    }

    pub(crate) fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.open.script(faults);
    }

    pub(crate) fn answered(&self, call: &str) -> Option<&Value> {
        self.answers.get(call).and_then(|answers| answers.first())
    }

    /// What must be so in every world.
    pub(crate) fn check(&self) {
        assert!(self.early.is_empty(), "answered before the record was there: {:?}", self.early);
        let reader = self.reader();
        for node in &self.nodes {
            if node.view.head().stream_seq == reader.chain().stream_seq {
                assert_eq!(node.view.head().h, reader.chain().h);
                let (mut mine, mut theirs) = (node.view.state().clone(), reader.state().clone());
                assert_eq!(mine.hash(), theirs.hash());
            }
        }
        let mut ids = BTreeSet::new();
        for record in self.records() {
            if let Some(id) = record.command_id {
                assert!(ids.insert((record.actor.clone(), id.clone())), "twice: {id}");
            }
        }
    }
}

pub(crate) fn caller(call: &str) -> Caller {
    Caller { to: ReplyTo::to_subject(call), encoding: Encoding::Json }
}
