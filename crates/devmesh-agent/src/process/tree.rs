//! All processes of a run, found again by parentage, session and marker, signalled together.
//! One that has shed all three has fallen to this process, which is the subreaper: it belongs to
//! the run whose sessions or folder it has, else to the only run that can have started it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::roots::{self, Seat};
use super::table::{self, Entry, State};

/// How often a stopping tree is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// What a stray gets between the two signals that no other run may own.
const STRAY_GRACE: Duration = Duration::from_millis(500);
/// Rounds of killing before a process that will not die (stuck in the kernel) is given up.
const KILL_ROUNDS_MAX: u32 = 250;

/// The processes of one run.
#[derive(Debug)]
pub struct Tree {
    /// The first process; none where an earlier process of ours started it.
    seat: Option<Seat>,
    marker: String,
    /// Where it works.
    cwd: PathBuf,
    /// Everything ever seen of it: pid and start time, so that orphans stay known.
    known: BTreeMap<i32, u64>,
    /// The sessions of all of these.
    sessions: BTreeSet<i32>,
}

impl Tree {
    /// Starts the command as leader of a session of its own, and the tree that grows from it.
    pub(crate) fn start(
        command: &mut tokio::process::Command,
        marker: String,
        cwd: PathBuf,
    ) -> std::io::Result<(tokio::process::Child, Self)> {
        command.env(super::MARKER, &marker);
        super::in_new_session(command);
        let (child, seat) = roots::enter(command)?;
        let (mut known, mut sessions) = (BTreeMap::new(), BTreeSet::new());
        if let Some(seat) = &seat {
            known.insert(seat.pid(), seat.started());
            sessions.insert(seat.pid());
        }
        Ok((child, Self { seat, marker, cwd, known, sessions }))
    }

    /// The tree of a run that an earlier process of ours started.
    pub(super) fn found(members: &[(i32, u64)], marker: String) -> Self {
        let known = members.iter().copied().collect();
        let (cwd, sessions) = (PathBuf::new(), BTreeSet::new());
        Self { seat: None, marker, cwd, known, sessions }
    }

    /// Looks for new members while the run lasts; gives those that only this process knows of,
    /// for they have left the run's session.
    pub(super) fn learn(&mut self) -> Vec<(i32, u64)> {
        let root = self.root();
        let strays = self.walk().into_iter().filter(|entry| Some(entry.session) != root);
        strays.map(|entry| (entry.pid, entry.started)).collect()
    }

    fn root(&self) -> Option<i32> {
        self.seat.as_ref().map(Seat::pid)
    }

    /// Process ids of what is alive or frozen.
    pub fn living(&mut self) -> Vec<i32> {
        self.walk().into_iter().map(|entry| entry.pid).collect()
    }

    /// Ends everything: TERM to the group and to orphans, time to clean up, KILL to the group and
    /// to every descendant until none is left. Returns the number that would not die.
    pub async fn stop(&mut self, grace: Duration) -> usize {
        let left = self.end(grace).await;
        // Of two runs that end at once each would leave a stray to the other.
        if let Some(seat) = &self.seat {
            seat.leave();
        }
        left + self.end(grace.min(STRAY_GRACE)).await
    }

    async fn end(&mut self, grace: Duration) -> usize {
        if self.walk().is_empty() {
            return 0;
        }
        // Some CLIs clean their tool shells up only when asked politely first.
        self.signal_group(Signal::SIGTERM);
        self.signal_orphans(Signal::SIGTERM);
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
        let own_session = by_pid.get(&own).map(|entry| entry.session);
        let root = self.root();
        self.learn_children(&all, own);
        for entry in &all {
            if entry.pid == own || self.known.contains_key(&entry.pid) {
                continue;
            }
            let same_session = root.is_some_and(|root| entry.session == root);
            // Runs have sessions of their own; git and all else that is started here has not.
            let is_orphan = entry.parent == own && Some(entry.session) != own_session;
            if same_session
                || (is_orphan && self.owns(entry))
                || table::is_marked(entry.pid, &self.marker)
            {
                self.known.insert(entry.pid, entry.started);
            }
        }
        self.learn_children(&all, own);
        let sessions = self.known.keys().filter_map(|pid| by_pid.get(pid));
        let sessions = sessions.map(|entry| entry.session).filter(|it| Some(*it) != own_session);
        self.sessions.extend(sessions);
        self.reap(&by_pid, own);
        let members = self.known.keys().filter_map(|pid| by_pid.get(pid).copied());
        members.filter(|entry| entry.state != State::Zombie).collect()
    }

    /// Whether an orphan that fell to this process was started by this run.
    fn owns(&self, orphan: &Entry) -> bool {
        let Some(seat) = &self.seat else { return false };
        if Seat::is_root(orphan.pid) || orphan.started < seat.started() {
            return false;
        }
        self.sessions.contains(&orphan.session)
            || table::cwd(orphan.pid).is_some_and(|cwd| cwd.starts_with(&self.cwd))
            || seat.alone_since(orphan.started)
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
        for pid in self.known.keys().filter(|pid| self.root() != Some(**pid)) {
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
        if let Some(root) = self.root() {
            let _ = killpg(Pid::from_raw(root), sign);
        }
    }

    /// The run of an earlier process has no group that is surely its own, and what has lost its
    /// parent has nobody who would clean it up.
    fn signal_orphans(&mut self, sign: Signal) {
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let (root, found) = (self.root(), self.seat.is_none());
        for entry in self.walk() {
            if found || (entry.parent == own && Some(entry.pid) != root) {
                signal(entry, sign);
            }
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
