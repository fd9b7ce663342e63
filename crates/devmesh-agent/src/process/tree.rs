//! All processes of a run, found again by parentage, session and marker, signalled together.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::table::{self, Entry, State};

/// How often a stopping tree is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Rounds of killing before a process that will not die (stuck in the kernel) is given up.
const KILL_ROUNDS_MAX: u32 = 250;

/// The processes of one run.
#[derive(Debug)]
pub struct Tree {
    root: Option<i32>,
    marker: String,
    /// Everything ever seen of it: pid and start time, so that orphans stay known.
    known: BTreeMap<i32, u64>,
}

impl Tree {
    /// The tree that grows from a process just started as leader of its session.
    pub fn of(root: Option<u32>, marker: String) -> Self {
        let root = root.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 1);
        let mut known = BTreeMap::new();
        if let Some(entry) = root.and_then(table::one) {
            known.insert(entry.pid, entry.started);
        }
        Self { root, marker, known }
    }

    /// The tree of a run that an earlier process of ours started.
    pub(super) fn found(pid: i32, started: u64, marker: String) -> Self {
        Self { root: None, marker, known: BTreeMap::from([(pid, started)]) }
    }

    /// Process ids of what is alive or frozen.
    pub fn living(&mut self) -> Vec<i32> {
        self.walk().into_iter().map(|entry| entry.pid).collect()
    }

    /// Ends everything: TERM to the group, time to clean up, KILL to the group and to every
    /// descendant until none is left. Returns the number that would not die.
    pub async fn stop(&mut self, grace: Duration) -> usize {
        if self.walk().is_empty() {
            return 0;
        }
        // Some CLIs clean their tool shells up only when asked politely first.
        self.signal_group(Signal::SIGTERM);
        self.signal_known(Signal::SIGTERM);
        self.signal_all(Signal::SIGCONT);
        let polite_until = Instant::now() + grace;
        while !self.walk().is_empty() && Instant::now() < polite_until {
            tokio::time::sleep(LOOK).await;
        }
        for _ in 0..KILL_ROUNDS_MAX {
            if self.walk().is_empty() {
                return 0;
            }
            self.signal_group(Signal::SIGKILL);
            self.signal_all(Signal::SIGKILL);
            tokio::time::sleep(LOOK).await;
        }
        self.walk().len()
    }

    /// Stops all where they stand, and those that are born meanwhile.
    pub async fn freeze(&mut self) {
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until {
            let moving = self.walk().into_iter().filter(|entry| entry.state == State::Alive);
            let moving: Vec<Entry> = moving.collect();
            if moving.is_empty() {
                return;
            }
            for entry in moving {
                signal(entry, Signal::SIGSTOP);
            }
            tokio::time::sleep(LOOK / 4).await;
        }
    }

    /// Lets all go on.
    pub fn thaw(&mut self) {
        self.signal_all(Signal::SIGCONT);
    }

    /// Everything alive that belongs to the run; learns new members, takes exit codes of adopted
    /// ones.
    fn walk(&mut self) -> Vec<Entry> {
        let all = table::read();
        let by_pid: BTreeMap<i32, Entry> = all.iter().map(|entry| (entry.pid, *entry)).collect();
        self.known
            .retain(|pid, started| by_pid.get(pid).is_some_and(|entry| entry.started == *started));
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        for entry in &all {
            let same_session = self.root.is_some_and(|root| entry.session == root);
            let strange = entry.pid != own && !self.known.contains_key(&entry.pid);
            if strange && (same_session || table::is_marked(entry.pid, &self.marker)) {
                self.known.insert(entry.pid, entry.started);
            }
        }
        self.learn_children(&all, own);
        self.reap(&by_pid, own);
        let members = self.known.keys().filter_map(|pid| by_pid.get(pid).copied());
        members.filter(|entry| entry.state != State::Zombie).collect()
    }

    fn learn_children(&mut self, all: &[Entry], own: i32) {
        loop {
            let before = self.known.len();
            for entry in all {
                if entry.pid != own && self.known.contains_key(&entry.parent) {
                    self.known.entry(entry.pid).or_insert(entry.started);
                }
            }
            if self.known.len() == before {
                return;
            }
        }
    }

    /// Orphans fall to this process, which must take their exit codes; the root's is taken by
    /// whoever started it.
    fn reap(&self, by_pid: &BTreeMap<i32, Entry>, own: i32) {
        for pid in self.known.keys().filter(|pid| self.root != Some(**pid)) {
            let dead = by_pid
                .get(pid)
                .is_some_and(|entry| entry.state == State::Zombie && entry.parent == own);
            if dead {
                let _ = waitpid(Pid::from_raw(*pid), Some(WaitPidFlag::WNOHANG));
            }
        }
    }

    fn signal_group(&self, sign: Signal) {
        // The group's leader may be gone and its number used again, but never while the group
        // has members, and without members there is nobody to hit.
        if let Some(root) = self.root {
            let _ = killpg(Pid::from_raw(root), sign);
        }
    }

    /// The run of an earlier process has no group that is surely its own.
    fn signal_known(&mut self, sign: Signal) {
        if self.root.is_none() {
            self.signal_all(sign);
        }
    }

    fn signal_all(&mut self, sign: Signal) {
        for entry in self.walk() {
            signal(entry, sign);
        }
    }
}

/// Signals a process unless its number belongs to another by now.
fn signal(entry: Entry, sign: Signal) {
    if table::one(entry.pid).is_some_and(|now| now.started == entry.started) {
        let _ = kill(Pid::from_raw(entry.pid), sign);
    }
}
