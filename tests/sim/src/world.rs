//! The world of one run: what is going to happen, in one queue ordered by simulated time, and
//! everybody it happens to. No thread, no real time, no randomness but the seed's.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use devmesh_agent::input::Input as AgentInput;
use devmesh_agent::view::Key;
use devmesh_bus::log::AppendError;
use devmesh_bus::log::memory::{Fault, MemoryOpen};
use devmesh_coordinator::input::Input;
use devmesh_protocol::Digest;
use devmesh_protocol::event::Notice;

use crate::call::Calls;
use crate::git::Git;
use crate::history::History;
use crate::locker::Locker;
use crate::node::Node;
use crate::oracle::Oracle;
use crate::person::Person;
use crate::plan::Plan;
use crate::process::{Process, Still};
use crate::rng::Rng;
use crate::stats::Stats;
use crate::worker::Worker;

/// Milliseconds of an hour.
pub(crate) const HOUR_MS: u64 = 3_600_000;
/// What waits for a process that stands still, at most; a server drops a slow reader.
const STASH_MAX: usize = 400;

/// Something that is going to happen.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A coordinator takes what has come.
    Turn { node: usize },
    /// Its timer goes off, unless it was set anew.
    Tick { node: usize, set: u64 },
    /// Something comes to it.
    ToNode { node: usize, from: Option<usize>, input: Box<Input> },
    /// A batch comes to the store.
    Arrive(Box<Arrive>),
    /// An append comes to an end for who made it.
    Appended { node: usize, append: u64, outcome: Result<u64, AppendError> },
    /// A coordinator reads what is new.
    Poll { node: usize, link: u64 },
    /// An answer comes to who asked.
    Answer { process: usize, call: u64, bytes: Bytes },
    /// A request is looked at by who sent it: it may be sent again or given up.
    Look { process: usize, call: u64 },
    /// A command is sent once more, long after.
    Ghost { call: u64 },
    /// An agent looks at its clock.
    WorkerTick { worker: usize },
    /// Something is done at an agent.
    ToWorker { worker: usize, desk: Option<(Key, u32)>, input: Box<AgentInput> },
    /// The next of a turn's steps.
    Landing { worker: usize, key: Key, desk: u32, rounds: u32 },
    /// It hears of a record.
    Notice { worker: usize, notice: Arc<Notice> },
    /// Who takes and gives leases does the next thing.
    Locker { locker: usize },
    /// And beats.
    LockerBeat { locker: usize },
    /// The person at the terminal does the next thing.
    Person,
    /// A host is measured.
    Measure,
    /// Something hits a process.
    Blow,
    /// A process begins again.
    Begin { process: usize },
    /// A process goes on.
    GoOn { process: usize },
    /// The store has room again.
    Room,
}

/// A batch on its way to the store.
#[derive(Debug)]
pub(crate) struct Arrive {
    /// Whose.
    pub(crate) node: usize,
    /// Of which life.
    pub(crate) boot: u32,
    /// Which append of that coordinator.
    pub(crate) append: u64,
    /// Where it may stand.
    pub(crate) expected_last: u64,
    /// Its term.
    pub(crate) epoch: u64,
    /// Its bytes.
    pub(crate) payload: Bytes,
    /// What happens to it.
    pub(crate) fault: Fault,
    /// When the acknowledgement is back; `None`: never.
    pub(crate) back_ms: Option<u64>,
}

/// The world.
pub(crate) struct World {
    /// Simulated time in milliseconds.
    pub(crate) now: u64,
    order: u64,
    queue: BTreeMap<(u64, u64), (u32, Happening)>,
    /// The run's randomness.
    pub(crate) rng: Rng,
    /// What kind of run it is.
    pub(crate) plan: Plan,
    /// Every process: coordinators first, then agents, lockers, the person.
    pub(crate) processes: Vec<Process>,
    stashes: BTreeMap<usize, Vec<Happening>>,
    /// Coordinators.
    pub(crate) nodes: Vec<Node>,
    /// Agents.
    pub(crate) workers: Vec<Worker>,
    /// Who takes and gives leases.
    pub(crate) lockers: Vec<Locker>,
    /// The person at the terminal.
    pub(crate) person: Person,
    /// Requests that are not answered.
    pub(crate) calls: Calls,
    /// The log.
    pub(crate) log: MemoryOpen,
    /// Who knows what must be so.
    pub(crate) oracle: Oracle,
    /// What clients saw of leases.
    pub(crate) history: History,
    /// The repository.
    pub(crate) git: Git,
    /// Free texts.
    pub(crate) texts: BTreeMap<Digest, String>,
    /// What was counted.
    pub(crate) stats: Stats,
    /// A fingerprint of everything that happened.
    pub(crate) trace: u64,
    /// Faults have ended.
    pub(crate) healing: bool,
    /// What was found to be wrong first.
    pub(crate) wrong: Option<String>,
}

impl World {
    /// The world of a plan.
    #[must_use]
    pub(crate) fn new(mut rng: Rng, plan: Plan) -> World {
        let count = plan.nodes + plan.workers + plan.lockers + plan.people + 1;
        let ppm = |rng: &mut Rng| {
            i64::try_from(rng.within(0, 2 * plan.drift_ppm)).unwrap_or(0)
                - i64::try_from(plan.drift_ppm).unwrap_or(0)
        };
        let processes = (0..count).map(|_| Process::new(ppm(&mut rng))).collect();
        let check_every = plan.check_every;
        let mut world = World {
            now: 0,
            order: 0,
            queue: BTreeMap::new(),
            rng,
            plan,
            processes,
            stashes: BTreeMap::new(),
            nodes: Vec::new(),
            workers: Vec::new(),
            lockers: Vec::new(),
            person: Person::new(count - 1),
            calls: Calls::default(),
            log: MemoryOpen::new(),
            oracle: Oracle::new(check_every),
            history: History::default(),
            git: Git::default(),
            texts: BTreeMap::new(),
            stats: Stats::default(),
            trace: 0,
            healing: false,
            wrong: None,
        };
        world.people();
        world
    }

    fn people(&mut self) {
        let Plan { nodes, workers, lockers, people, .. } = self.plan;
        for node in 0..nodes {
            self.nodes.push(Node::new(node));
            self.begin_node(node);
        }
        for worker in 0..workers {
            let mut it = Worker::new(worker, nodes + worker, &mut self.rng);
            if self.plan.contends {
                // Of equals nobody is more patient than the others.
                it.view.me.lease_wait_ms = 30_000;
            }
            self.workers.push(it);
            self.begin_worker(worker);
        }
        for locker in 0..lockers + people {
            let process = nodes + workers + locker;
            self.lockers.push(Locker::new(locker, process, locker >= lockers, &mut self.rng));
            self.begin_locker(locker);
        }
        self.after(500, Happening::Person);
        self.after(700, Happening::Measure);
        if self.plan.blow_ms > 0 {
            self.after(self.plan.blow_ms + 5_000, Happening::Blow);
        }
    }

    /// Puts something into the queue, so many milliseconds from now.
    pub(crate) fn after(&mut self, ms: u64, happening: Happening) {
        self.at(self.now + ms, happening);
    }

    /// Puts something into the queue.
    pub(crate) fn at(&mut self, at: u64, happening: Happening) {
        self.order += 1;
        let boot = self.process_of(&happening).map_or(0, |at| self.processes[at].boot);
        self.queue.insert((at.max(self.now), self.order), (boot, happening));
    }

    /// Something is wrong; the first is what is told.
    pub(crate) fn broken(&mut self, why: impl Into<String>) {
        if self.wrong.is_none() {
            let why: String = why.into();
            self.wrong = Some(format!("at {} ms: {why}", self.now));
        }
    }

    /// Whom it happens to.
    fn process_of(&self, happening: &Happening) -> Option<usize> {
        match happening {
            Happening::Turn { node }
            | Happening::Tick { node, .. }
            | Happening::ToNode { node, .. }
            | Happening::Appended { node, .. }
            | Happening::Poll { node, .. } => Some(*node),
            Happening::Answer { process, .. } | Happening::Look { process, .. } => Some(*process),
            Happening::WorkerTick { worker }
            | Happening::ToWorker { worker, .. }
            | Happening::Landing { worker, .. }
            | Happening::Notice { worker, .. } => Some(self.workers[*worker].process),
            Happening::Locker { locker } | Happening::LockerBeat { locker } => {
                Some(self.lockers[*locker].process)
            }
            Happening::Person => Some(self.person.process),
            Happening::Arrive(_)
            | Happening::Ghost { .. }
            | Happening::Measure
            | Happening::Blow
            | Happening::Begin { .. }
            | Happening::GoOn { .. }
            | Happening::Room => None,
        }
    }

    /// Lets the next thing happen. False where nothing is left to happen.
    pub(crate) fn step(&mut self) -> bool {
        let Some(((at, _), (boot, happening))) = self.queue.pop_first() else { return false };
        self.now = at;
        let Some(process) = self.process_of(&happening) else {
            self.happen(happening);
            return true;
        };
        let it = &self.processes[process];
        if it.boot != boot || !it.alive {
            self.stats.dead += 1;
            return true;
        }
        let comes = comes_from_outside(&happening);
        if comes && !it.is_connected(self.now) {
            self.stats.cut += 1;
            return true;
        }
        if it.still.is_some() {
            let stash = self.stashes.entry(process).or_default();
            if !comes || stash.len() < STASH_MAX {
                stash.push(happening);
            }
            return true;
        }
        self.happen(happening);
        true
    }

    /// What has waited for a process that stood still.
    pub(crate) fn unstash(&mut self, process: usize) {
        let mut stash = self.stashes.remove(&process).unwrap_or_default();
        // A timer that is late comes before or after what has come meanwhile.
        if self.rng.chance(500) {
            stash.sort_by_key(comes_from_outside);
        }
        for happening in stash {
            self.after(0, happening);
        }
    }

    /// Forgets what has waited for a process that died.
    pub(crate) fn forget_stash(&mut self, process: usize) {
        self.stashes.remove(&process);
    }

    fn happen(&mut self, happening: Happening) {
        self.mark(&happening);
        match happening {
            Happening::Turn { node } => self.turn(node),
            Happening::Tick { node, set } => self.tick_node(node, set),
            Happening::ToNode { node, from, input } => self.reach_node(node, from, *input),
            Happening::Arrive(arrive) => self.arrive(*arrive),
            Happening::Appended { node, append, outcome } => self.appended(node, append, outcome),
            Happening::Poll { node, link } => self.poll(node, link),
            Happening::Answer { call, bytes, .. } => self.answered(call, &bytes),
            Happening::Look { call, .. } => self.look_at_call(call),
            Happening::Ghost { call } => self.ghost(call),
            Happening::WorkerTick { worker } => self.tick_worker(worker),
            Happening::ToWorker { worker, desk, input } => self.reach_worker(worker, desk, *input),
            Happening::Landing { worker, key, desk, rounds } => {
                self.land(worker, key, desk, rounds);
            }
            Happening::Notice { worker, notice } => {
                let notice = Box::new(Notice::clone(&notice));
                self.reach_worker(worker, None, AgentInput::Noticed(notice));
            }
            Happening::Locker { locker } => self.act_locker(locker),
            Happening::LockerBeat { locker } => self.beat_locker(locker),
            Happening::Person => self.act_person(),
            Happening::Measure => self.measure(),
            Happening::Blow => self.blow(),
            Happening::Begin { process } => self.begin(process),
            Happening::GoOn { process } => self.go_on(process),
            Happening::Room => self.log.refuse(false),
        }
    }

    /// Counts it, and mixes it into the fingerprint of the run.
    fn mark(&mut self, happening: &Happening) {
        let kind = match happening {
            Happening::Tick { .. } | Happening::WorkerTick { .. } => {
                self.stats.ticks += 1;
                1
            }
            Happening::ToNode { input, .. } if matches!(**input, Input::Leader(_)) => 2,
            Happening::Turn { .. } => 3,
            Happening::ToNode { .. } => self.stats.step(4),
            Happening::Answer { bytes, .. } => self.stats.step(bytes.len() as u64),
            Happening::Arrive(arrive) => self.stats.step(arrive.payload.len() as u64),
            Happening::Notice { notice, .. } => self.stats.step(notice.seq),
            Happening::Look { .. } | Happening::Poll { .. } => 5,
            _ => self.stats.step(6),
        };
        self.mix(self.now ^ (kind << 40));
    }

    /// Mixes a number into the fingerprint of the run.
    pub(crate) fn mix(&mut self, number: u64) {
        self.trace = (self.trace.rotate_left(7) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// How long a message takes each time it comes; empty where it is lost.
    pub(crate) fn transits(&mut self, from: usize) -> Vec<u64> {
        let is_dumb = self.nodes.get(from).is_some_and(|node| node.deaf_until > self.now);
        if is_dumb || !self.processes[from].is_connected(self.now) {
            self.stats.cut += 1;
            return Vec::new();
        }
        let mut transits = Vec::with_capacity(1);
        if !self.healing && self.rng.chance(self.plan.lose) {
            self.stats.lost += 1;
            return transits;
        }
        transits.push(self.transit());
        if !self.healing && self.rng.chance(self.plan.twice) {
            self.stats.twice += 1;
            transits.push(self.transit());
        }
        transits
    }

    fn transit(&mut self) -> u64 {
        if !self.healing && self.rng.chance(self.plan.late) {
            self.stats.late += 1;
            return self.rng.within(1, self.plan.late_ms);
        }
        self.rng.within(0, 3)
    }

    /// A process begins a new life.
    fn begin(&mut self, process: usize) {
        self.processes[process].begin(self.now);
        if let Some(node) = self.nodes.iter().position(|it| it.process == process) {
            self.begin_node(node);
        } else if let Some(worker) = self.workers.iter().position(|it| it.process == process) {
            self.begin_worker(worker);
        } else if let Some(locker) = self.lockers.iter().position(|it| it.process == process) {
            self.begin_locker(locker);
        } else {
            self.after(10, Happening::Person);
        }
    }

    /// A process that stood still goes on.
    pub(crate) fn go_on(&mut self, process: usize) {
        let was_asleep = matches!(self.processes[process].still, Some((Still::Asleep, _)));
        self.processes[process].go_on(self.now);
        self.unstash(process);
        if was_asleep {
            self.connection_lost(process);
        }
    }
}

/// Whether it comes over the network.
fn comes_from_outside(happening: &Happening) -> bool {
    match happening {
        Happening::ToNode { from, .. } => from.is_some(),
        Happening::Answer { .. } | Happening::Notice { .. } => true,
        _ => false,
    }
}
