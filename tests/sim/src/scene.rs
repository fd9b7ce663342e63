//! Long scenes: one mishap, nothing else wrong, and what must not come of it.

use std::collections::{BTreeMap, BTreeSet};

use devmesh_protocol::batch::{Accepted, Chain};
use devmesh_protocol::event::lock::WithdrawnWhy;
use devmesh_protocol::{ActorId, CommandId, Event, Record, RepoPath};

use crate::plan::Plan;
use crate::process::Still;
use crate::rng::Rng;
use crate::world::{HOUR_MS, World};

/// How long a scene goes on before what it is about.
const BEFORE_MS: u64 = 120_000;
/// And after it.
const AFTER_MS: u64 = 300_000;

/// What became of a scene.
type Came = Result<String, String>;

/// A scene.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// What happens.
    pub name: &'static str,
    /// Plays it; what was seen, or what was wrong.
    pub play: fn(u64) -> Came,
}

/// All of them.
pub const SCENES: &[Scene] = &[
    Scene { name: "the leader sleeps for an hour", play: |seed| leader_gone(seed, sleep) },
    Scene { name: "the leader is cut off for an hour", play: |seed| leader_gone(seed, cut) },
    Scene { name: "the leader is frozen for an hour", play: |seed| leader_gone(seed, freeze) },
    Scene { name: "the whole machine sleeps for an hour", play: everybody_sleeps },
    Scene { name: "a host is cut off for an hour", play: host_cut },
    Scene { name: "two hours of contention", play: contention },
    Scene { name: "the log is rolled back", play: |seed| rolled_back(seed, false) },
    Scene {
        name: "the log is rolled back and nobody left knows",
        play: |seed| rolled_back(seed, true),
    },
];

fn sleep(world: &mut World, process: usize) {
    world.stand_still(process, Still::Asleep, HOUR_MS);
}

fn freeze(world: &mut World, process: usize) {
    world.stand_still(process, Still::Frozen, HOUR_MS);
}

fn cut(world: &mut World, process: usize) {
    world.cut(process, HOUR_MS);
}

fn calm(seed: u64, change: impl FnOnce(&mut Plan)) -> World {
    let mut plan = Plan::calm();
    change(&mut plan);
    World::new(Rng::new(seed), plan)
}

/// What the log tells of losses.
#[derive(Debug, Default)]
struct Losses {
    lapsed: BTreeMap<ActorId, u64>,
    lost: BTreeMap<ActorId, u64>,
    spent: u64,
    completed: u64,
    terms: u64,
    /// How the tries ended that were spent.
    why: Vec<String>,
}

impl Losses {
    fn of(records: &[Record]) -> Losses {
        let mut losses = Losses::default();
        for event in records.iter().flat_map(|record| &record.events) {
            match event {
                Event::LeasesLapsed(it) => *losses.lapsed.entry(it.actor.clone()).or_default() += 1,
                Event::SessionLost(it) => *losses.lost.entry(it.actor.clone()).or_default() += 1,
                Event::AttemptEnded(it) if it.spent => {
                    losses.spent += 1;
                    losses.why.push(format!("{} try {}: {:?}", it.task, it.attempt, it.why));
                }
                Event::TaskCompleted(_) => losses.completed += 1,
                Event::EpochStarted(_) => losses.terms += 1,
                _ => {}
            }
        }
        losses
    }

    /// Nobody has lost anything.
    fn none(&self) -> Result<(), String> {
        let is_none = self.lapsed.is_empty() && self.lost.is_empty() && self.spent == 0;
        if is_none { Ok(()) } else { Err(format!("somebody has lost what was theirs: {self:?}")) }
    }
}

impl World {
    fn records(&self) -> Result<Vec<Record>, String> {
        let mut chain = Chain::default();
        let mut all = Vec::new();
        for entry in self.log.entries() {
            let accepted = chain.accept(entry.stream_seq, &entry.payload);
            if let Accepted::Records(records) = accepted.map_err(|halt| halt.to_string())? {
                all.extend(records);
            }
        }
        Ok(all)
    }

    fn leader(&self) -> Result<usize, String> {
        let mut leading = self.nodes.iter().filter(|node| node.view.is_leading());
        match (leading.next(), leading.next()) {
            (Some(node), None) => Ok(node.process),
            (None, _) => Err(format!("at {} ms: nobody leads", self.now)),
            (Some(_), Some(_)) => Err(format!("at {} ms: two lead", self.now)),
        }
    }

    /// Goes on for a while; what is wrong ends it.
    fn goes_on(&mut self, ms: u64) -> Result<(), String> {
        self.pass(ms);
        self.wrong.clone().map_or(Ok(()), Err)
    }

    /// Lets it come to its end.
    fn ends(self, seed: u64) -> Result<(), String> {
        self.finish(seed).wrong.map_or(Ok(()), Err)
    }
}

/// The other coordinator takes over, and nobody notices.
fn leader_gone(seed: u64, strike: fn(&mut World, usize)) -> Came {
    let mut world = calm(seed, |_| {});
    world.goes_on(BEFORE_MS)?;
    let leader = world.leader()?;
    strike(&mut world, leader);
    world.goes_on(HOUR_MS / 2)?;
    let other = world.nodes.iter().position(|it| it.process != leader && it.view.is_leading());
    if other.is_none() {
        return Err("half an hour later nobody has taken over".into());
    }
    let before = Losses::of(&world.records()?).completed;
    world.goes_on(HOUR_MS / 2 + AFTER_MS)?;
    world.leader()?;
    let losses = Losses::of(&world.records()?);
    losses.none()?;
    if losses.completed <= before || before < 10 {
        return Err(format!("the work does not go on: {losses:?}"));
    }
    let seen = format!("{} tasks completed over {} terms", losses.completed, losses.terms);
    world.ends(seed)?;
    Ok(seen)
}

/// Everybody sleeps and wakes together: sleep is no silence.
fn everybody_sleeps(seed: u64) -> Came {
    let mut world = calm(seed, |plan| plan.nodes = 1);
    world.goes_on(BEFORE_MS)?;
    for process in 0..world.processes.len() {
        sleep(&mut world, process);
    }
    world.goes_on(HOUR_MS)?;
    let before = Losses::of(&world.records()?);
    world.goes_on(AFTER_MS)?;
    let losses = Losses::of(&world.records()?);
    losses.none()?;
    if losses.terms <= before.terms || losses.completed <= before.completed {
        return Err(format!("waking is no new term, or the work does not go on: {losses:?}"));
    }
    let seen = format!("{} tasks completed over {} terms", losses.completed, losses.terms);
    world.ends(seed)?;
    Ok(seen)
}

/// Its session ends, once; everybody else's goes on, and afterwards it is one of them again.
fn host_cut(seed: u64) -> Came {
    let mut world = calm(seed, |_| {});
    world.goes_on(BEFORE_MS)?;
    let cut_off = world.workers[0].actor().clone();
    let process = world.workers[0].process;
    let awards = |world: &World| world.oracle.awards.get(&cut_off).copied().unwrap_or(0);
    cut(&mut world, process);
    world.goes_on(HOUR_MS)?;
    let before = awards(&world);
    world.goes_on(2 * AFTER_MS)?;
    let losses = Losses::of(&world.records()?);
    let only_it = BTreeMap::from([(cut_off.clone(), 1)]);
    let is_only_it = losses.lapsed.keys().all(|actor| *actor == cut_off);
    // What it had begun is lost with it, and that is all.
    if losses.lost != only_it || !is_only_it || losses.spent > 1 {
        return Err(format!("somebody has lost what was theirs: {losses:?}"));
    }
    if awards(&world) <= before {
        return Err(format!("{cut_off} is back and gets no work"));
    }
    let seen = format!("{} tasks completed, {} tries spent", losses.completed, losses.spent);
    world.ends(seed)?;
    Ok(seen)
}

/// Many want the same file for two hours, and many tasks want few agents: as much work as there
/// is room for, since of more the queue grows whoever is served first.
fn contention(seed: u64) -> Came {
    let mut world = calm(seed, |plan| {
        (plan.lockers, plan.people, plan.workers) = (8, 0, 4);
        (plan.think_ms, plan.tasks_ms, plan.contends) = (2_000, 20_000, true);
    });
    world.goes_on(2 * HOUR_MS)?;
    let records = world.records()?;
    Losses::of(&records).none()?;
    let (served, by_actor) = served_in_order(&records)?;
    let awards: Vec<u64> = world.oracle.awards.values().copied().collect();
    let (of_awards, of_leases) = (jain(&awards), jain(&by_actor));
    let is_fair = of_awards >= 950 && of_leases >= 950;
    if !is_fair || awards.len() != 4 || by_actor.len() != 8 || served < 1_000 {
        return Err(format!("awards {awards:?}, leases after waiting {by_actor:?}"));
    }
    let tasks: u64 = awards.iter().sum();
    let longest_s = longest_wait_ms(&records) / 1_000;
    if longest_s > 3_600 {
        return Err(format!("a task waited {longest_s} s for somebody to have it"));
    }
    let happened = |name| world.stats.events.get(name).copied().unwrap_or(0);
    let (queued, reviews) = (happened("paths_queued"), happened("task_reviewed"));
    if queued == 0 || reviews == 0 {
        return Err(format!("{queued} tasks waited for their paths, {reviews} were reviewed"));
    }
    // Nothing goes wrong here, so there is nothing that a person would have to settle.
    if happened("task_blocked") > 0 {
        return Err(format!("{} tasks wait for a person", happened("task_blocked")));
    }
    let seen = format!(
        "{served} waiters served in order (Jain 0.{of_leases:03}), \
         {tasks} awards (0.{of_awards:03}), {longest_s} s the longest wait of a task"
    );
    world.ends(seed)?;
    Ok(seen)
}

/// Who waits for `lock/a` gets it before all who came later; how many did, and each how often.
fn served_in_order(records: &[Record]) -> Result<(u64, Vec<u64>), String> {
    let is_it = |path: &RepoPath| path.key() == "lock/a";
    let mut queue: BTreeSet<(u64, ActorId, CommandId)> = BTreeSet::new();
    let mut served = BTreeMap::<ActorId, u64>::new();
    for record in records {
        for event in &record.events {
            match event {
                Event::LockQueued(it) if it.convert.is_none() && it.paths.iter().any(is_it) => {
                    queue.insert((record.seq, it.actor.clone(), it.id.clone()));
                }
                Event::LockWithdrawn(it) => {
                    let waiting = queue.len();
                    queue.retain(|(_, actor, id)| (actor, id) != (&it.actor, &it.id));
                    let is_of_it = queue.len() < waiting;
                    if is_of_it && it.why == WithdrawnWhy::TimedOut {
                        return Err(format!("record {}: {} waited in vain", record.seq, it.actor));
                    }
                }
                Event::LockGranted(it) if is_it(&it.path) => {
                    let first = queue.pop_first();
                    let name = first.as_ref().map(|(_, actor, id)| (actor, Some(id)));
                    if name.is_some_and(|name| name != (&it.actor, it.waited.as_ref())) {
                        return Err(format!(
                            "record {}: {} is served, and {first:?} was there before",
                            record.seq, it.actor
                        ));
                    }
                    *served.entry(it.actor.clone()).or_default() += u64::from(first.is_some());
                }
                _ => {}
            }
        }
    }
    Ok((served.values().sum(), served.into_values().collect()))
}

/// The longest time between the adding of a task and its first award. What it depends on is part
/// of that, so it says more than a task was ready for.
fn longest_wait_ms(records: &[Record]) -> u64 {
    let mut added = BTreeMap::new();
    let mut longest = 0;
    for record in records {
        for event in &record.events {
            match event {
                Event::TaskAdded(it) => _ = added.insert(it.task, record.at),
                Event::TaskAwarded(it) => {
                    let waited = added.remove(&it.task).map_or(0, |since| record.at.since(since));
                    longest = longest.max(waited);
                }
                _ => {}
            }
        }
    }
    // What nobody has had to the end counts too.
    let end = records.last().map(|record| record.at);
    let waiting = added.values().filter_map(|since| Some(end?.since(*since)));
    waiting.fold(longest, u64::max)
}

/// Jain's index of fairness, in thousandths.
fn jain(counts: &[u64]) -> u64 {
    let (sum, squares) = counts.iter().fold((0, 0), |(sum, all), n| (sum + n, all + n * n));
    (1_000 * sum * sum).checked_div(counts.len() as u64 * squares).unwrap_or(0)
}

/// The store is put back to where it was a while ago: whoever notices stops and says so.
fn rolled_back(seed: u64, all_forget: bool) -> Came {
    let mut world = calm(seed, |_| {});
    world.goes_on(BEFORE_MS)?;
    let old = world.log.entries().len() as u64;
    world.goes_on(BEFORE_MS)?;
    let lost = world.log.entries().len() as u64 - old;
    world.oracle.expects_halt = true;
    for node in 0..world.nodes.len() {
        world.crash(node, 3_000);
        if all_forget {
            world.nodes[node].forget_all();
        }
    }
    world.log.roll_back(old);
    world.goes_on(60_000)?;
    for node in &world.nodes {
        if node.halted.is_none() {
            return Err(format!("coordinator {} goes on, {lost} messages are gone", node.process));
        }
    }
    let why = world.nodes.iter().find_map(|node| node.halted.clone()).unwrap_or_default();
    if all_forget {
        // Until two actors have said what they had seen, nothing tells of the loss.
        return Ok(format!("{lost} messages lost; {why}"));
    }
    // At most the beginnings of terms, in which nothing else was decided.
    let after: Vec<Record> = world.records()?.split_off(world.records_up_to(old)?);
    let decided =
        after.iter().flat_map(|it| &it.events).any(|it| !matches!(it, Event::EpochStarted(_)));
    if decided {
        return Err(format!("something was decided on a log that had lost {lost} messages"));
    }
    Ok(format!("{lost} messages lost; {why}"))
}

impl World {
    fn records_up_to(&self, stream_seq: u64) -> Result<usize, String> {
        let mut chain = Chain::default();
        for entry in self.log.entries().iter().filter(|it| it.stream_seq <= stream_seq) {
            chain.accept(entry.stream_seq, &entry.payload).map_err(|halt| halt.to_string())?;
        }
        usize::try_from(chain.seq).map_err(|error| error.to_string())
    }
}
