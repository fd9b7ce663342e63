//! One run: a seed, so many steps under faults, then none, until everything has come to its end.

use devmesh_agent::input::Input;
use devmesh_domain::look::look;
use devmesh_protocol::Digest;
use devmesh_protocol::query::What;

use crate::plan::Plan;
use crate::rng::Rng;
use crate::stats::Stats;
use crate::world::{HOUR_MS, World};

/// How long everything may take to come to its end once nothing goes wrong any more.
const HEAL_MS: u64 = 2 * HOUR_MS;
/// States of tasks that have not come to their end.
const LIVE: [&str; 8] =
    ["queued", "claimed", "working", "verifying", "review", "landing", "paused", "blocked"];

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What was counted.
    pub stats: Stats,
    /// A fingerprint of all that happened.
    pub trace: u64,
    /// A fingerprint of the log.
    pub log: Digest,
    /// What was wrong first.
    pub wrong: Option<String>,
    /// The log's messages, where something was wrong.
    pub messages: Vec<Vec<u8>>,
}

/// The run of a seed.
#[must_use]
pub fn run(seed: u64, steps: u64) -> Outcome {
    let mut rng = Rng::new(seed);
    let plan = Plan::of(&mut rng);
    let mut world = World::new(rng, plan);
    while world.stats.steps < steps && world.wrong.is_none() && world.step() {}
    world.finish(seed)
}

impl World {
    /// Lets simulated time pass.
    pub(crate) fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        while self.now < until && self.wrong.is_none() && self.step() {}
    }

    /// Ends the faults, lets everything come to its end, and checks what can only be checked then.
    #[must_use]
    pub(crate) fn finish(mut self, seed: u64) -> Outcome {
        self.heal();
        let limit = self.now + HEAL_MS;
        let mut are_over = false;
        let mut is_done = false;
        while self.now < limit && self.wrong.is_none() && !is_done {
            self.pass(500);
            are_over |= self.are_tasks_over();
            if are_over {
                self.end_workers();
                is_done = self.is_quiet();
            }
        }
        if !is_done && self.wrong.is_none() {
            let left = self.left();
            self.broken(format!("two hours after the last fault there is left: {left}"));
        }
        if self.wrong.is_none() {
            self.check_agreement();
        }
        if self.wrong.is_none()
            && let Err(why) = self.history.check()
        {
            self.broken(why);
        }
        self.outcome(seed)
    }

    fn outcome(mut self, seed: u64) -> Outcome {
        let entries = self.log.entries();
        let mut log = Digest::of(b"");
        for entry in &entries {
            log = Digest::of_pair(&log.0, &entry.payload);
        }
        self.stats.runs = 1;
        self.stats.simulated_ms = self.now;
        self.stats.operations = self.history.operations();
        if self.wrong.is_none() && (self.stats.records < 10 || self.stats.answers < 10) {
            self.broken("nothing has happened");
        }
        let keep = self.wrong.is_some();
        let messages = match keep {
            true => entries.iter().map(|entry| entry.payload.to_vec()).collect(),
            false => Vec::new(),
        };
        let World { stats, trace, wrong, .. } = self;
        Outcome { seed, stats, trace, log, wrong, messages }
    }

    /// Every task that was asked for has come to its end.
    fn are_tasks_over(&self) -> bool {
        self.calls.open() == 0 && self.rows(&LIVE).is_empty() && !self.oracle.is_paused()
    }

    fn end_workers(&mut self) {
        for worker in 0..self.workers.len() {
            let it = &self.workers[worker];
            if self.processes[it.process].alive && !it.view.leaving {
                self.reach_worker(worker, None, Input::Shutdown);
            }
        }
    }

    fn counts(&self) -> (u64, u64, u64) {
        let shown = look(self.oracle.state(), &What::State).unwrap_or_default();
        let number = |name: &str| shown.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
        (number("agents"), number("leases"), number("waiters"))
    }

    /// Nobody is there any more, nothing is held and nobody waits.
    fn is_quiet(&self) -> bool {
        self.workers.iter().all(|it| it.is_gone)
            && self.lockers.iter().all(|it| it.is_gone)
            && self.counts() == (0, 0, 0)
            && self.calls.open() == 0
    }

    fn left(&self) -> String {
        let (agents, leases, waiters) = self.counts();
        format!(
            "{agents} agents, {leases} leases, {waiters} waiters, tasks {:?}, requests {:?}, \
             agents in {:?}",
            self.rows(&LIVE),
            self.calls.list(),
            self.workers
                .iter()
                .map(|it| (it.view.standing, it.view.attempt.as_ref().map(|at| &at.phase)))
                .collect::<Vec<_>>(),
        )
    }
}
