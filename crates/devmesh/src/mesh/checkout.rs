//! What the person changes by hand in the checkouts of this mesh is reported, so that other work
//! goes first and agents know. Nobody is kept out by it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use devmesh_protocol::command::mesh::CheckoutReport;
use devmesh_protocol::limits::PATHS_MAX;
use devmesh_protocol::view::RepoView;
use devmesh_protocol::{RepoId, RepoPath, Verb};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::context::Link;
use crate::host::Joined;
use crate::state_dir::StateDir;

/// Between two looks at the least, and where nothing changes for long.
const LOOK_MIN: Duration = Duration::from_secs(2);
const LOOK_MAX: Duration = Duration::from_secs(60);
const QUIET: Duration = Duration::from_secs(10);
/// A look takes at most one part in so many of the time.
const SHARE: u32 = 50;
/// A git that takes longer is ended; the next look comes later.
const STATUS_WITHIN: Duration = Duration::from_secs(30);
/// What is read of git's list; more is only counted as far as it was read.
const LIST_BYTES_MAX: u64 = 4 << 20;

/// What is changed in a checkout: paths, and how many more there are.
type Changes = (Vec<RepoPath>, u32);

/// What is known of one checkout.
#[derive(Debug, Default)]
struct Known {
    /// As it looked the last time.
    seen: Option<Changes>,
    /// As it was reported.
    told: Option<Changes>,
}

impl Known {
    /// What is to be reported after a look: what has stood for two of them, and is news. A save
    /// half written, or a checkout of another branch, is gone by then.
    fn look(&mut self, now: Changes) -> Option<Changes> {
        let stands = self.seen.as_ref() == Some(&now);
        let news = self.told.as_ref() != Some(&now);
        self.seen = Some(now.clone());
        (stands && news).then_some(now)
    }
}

/// Looks again and again, until it is dropped.
pub(super) async fn watch(state: StateDir, person: Link) {
    let mut known: BTreeMap<RepoId, Known> = BTreeMap::new();
    let mut pause = LOOK_MIN;
    loop {
        tokio::time::sleep(pause).await;
        let began = Instant::now();
        let moved = round(&state, &person, &mut known).await;
        let least = if moved { LOOK_MIN } else { (pause * 2).min(QUIET) };
        pause = least.max(began.elapsed() * SHARE).min(LOOK_MAX);
    }
}

/// One look at every checkout; whether anything had changed.
async fn round(state: &StateDir, person: &Link, known: &mut BTreeMap<RepoId, Known>) -> bool {
    let repos: Vec<RepoView> = match person.list("repos", json!({})).await {
        Ok(repos) => repos,
        Err(error) => {
            tracing::debug!(error = error.lines().join(" "), "the repositories were not told");
            return false;
        }
    };
    let own = Joined::host_at(state).unwrap_or_default();
    let mut moved = false;
    for view in repos {
        // A path says nothing of another host.
        if view.host != own {
            continue;
        }
        let Some(path) = view.path.as_deref().map(Path::new).filter(|path| state.owns(path)) else {
            continue;
        };
        let Some(now) = changes(path).await else { continue };
        let known = known.entry(view.repo.clone()).or_default();
        moved |= known.seen.as_ref() != Some(&now);
        let Some((paths, more)) = known.look(now) else { continue };
        let told = (paths.clone(), more);
        let report = CheckoutReport { repo: Some(view.repo), paths, more };
        match person.done(Verb::CheckoutReport(report)).await {
            Ok(_) => known.told = Some(told),
            Err(error) => {
                tracing::debug!(error = error.lines().join(" "), "a checkout was not reported");
            }
        }
    }
    moved
}

/// What differs from the last commit; none where git cannot say.
async fn changes(root: &Path) -> Option<Changes> {
    let mut child = Command::new("git")
        // Neither a lock that the person's own git would meet, nor a program that the
        // repository's configuration names.
        .args(["--no-optional-locks", "-c", "core.fsmonitor=false", "status", "--porcelain=v1"])
        .args(["-z", "--no-renames", "--untracked-files=normal", "--ignore-submodules=dirty"])
        .current_dir(root)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let stdout = child.stdout.take()?;
    let read = async {
        let mut list = Vec::new();
        stdout.take(LIST_BYTES_MAX).read_to_end(&mut list).await.ok()?;
        let whole = (list.len() as u64) < LIST_BYTES_MAX;
        if whole && !child.wait().await.ok()?.success() {
            return None;
        }
        Some(parse(&list))
    };
    tokio::time::timeout(STATUS_WITHIN, read).await.ok()?
}

/// The paths of `git status -z`, as many as one report takes.
fn parse(list: &[u8]) -> Changes {
    let mut paths = Vec::new();
    let mut more: u32 = 0;
    for entry in list.split(|byte| *byte == 0).filter(|entry| entry.len() > 3) {
        let path = std::str::from_utf8(&entry[3..]).ok().and_then(|path| RepoPath::new(path).ok());
        match path.filter(|_| paths.len() < PATHS_MAX) {
            Some(path) => paths.push(path),
            // What no lease can name is counted.
            None => more = more.saturating_add(1),
        }
    }
    (paths, more)
}

#[cfg(test)]
mod tests;
