//! What hits processes: they die, stand still, sleep, are cut off; clocks are set, the store is
//! full.

use crate::process::Still;
use crate::world::{HOUR_MS, Happening, World};

/// A lease's time to live, around which standing still is interesting.
const TTL_MS: u64 = 15_000;

impl World {
    /// Something hits a process, or several.
    pub(crate) fn blow(&mut self) {
        if self.healing {
            return;
        }
        let ms = self.rng.within(1, self.plan.blow_ms);
        self.after(ms, Happening::Blow);
        let blows = self.plan.blows;
        let weights = [
            blows.crash,
            blows.freeze,
            blows.sleep,
            blows.cut,
            blows.clock,
            blows.full,
            blows.hour,
            blows.ears,
        ];
        let all: u64 = weights.iter().sum();
        if all == 0 {
            return;
        }
        let mut drawn = self.rng.below(all);
        let kind = weights.iter().position(|weight| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        let many = if self.rng.below(10) < blows.all { self.processes.len() as u64 } else { 1 };
        for _ in 0..many {
            let process = self.victim();
            self.hit(process, kind.unwrap_or(0));
        }
    }

    /// Coordinators are hit as often as all others together.
    fn victim(&mut self) -> usize {
        let of = if self.rng.chance(500) { self.nodes.len() } else { self.processes.len() };
        usize::try_from(self.rng.below(of as u64)).unwrap_or(0)
    }

    fn hit(&mut self, process: usize, kind: usize) {
        let it = &self.processes[process];
        if !it.alive || it.still.is_some() || it.cut_until > self.now {
            return;
        }
        let ms = self.rng.pick(&[100, 700, 3_000, TTL_MS / 2, TTL_MS, 3 * TTL_MS]);
        match kind {
            0 => self.crash(process, ms),
            1 => self.stand_still(process, Still::Frozen, ms),
            2 => self.stand_still(process, Still::Asleep, ms),
            3 => self.cut(process, ms),
            4 => {
                let hours = i64::try_from(self.rng.below(2 * HOUR_MS)).unwrap_or(0);
                let hour = i64::try_from(HOUR_MS).unwrap_or(0);
                self.stats.fault("process: clock set");
                self.processes[process].wall_skew += hours - hour;
            }
            5 => {
                self.stats.fault("store: full");
                self.log.refuse(true);
                self.after(ms, Happening::Room);
            }
            7 => self.deafen(process, ms),
            _ => match self.rng.below(3) {
                0 => self.stand_still(process, Still::Frozen, HOUR_MS),
                1 => self.stand_still(process, Still::Asleep, HOUR_MS),
                _ => self.cut(process, HOUR_MS),
            },
        }
    }

    /// A process dies, and begins again after a while.
    pub(crate) fn crash(&mut self, process: usize, ms: u64) {
        if self.nodes.get(process).is_some_and(|node| node.halted.is_some()) {
            return;
        }
        self.stats.fault("process: crash");
        self.processes[process].die();
        self.calls.forget(process);
        self.forget_stash(process);
        if let Some(node) = self.nodes.get_mut(process) {
            node.hears = false;
        }
        self.after(ms, Happening::Begin { process });
    }

    /// A process stands still for a while.
    pub(crate) fn stand_still(&mut self, process: usize, how: Still, ms: u64) {
        self.stats.fault(match (how, ms) {
            (Still::Frozen, HOUR_MS) => "process: frozen for an hour",
            (Still::Asleep, HOUR_MS) => "process: asleep for an hour",
            (Still::Frozen, _) => "process: frozen",
            (Still::Asleep, _) => "process: asleep",
        });
        self.processes[process].still = Some((how, self.now));
        self.after(ms, Happening::GoOn { process });
    }

    /// A process is cut off from everybody for a while.
    pub(crate) fn cut(&mut self, process: usize, ms: u64) {
        self.stats.fault(if ms == HOUR_MS {
            "process: cut off for an hour"
        } else {
            "process: cut off"
        });
        self.processes[process].cut_until = self.now + ms;
        self.connection_lost(process);
    }

    /// A coordinator's connection for all but the log is dead for a while, and it does not know.
    fn deafen(&mut self, process: usize, ms: u64) {
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(process).filter(|node| node.deaf_until <= now) {
            node.deaf_until = now + ms;
            self.stats.fault("coordinator: deaf and dumb");
        }
    }

    /// All of it ends: everybody runs, hears everybody, and has its clock set right; with one that
    /// is far ahead nobody can name a command.
    pub(crate) fn heal(&mut self) {
        self.healing = true;
        self.log.refuse(false);
        for node in &mut self.nodes {
            node.deaf_until = self.now;
        }
        for process in 0..self.processes.len() {
            self.processes[process].cut_until = self.now;
            self.processes[process].wall_skew = 0;
            if self.processes[process].still.is_some() {
                self.go_on(process);
            }
        }
    }
}
