//! What is counted in a run, so that one in which nothing happened cannot pass for a good one.

use std::collections::BTreeMap;

/// The counts of a run, or of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Runs.
    pub runs: u64,
    /// Things that happened, timers that found nothing to do left out.
    pub steps: u64,
    /// Timers.
    pub ticks: u64,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// Records checked.
    pub records: u64,
    /// Commands answered.
    pub answers: u64,
    /// Answers that were given again.
    pub again: u64,
    /// Operations on leases whose history was checked.
    pub operations: u64,
    /// Messages lost.
    pub lost: u64,
    /// Messages that came twice.
    pub twice: u64,
    /// Messages that came late.
    pub late: u64,
    /// Messages to or from who was cut off or asleep.
    pub cut: u64,
    /// Messages to a life that was over.
    pub dead: u64,
    /// Commands sent again long after.
    pub ghosts: u64,
    /// Faults of the log, blows at processes, faults of tools, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// What came of it: terms, leaders at once, tasks by their end, by name.
    pub events: BTreeMap<&'static str, u64>,
    /// Refusals by code.
    pub refusals: BTreeMap<&'static str, u64>,
}

impl Stats {
    /// Counts a step; gives back what it is to be told by.
    pub fn step(&mut self, kind: u64) -> u64 {
        self.steps += 1;
        kind
    }

    /// Counts a fault.
    pub fn fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }

    /// Counts an event.
    pub fn event(&mut self, name: &'static str) {
        *self.events.entry(name).or_default() += 1;
    }

    /// Faults of all kinds.
    #[must_use]
    pub fn all_faults(&self) -> u64 {
        let named: u64 = self.faults.values().sum();
        named + self.lost + self.twice + self.late + self.cut + self.ghosts
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Stats) {
        self.runs += other.runs;
        self.steps += other.steps;
        self.ticks += other.ticks;
        self.simulated_ms += other.simulated_ms;
        self.records += other.records;
        self.answers += other.answers;
        self.again += other.again;
        self.operations += other.operations;
        self.lost += other.lost;
        self.twice += other.twice;
        self.late += other.late;
        self.cut += other.cut;
        self.dead += other.dead;
        self.ghosts += other.ghosts;
        for (mine, theirs) in [
            (&mut self.faults, &other.faults),
            (&mut self.events, &other.events),
            (&mut self.refusals, &other.refusals),
        ] {
            for (name, n) in theirs {
                *mine.entry(name).or_default() += n;
            }
        }
    }
}
