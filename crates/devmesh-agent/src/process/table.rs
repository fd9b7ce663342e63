//! The system's process table as far as a tree walk needs it.

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) session: i32,
    /// Ticks since boot; with the pid it names a process for as long as the system runs.
    pub(super) started: u64,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Alive,
    Stopped,
    /// Dead, its exit code not yet taken.
    Zombie,
}

/// Every process that can be seen.
#[cfg(target_os = "linux")]
pub(super) fn read() -> Vec<Entry> {
    let Ok(dir) = std::fs::read_dir("/proc") else { return Vec::new() };
    dir.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(one)
        .collect()
}

/// One process, none when it is gone.
#[cfg(target_os = "linux")]
pub(super) fn one(pid: i32) -> Option<Entry> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(pid, &String::from_utf8_lossy(&stat))
}

/// Whether the process was started with this variable in its environment.
#[cfg(target_os = "linux")]
pub(super) fn is_marked(pid: i32, marker: &str) -> bool {
    let Ok(environ) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    let wanted = format!("{}={marker}", super::MARKER);
    environ.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
}

/// The folder that the process stands in.
#[cfg(target_os = "linux")]
pub(super) fn cwd(pid: i32) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// What tells this boot of the system from the others.
#[cfg(target_os = "linux")]
pub(super) fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read() -> Vec<Entry> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn one(_pid: i32) -> Option<Entry> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_marked(_pid: i32, _marker: &str) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub(super) fn cwd(_pid: i32) -> Option<std::path::PathBuf> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn boot_id() -> String {
    String::new()
}

/// The name stands in brackets and may hold anything, brackets and spaces included; the fields
/// after the last bracket are state, ppid, pgrp, session, … and start time as the twentieth.
#[cfg(target_os = "linux")]
fn parse(pid: i32, stat: &str) -> Option<Entry> {
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    let state = match *fields.first()? {
        "Z" | "X" | "x" => State::Zombie,
        "T" | "t" => State::Stopped,
        _ => State::Alive,
    };
    let number = |at: usize| fields.get(at)?.parse::<i32>().ok();
    let started = fields.get(19)?.parse().ok()?;
    Some(Entry { pid, parent: number(1)?, session: number(3)?, started, state })
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
