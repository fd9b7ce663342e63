//! What keeps a ref from being made or moved for as long as nobody looks: another ref whose name
//! is a folder of its own, and the lock that a killed git has left behind.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::git::{Git, resolve};

/// A lock that is older than this is not that of a git at work.
const LOCK_AGE: Duration = Duration::from_secs(2);

/// Refuses a branch that cannot be, with the branch in its way and what to do about it.
///
/// # Errors
/// [`Error::RefInTheWay`], and what git refuses.
pub(super) async fn check_branch(git: &Git, branch: &str) -> Result<()> {
    let full = format!("refs/heads/{branch}");
    // A branch that is there has its place.
    if resolve(git, &full).await?.is_some() {
        return Ok(());
    }
    for (at, _) in branch.match_indices('/') {
        let above = &branch[..at];
        if resolve(git, &format!("refs/heads/{above}")).await?.is_some() {
            let fix = format!("git branch -m {above} ANOTHER-NAME");
            return Err(in_the_way(branch, above, &fix));
        }
    }
    let below =
        git.run(&["for-each-ref", "--count=1", "--format=%(refname:lstrip=2)", &full]).await?;
    if below.is_empty() {
        return Ok(());
    }
    Err(in_the_way(branch, &below, &format!("git branch -m {below} ANOTHER-NAME")))
}

fn in_the_way(branch: &str, other: &str, fix: &str) -> Error {
    let reason = format!(
        "the branch {branch} cannot be made while there is a branch {other}; rename that one \
         ({fix}), or land on another branch ([land] on in devmesh.toml)"
    );
    Error::RefInTheWay { reason }
}

/// The lock on a ref that a killed git has left behind.
///
/// # Errors
/// When git refuses.
pub(super) async fn stale_lock(git: &Git, refs: &[&str]) -> Result<Option<String>> {
    let args = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
    let store = PathBuf::from(git.run(&args).await?);
    let locks = refs.iter().map(|name| store.join(format!("{name}.lock")));
    let locks = locks.chain([store.join("packed-refs.lock"), store.join("HEAD.lock")]);
    let old = locks.into_iter().find(|lock| is_old(lock));
    Ok(old.map(|lock| {
        let lock = lock.display();
        format!("{lock} locks the branch; a git that was killed left it: remove it if none runs")
    }))
}

fn is_old(lock: &Path) -> bool {
    let changed = std::fs::metadata(lock).and_then(|meta| meta.modified());
    changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age >= LOCK_AGE))
}
