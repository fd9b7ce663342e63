//! Other processes: who they are, whether they live, how they end.
//!
//! A process number is used again; a process is known by its number and the time it started.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// How often a process that is to end is looked at.
const POLL: Duration = Duration::from_millis(20);

/// One process, and no other that bears its number later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Its number.
    pub(crate) pid: u32,
    /// When it started, in the system's own words.
    pub(crate) started: String,
}

impl Known {
    /// The process that bears this number now.
    pub(crate) fn of(pid: u32) -> Option<Known> {
        Some(Known { pid, started: started(pid)? })
    }

    /// This process.
    pub(crate) fn own() -> Option<Known> {
        Known::of(std::process::id())
    }

    /// Whether it still runs.
    pub(crate) fn lives(&self) -> bool {
        started(self.pid).is_some_and(|now| now == self.started)
    }

    /// Sends a signal to it alone. One that has gone needs none.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.lives()
            && let Ok(pid) = i32::try_from(self.pid)
        {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Waits until it has gone; whether it has within the time.
    pub(crate) async fn gone(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while self.lives() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }

    /// Asks it to end, and kills it and what it started where it does not within the time.
    /// Whether it ended by itself.
    pub(crate) async fn end(&self, within: Duration) -> bool {
        // A stopped process takes the request only when it goes on.
        self.signal(Signal::SIGTERM);
        self.signal(Signal::SIGCONT);
        if self.gone(within).await {
            return true;
        }
        let below = descendants(self.pid);
        self.signal(Signal::SIGKILL);
        for process in below {
            process.signal(Signal::SIGKILL);
        }
        self.gone(Duration::from_secs(5)).await;
        false
    }
}

/// All processes that this one started, and that they started.
pub(crate) fn descendants(pid: u32) -> Vec<Known> {
    let parents = parents();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        let children =
            parents.iter().filter(|(child, of)| **of == parent && !found.contains(child));
        let children: Vec<u32> = children.map(|(child, _)| *child).collect();
        found.extend(children);
    }
    found.into_iter().skip(1).filter_map(Known::of).collect()
}

/// All processes that are told `path`, or something in it, on their command line.
pub(crate) fn told(path: &Path) -> Vec<Known> {
    let own = std::process::id();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_told = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0)
            .skip(1)
            .any(|arg| Path::new(OsStr::from_bytes(arg)).starts_with(path))
    };
    numbers.filter(|pid| *pid != own && is_told(pid)).filter_map(Known::of).collect()
}

/// The name of the program that a process runs.
pub(crate) fn program(process: &Known) -> String {
    let name = std::fs::read_to_string(format!("/proc/{}/comm", process.pid));
    name.unwrap_or_default().trim().to_owned()
}

/// The parent of every process.
fn parents() -> BTreeMap<u32, u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return BTreeMap::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|pid: u32| Some((pid, stat(pid)?.get(1)?.parse().ok()?))).collect()
}

/// The fields of `/proc/PID/stat` from the state on; the name before it may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// When the process of this number started; none where there is none, or only its remains.
fn started(pid: u32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        let fields = stat(pid)?;
        let ended = matches!(fields.first().map(String::as_str), Some("Z" | "X"));
        return if ended { None } else { fields.get(19).cloned() };
    }
    let number = pid.to_string();
    let output =
        std::process::Command::new("ps").args(["-o", "lstart=", "-p", &number]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
