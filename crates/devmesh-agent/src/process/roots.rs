//! The runs that this process has under way. Orphans fall to the process and not to a run of
//! it, so that which of them may end a stray is known here alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::table;

/// Children are the process's, and so is the list of those that it started itself.
static ROOTS: Mutex<BTreeMap<i32, Root>> = Mutex::new(BTreeMap::new());

/// The first process of a run.
#[derive(Debug, Clone, Copy)]
struct Root {
    /// Ticks since boot.
    started: u64,
    /// Its run has ended what it knew; strays are left to the runs that go on.
    left: bool,
}

fn roots() -> MutexGuard<'static, BTreeMap<i32, Root>> {
    // Nothing is ever half written here.
    ROOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place in the list, given up when dropped: after the exit code was taken.
#[derive(Debug)]
pub(super) struct Seat {
    pid: i32,
    started: u64,
}

/// Starts a run's first process and lists it. No walk can take it for a stray in between.
pub(super) fn enter(
    command: &mut tokio::process::Command,
) -> std::io::Result<(tokio::process::Child, Option<Seat>)> {
    let mut roots = roots();
    let child = command.spawn()?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let seat = pid.filter(|pid| *pid > 1).map(|pid| {
        let started = table::one(pid).map_or(0, |entry| entry.started);
        roots.insert(pid, Root { started, left: false });
        Seat { pid, started }
    });
    Ok((child, seat))
}

impl Seat {
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) fn started(&self) -> u64 {
        self.started
    }

    /// From now on strays that may be this run's are left to the others that may own them.
    pub(super) fn leave(&self) {
        if let Some(root) = roots().get_mut(&self.pid) {
            root.left = true;
        }
    }

    /// Whether a process is the first of any run.
    pub(super) fn is_root(pid: i32) -> bool {
        roots().contains_key(&pid)
    }

    /// Whether of all runs under way only this one can have started what began at `started`.
    pub(super) fn alone_since(&self, started: u64) -> bool {
        let can = |root: &Root| !root.left && root.started <= started;
        self.started <= started && !roots().iter().any(|(pid, root)| *pid != self.pid && can(root))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        roots().remove(&self.pid);
    }
}
