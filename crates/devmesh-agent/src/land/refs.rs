//! The turn ref, and who moved a branch since the log last looked.

use std::time::Duration;

use super::{Turn, obstacle};
use crate::error::{Error, Result};
use crate::git::{Git, refused, resolve};
use crate::origin::{Move, Pushed};

/// Tries to move the turn ref; each loser reads again.
const TRIES_MAX: u32 = 5;
/// Between two of them; a git that holds the lock is done in less.
const PAUSE: Duration = Duration::from_millis(500);

/// Who moved the target since the log's last look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Commits of attempts that the log does not know as landed, oldest first.
    pub found: Vec<Found>,
    /// A move by somebody else: from the head that was known to the one that is there.
    pub moved: Option<(String, String)>,
}

/// A landed commit that the log has not recorded: its agent died before it could tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The commit.
    pub commit: String,
    /// Its task.
    pub task: String,
    /// Its attempt.
    pub attempt: u32,
    /// The token of its turn.
    pub token: Option<u64>,
    /// When it was made, seconds UTC.
    pub at_s: u64,
}

impl Found {
    pub(super) fn is(&self, task: &str, attempt: u32) -> bool {
        self.task == task && self.attempt == attempt
    }
}

/// How the attempt to take the turn ended.
pub(super) enum Taken {
    /// The object that the ref names now.
    Ours(String),
    /// A later turn stands there.
    Later(u64),
    /// Nobody can move it, for this reason.
    Locked(String),
}

/// The ref that names the turn under way on a branch.
pub(super) fn turn_ref(target: &str) -> String {
    format!("refs/devmesh/turn/{target}")
}

/// Moves the turn ref to this token by compare-and-swap. A process that wakes after its turn has
/// passed finds a later token there and stops.
pub(super) async fn take_turn(git: &Git, turn: &Turn) -> Result<Taken> {
    let name = turn_ref(&turn.target);
    let text = format!("{}\n", turn.token);
    let ours = git.run_with(&["hash-object", "-w", "--stdin"], text.as_bytes()).await?;
    for _ in 0..TRIES_MAX {
        let old = resolve(git, &name).await?;
        if let Some(object) = &old {
            let stands = git.run(&["cat-file", "blob", object]).await?;
            // Anything but a number is nobody's turn.
            let stands = stands.trim().parse::<u64>().unwrap_or(0);
            if stands > turn.token {
                return Ok(Taken::Later(stands));
            }
        }
        let stood = old.clone();
        let old = old.unwrap_or_else(|| "0".repeat(ours.len()));
        let args = ["update-ref", "--no-deref", name.as_str(), ours.as_str(), old.as_str()];
        if git.try_run(&args, &[]).await?.code == 0 {
            let Some(origin) = &turn.origin else { return Ok(Taken::Ours(ours)) };
            let moves = [Move { name: &name, old: stood.as_deref(), new: &ours }];
            match origin.push(git, &turn.task, &moves).await? {
                Pushed::Done => return Ok(Taken::Ours(ours)),
                Pushed::Refused { .. } => origin.fetch(git).await?,
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    if let Some(reason) = obstacle::stale_lock(git, &[&name]).await? {
        return Ok(Taken::Locked(reason));
    }
    let tail = format!("{name} moves all the time");
    Err(Error::Git { command: "update-ref".into(), code: 1, tail })
}

/// Reads the commits that the log does not know. What came from the base is not a move.
pub(super) async fn look(git: &Git, turn: &Turn, head: &str, base: &str) -> Result<Seen> {
    let known = match &turn.known.head {
        Some(known) => resolve(git, &format!("{known}^{{commit}}")).await?,
        None => None,
    };
    if known.as_deref() == Some(head) {
        return Ok(Seen::default());
    }
    let mut args = vec!["log", "-z", "--reverse", FORMAT, head, "--not"];
    if turn.base != turn.target {
        args.push(base);
    }
    args.extend(known.as_deref());
    args.push("--");
    let output = git.try_run(&args, &[]).await?;
    if output.code != 0 {
        return Err(refused(&args, &output));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut seen = Seen::default();
    let mut strange = false;
    for entry in text.split('\0').filter(|entry| !entry.is_empty()) {
        match parse(entry) {
            Entry::Attempt(found) => {
                let told = turn.known.landed.contains(&(found.task.clone(), found.attempt));
                let of_this_mesh = known.is_some() || found.at_s >= turn.known.since_s;
                if !told && of_this_mesh {
                    seen.found.push(found);
                }
            }
            Entry::Merge => {}
            Entry::Strange => strange = true,
        }
    }
    // A known head that is no longer below the branch was rewritten, which is a move as well.
    let rewritten = match &known {
        Some(known) => !crate::git::is_ancestor(git, known, head).await?,
        None => false,
    };
    if let (true, Some(known)) = (strange || rewritten, known) {
        seen.moved = Some((known, head.to_owned()));
    }
    Ok(seen)
}

/// Commit id and the trailers that this code writes, one to a field.
const FORMAT: &str = "--format=%H\x1f%ct\x1f%(trailers:key=Devmesh-Task,valueonly,separator=)\
                      \x1f%(trailers:key=Devmesh-Attempt,valueonly,separator=)\
                      \x1f%(trailers:key=Devmesh-Token,valueonly,separator=)\
                      \x1f%(trailers:key=Devmesh-Merge,valueonly,separator=)";

enum Entry {
    Attempt(Found),
    Merge,
    Strange,
}

fn parse(entry: &str) -> Entry {
    let fields: Vec<&str> = entry.trim().split('\x1f').map(str::trim).collect();
    let [commit, at, task, attempt, token, merge] = fields.as_slice() else {
        return Entry::Strange;
    };
    if !merge.is_empty() {
        return Entry::Merge;
    }
    match attempt.parse() {
        Ok(attempt) if !task.is_empty() => Entry::Attempt(Found {
            commit: (*commit).to_owned(),
            task: (*task).to_owned(),
            attempt,
            token: token.parse().ok(),
            at_s: at.parse().unwrap_or(0),
        }),
        Ok(_) | Err(_) => Entry::Strange,
    }
}
