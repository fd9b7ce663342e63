//! A coordinator: the real step, driven as its process drives it, over a log and a network that
//! fail.

use std::collections::VecDeque;

use bytes::Bytes;
use devmesh_bus::log::memory::Fault;
use devmesh_bus::log::{AppendError, Entry, Log};
use devmesh_coordinator::effect::Effect;
use devmesh_coordinator::input::{Input, Now, Read};
use devmesh_coordinator::step::{settle, start, step, wake_at};
use devmesh_coordinator::view::{Options, View};
use devmesh_protocol::batch::{Accepted, Chain};
use devmesh_protocol::event::Notice;
use devmesh_protocol::{Digest, Record};
use futures::{FutureExt, StreamExt};
use std::sync::Arc;

use crate::world::{Arrive, Happening, World};

/// How long an append or a read may take before its outcome is unknown.
const TIMEOUT_MS: u64 = devmesh_bus::log::APPEND_MS_MAX;

/// A coordinator's process.
#[derive(Debug)]
pub(crate) struct Node {
    /// Which process.
    pub(crate) process: usize,
    /// All that it knows.
    pub(crate) view: View,
    inbox: VecDeque<Input>,
    has_turn: bool,
    timer: u64,
    link: u64,
    /// It takes commands and queries.
    pub(crate) hears: bool,
    follows: Option<(u64, u64)>,
    in_flight: Option<u64>,
    appends: u64,
    /// Nothing but the log reaches it, or is reached by it, before that.
    pub(crate) deaf_until: u64,
    /// What it has kept on disk.
    known: Option<Chain>,
    /// Why it has ended for good.
    pub(crate) halted: Option<String>,
}

impl Node {
    /// A coordinator that has never run.
    #[must_use]
    pub(crate) fn new(process: usize) -> Node {
        Node {
            process,
            view: View::new(Options { node: String::new(), seed: 0, known: None }),
            inbox: VecDeque::new(),
            has_turn: false,
            timer: 0,
            link: 0,
            hears: false,
            follows: None,
            in_flight: None,
            appends: 0,
            deaf_until: 0,
            known: None,
            halted: None,
        }
    }
}

impl Node {
    /// Its disk is another one.
    pub(crate) fn forget_all(&mut self) {
        self.known = None;
    }
}

impl World {
    /// A coordinator's process begins.
    pub(crate) fn begin_node(&mut self, node: usize) {
        let seed = self.rng.bits();
        let boot = self.processes[node].boot;
        let it = &mut self.nodes[node];
        let options = Options { node: format!("n{node}-{boot}"), seed, known: it.known };
        it.view = View::new(options);
        it.inbox.clear();
        (it.has_turn, it.hears, it.follows, it.in_flight) = (false, false, None, None);
        let mut effects = Vec::new();
        start(&mut it.view, &mut effects);
        self.perform_all(node, effects);
        self.set_timer(node);
    }

    fn node_now(&self, node: usize) -> Now {
        let process = &self.processes[node];
        Now { wall_ms: process.wall(self.now), mono_ms: process.mono(self.now) }
    }

    /// Something has come to a coordinator.
    pub(crate) fn reach_node(&mut self, node: usize, from: Option<usize>, input: Input) {
        let it = &mut self.nodes[node];
        let is_request = matches!(input, Input::Command { .. } | Input::Query { .. });
        if (is_request && !it.hears) || it.halted.is_some() {
            return;
        }
        // What was on its way when its sender's cable was pulled is lost with it.
        let is_deaf = from.is_some() && it.deaf_until > self.now;
        if is_deaf || from.is_some_and(|from| self.processes[from].cut_until > self.now) {
            self.stats.cut += 1;
            return;
        }
        it.inbox.push_back(input);
        self.want_turn(node);
    }

    fn want_turn(&mut self, node: usize) {
        if !std::mem::replace(&mut self.nodes[node].has_turn, true) {
            // Those who come together are decided together, now and then.
            let wait = if self.rng.chance(200) { 1 } else { 0 };
            self.after(wait, Happening::Turn { node });
        }
    }

    /// Its timer has gone off.
    pub(crate) fn tick_node(&mut self, node: usize, set: u64) {
        if self.nodes[node].timer == set {
            // What else has come may not have been read yet.
            self.nodes[node].inbox.push_front(Input::Tick);
            self.turn(node);
        }
    }

    fn set_timer(&mut self, node: usize) {
        let now = self.node_now(node);
        let it = &mut self.nodes[node];
        if it.halted.is_some() {
            return;
        }
        it.timer += 1;
        let (wake, set) = (wake_at(&it.view, now), it.timer);
        let at = self.processes[node].when(self.now, wake);
        self.at(at, Happening::Tick { node, set });
    }

    /// It takes what has come, at one time.
    pub(crate) fn turn(&mut self, node: usize) {
        let now = self.node_now(node);
        let it = &mut self.nodes[node];
        it.has_turn = false;
        if it.halted.is_some() {
            return;
        }
        let was_leading = it.view.is_leading();
        let mut effects = Vec::new();
        while let Some(input) = it.inbox.pop_front() {
            step(&mut it.view, now, input, &mut effects);
        }
        settle(&mut it.view, now, &mut effects);
        if it.view.is_leading() && !was_leading {
            self.stats.event("terms");
            let leaders = self.nodes.iter().filter(|it| it.view.is_leading()).count();
            if leaders > 1 {
                self.stats.event("two leaders at once");
            }
        }
        self.perform_all(node, effects);
        self.set_timer(node);
    }

    fn perform_all(&mut self, node: usize, effects: Vec<Effect>) {
        for effect in effects {
            self.perform(node, effect);
        }
    }

    fn perform(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Reopen { link, after_ms } => self.reopen(node, link, after_ms),
            Effect::AskLast { link } => self.ask_last(node, link),
            Effect::Read { link, from, to } => self.read(node, link, from, to),
            Effect::Follow { link, from } => {
                self.nodes[node].follows = Some((link, from));
                self.after(1, Happening::Poll { node, link });
            }
            Effect::StopReading => self.nodes[node].follows = None,
            Effect::Append { expected_last, epoch, payload, .. } => {
                self.append(node, expected_last, epoch, payload);
            }
            Effect::HearRequests => self.nodes[node].hears = true,
            Effect::IgnoreRequests { forget } => {
                let it = &mut self.nodes[node];
                it.hears = false;
                if forget {
                    it.inbox.retain(|input| {
                        !matches!(input, Input::Command { .. } | Input::Query { .. })
                    });
                }
            }
            Effect::Reply { to, bytes } => self.reply(node, to.as_str(), bytes),
            Effect::Announce(records) => self.announce(node, &records),
            Effect::Lead(beat) => {
                // Its own comes back to it.
                for other in 0..self.nodes.len() {
                    self.send_to_node(node, other, || Input::Leader(beat.clone()));
                }
            }
            Effect::StoreText { .. } | Effect::ReadText { .. } | Effect::DeleteText { .. } => {
                self.beside_the_log(node, effect);
            }
            Effect::ReadRecord { ticket, after, to, seq } => {
                let record = self.record(after, to, seq);
                self.later(node, 2, Input::RecordRead { ticket, record });
            }
            Effect::WeighStore => self.later(node, 0, Input::Weighed(None)),
            Effect::Remember(chain) => self.nodes[node].known = Some(chain),
            Effect::Halt(error) => {
                let why = error.to_string();
                self.nodes[node].hears = false;
                self.nodes[node].halted = Some(why.clone());
                if !self.oracle.expects_halt {
                    self.broken(format!("coordinator {node} has halted: {why}"));
                }
            }
            Effect::Done => self.broken("a coordinator has ended that nobody told to"),
        }
    }

    /// A message between processes: none, one or two copies.
    pub(crate) fn send_to_node(&mut self, from: usize, node: usize, input: impl Fn() -> Input) {
        for ms in self.transits(from) {
            let input = Box::new(input());
            self.after(ms, Happening::ToNode { node, from: Some(from), input });
        }
    }

    fn later(&mut self, node: usize, ms: u64, input: Input) {
        self.after(ms, Happening::ToNode { node, from: None, input: Box::new(input) });
    }

    fn reopen(&mut self, node: usize, link: u64, after_ms: u64) {
        let it = &mut self.nodes[node];
        (it.link, it.follows, it.in_flight) = (link, None, None);
        let back = self.processes[node].cut_until.saturating_sub(self.now);
        let ms = after_ms.max(back) + self.rng.within(1, 30);
        self.later(node, ms, Input::Opened { link });
    }

    /// Its connection is gone: it notices after a while.
    pub(crate) fn connection_lost(&mut self, process: usize) {
        if process < self.nodes.len() {
            let link = self.nodes[process].link;
            let ms = self.rng.within(1, 4_000);
            self.later(process, ms, Input::Lost { link, why: "the connection is gone".into() });
        }
    }

    fn ask_last(&mut self, node: usize, link: u64) {
        let asked_at = self.node_now(node).mono_ms;
        let fails = self.append_fails() || !self.processes[node].is_connected(self.now);
        let (last, ms) = if fails {
            self.stats.fault("log: a question for the last position");
            (Err("no answer in time".to_owned()), TIMEOUT_MS)
        } else {
            let last = self.log.handle().last().now_or_never();
            (Ok(last.and_then(Result::ok).unwrap_or(0)), self.rng.within(0, 3))
        };
        self.later(node, ms, Input::Last { link, asked_at, last, replicas: None });
    }

    fn append_fails(&mut self) -> bool {
        !self.healing && self.rng.chance(self.plan.append)
    }

    fn entries(&self, from: u64, to: u64) -> Vec<Entry> {
        let read = self.log.handle().read(from, to).map(Result::ok).collect::<Vec<_>>();
        read.now_or_never().unwrap_or_default().into_iter().flatten().collect()
    }

    fn read(&mut self, node: usize, link: u64, from: u64, to: u64) {
        self.nodes[node].follows = None;
        if !self.processes[node].is_connected(self.now) || self.append_fails() {
            self.stats.fault("log: a read");
            let why = "the server went away".to_owned();
            return self.later(node, TIMEOUT_MS, Input::ReadEnded { link, fatal: false, why });
        }
        let mut entries: Vec<Read> = self.entries(from, to).into_iter().map(Read::of).collect();
        // In one piece or in two.
        let mut ms = self.rng.within(1, 10);
        let at = usize::try_from(self.rng.below(entries.len() as u64 + 1)).unwrap_or(0);
        let rest = entries.split_off(at);
        for entries in [entries, rest] {
            if !entries.is_empty() {
                self.later(node, ms, Input::Entries { link, entries });
                ms += self.rng.within(0, 20);
            }
        }
    }

    /// A follower is told that there is something new.
    pub(crate) fn poll(&mut self, node: usize, link: u64) {
        let Some((follows, from)) = self.nodes[node].follows.filter(|(it, _)| *it == link) else {
            return;
        };
        if !self.processes[node].is_connected(self.now) {
            return self.after(200, Happening::Poll { node, link });
        }
        let entries: Vec<Read> = self.entries(from, u64::MAX).into_iter().map(Read::of).collect();
        if let Some(last) = entries.last() {
            self.nodes[node].follows = Some((follows, last.entry.stream_seq + 1));
            self.reach_node(node, None, Input::Entries { link, entries });
        }
    }

    fn append(&mut self, node: usize, expected_last: u64, epoch: u64, payload: Bytes) {
        if self.nodes[node].in_flight.is_some() {
            return self.broken(format!("coordinator {node} has two appends in flight"));
        }
        self.nodes[node].appends += 1;
        let append = self.nodes[node].appends;
        self.nodes[node].in_flight = Some(append);
        let timed_out = AppendError::Unknown { code: None, what: "no answer in time".into() };
        self.after(TIMEOUT_MS, Happening::Appended { node, append, outcome: Err(timed_out) });
        let (there_ms, fault, back_ms) = self.fate(node);
        let Some(there_ms) = there_ms else { return };
        let boot = self.processes[node].boot;
        let arrive = Arrive { node, boot, append, expected_last, epoch, payload, fault, back_ms };
        self.after(there_ms, Happening::Arrive(Box::new(arrive)));
    }

    /// When an append comes to the store, what meets it there, and when its answer is back.
    fn fate(&mut self, node: usize) -> (Option<u64>, Fault, Option<u64>) {
        let (there, back) = (self.rng.within(0, 2), self.rng.within(0, 2));
        if !self.processes[node].is_connected(self.now) {
            // It may stand in a buffer until the cable is back.
            let until = self.processes[node].cut_until.saturating_sub(self.now);
            let there = self.rng.chance(500).then_some(until + there);
            return (there, Fault::Pass, None);
        }
        if !self.append_fails() {
            return (Some(there), Fault::Pass, Some(back));
        }
        let long = self.rng.pick(&[50, 500, 2_500, 8_000, 90_000]);
        let (name, there, fault, back) = match self.rng.below(8) {
            0 => ("log: a request lost", None, Fault::Pass, None),
            1 => ("log: an acknowledgement lost", Some(there), Fault::Pass, None),
            2 => ("log: sent late", Some(self.rng.within(1, long)), Fault::Pass, Some(back)),
            3 => {
                ("log: acknowledged late", Some(there), Fault::Pass, Some(self.rng.within(1, long)))
            }
            4 => ("log: refused", Some(there), Fault::Refuse, Some(back)),
            5 => ("log: no responders", Some(there), Fault::NoResponders, Some(back)),
            6 => ("log: taken for a duplicate", Some(there), Fault::Duplicate, Some(back)),
            _ => {
                ("log: acknowledged at another position", Some(there), Fault::WrongSeq, Some(back))
            }
        };
        self.stats.fault(name);
        (there, fault, back)
    }

    /// A batch has come to the store.
    pub(crate) fn arrive(&mut self, arrive: Arrive) {
        let Arrive { node, boot, append, expected_last, epoch, payload, fault, back_ms } = arrive;
        self.log.script([fault]);
        // Only a planted bug expects nothing; what is stored is then what comes.
        let expected_last = match expected_last {
            u64::MAX => self.log.handle().last().now_or_never().and_then(Result::ok).unwrap_or(0),
            _ => expected_last,
        };
        let appending = self.log.handle().append(expected_last, epoch, payload).now_or_never();
        let Some(outcome) = appending else {
            return self.broken("an append in memory waits, and nothing made it wait");
        };
        self.look_at_log();
        let is_there = self.processes[node].is_connected(self.now);
        if let Some(ms) = back_ms.filter(|_| self.processes[node].boot == boot && is_there) {
            self.after(ms, Happening::Appended { node, append, outcome });
        }
    }

    /// Everything new in the log is checked, and those who follow it are told.
    fn look_at_log(&mut self) {
        let new = self.entries(self.oracle.read_to() + 1, u64::MAX);
        if new.is_empty() {
            return;
        }
        for entry in &new {
            self.check_entry(entry);
        }
        for node in 0..self.nodes.len() {
            if let Some((link, _)) = self.nodes[node].follows {
                let ms = self.rng.within(0, 4);
                self.after(ms, Happening::Poll { node, link });
            }
        }
    }

    /// An append has come to an end for its coordinator, if it still waits for it.
    pub(crate) fn appended(&mut self, node: usize, append: u64, outcome: Result<u64, AppendError>) {
        let it = &mut self.nodes[node];
        if it.in_flight == Some(append) {
            it.in_flight = None;
            let link = it.link;
            self.reach_node(node, None, Input::Appended { link, outcome });
        }
    }

    fn beside_the_log(&mut self, node: usize, effect: Effect) {
        let cut = !self.processes[node].is_connected(self.now);
        let fails = cut || (!self.healing && self.rng.chance(self.plan.text));
        if fails {
            self.stats.fault("a text");
        }
        let ms = if fails { TIMEOUT_MS } else { self.rng.within(1, 20) };
        let why = || "no answer in time".to_owned();
        let input = match effect {
            Effect::StoreText { digest, text } => {
                if !fails {
                    self.texts.insert(digest, text.to_string());
                }
                Input::TextStored { digest, stored: if fails { Err(why()) } else { Ok(()) } }
            }
            Effect::ReadText { digest } => {
                Input::TextRead { digest, text: self.text(digest, fails) }
            }
            Effect::DeleteText { digest } => {
                if !fails {
                    self.texts.remove(&digest);
                }
                Input::TextDeleted { digest, deleted: if fails { Err(why()) } else { Ok(()) } }
            }
            _ => return,
        };
        self.later(node, ms, input);
    }

    fn text(&self, digest: Digest, fails: bool) -> Result<Option<String>, String> {
        if fails { Err("no answer in time".into()) } else { Ok(self.texts.get(&digest).cloned()) }
    }

    fn record(&self, after: Chain, to: u64, seq: u64) -> Result<Box<Record>, String> {
        let mut chain = after;
        for entry in self.entries(chain.stream_seq + 1, to) {
            let accepted = chain.accept(entry.stream_seq, &entry.payload);
            if let Accepted::Records(records) = accepted.map_err(|halt| halt.to_string())?
                && let Some(record) = records.into_iter().find(|record| record.seq == seq)
            {
                return Ok(Box::new(record));
            }
        }
        Err(format!("record {seq} is not there"))
    }

    /// Live notices go out to all agents, each on its own way.
    fn announce(&mut self, node: usize, records: &[Arc<Record>]) {
        for record in records {
            for event in &record.events {
                let notice = Arc::new(Notice {
                    seq: record.seq,
                    at: record.at,
                    actor: record.actor.clone(),
                    event: event.clone(),
                });
                for worker in 0..self.workers.len() {
                    for ms in self.transits(node) {
                        let notice = Arc::clone(&notice);
                        self.after(ms, Happening::Notice { worker, notice });
                    }
                }
            }
        }
    }
}
