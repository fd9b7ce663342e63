//! Processes that are still there: found by a folder that stands in their environment or command
//! line, so that one that forgot who started it is found too.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long the last processes may take to be gone.
const GONE_MAX: Duration = Duration::from_secs(5);

/// A process that names the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its command line.
    pub command: String,
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.pid, self.command)
    }
}

/// All processes that name the folder, but for this one. Empty where the system does not tell.
pub fn processes(root: &Path) -> Vec<Process> {
    let needle = root.to_string_lossy().into_owned();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let mut found: Vec<Process> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .filter_map(|pid| naming(pid, &needle))
        .collect();
    found.sort_unstable_by_key(|process| process.pid);
    found
}

fn naming(pid: i32, needle: &str) -> Option<Process> {
    let read = |name: &str| {
        let bytes = std::fs::read(format!("/proc/{pid}/{name}")).ok()?;
        Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
    };
    let command = read("cmdline")?;
    let names = command.contains(needle) || read("environ").is_some_and(|e| e.contains(needle));
    names.then(|| Process { pid, command: command.trim_end().to_owned() })
}

/// Waits until none is left; those that are after a while.
pub async fn wait(root: &Path) -> Vec<Process> {
    let deadline = Instant::now() + GONE_MAX;
    loop {
        let left = processes(root);
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Ends whatever names the folder: kindly, then not.
pub async fn end_all(root: &Path) {
    for process in processes(root) {
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGTERM);
    }
    for process in wait(root).await {
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests;
