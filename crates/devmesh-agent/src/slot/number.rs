//! Which slot is whose: a file lock per number, freed by the system when its process ends.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::SLOTS_MAX;
use crate::error::{Doing, Error, Result};
use crate::git::OWN_MARK;

/// A slot number that this process holds until dropped.
#[derive(Debug)]
pub struct Claim {
    /// The number, from 1.
    pub number: u16,
    // Held for its lock; the system frees it when the file is closed.
    _lock: File,
}

/// Takes a free number, one with a used worktree of the repository where there is one.
pub(super) fn claim(root: &Path, repo_name: &str) -> Result<Claim> {
    let warm = |number: &u16| root.join(number.to_string()).join(repo_name).exists();
    let (warm, cold): (Vec<u16>, Vec<u16>) = (1..=SLOTS_MAX).partition(warm);
    for number in warm.into_iter().chain(cold) {
        if let Some(claim) = take(root, number)? {
            return Ok(claim);
        }
    }
    Err(Error::NoSlot { root: root.to_owned(), limit: SLOTS_MAX })
}

fn take(root: &Path, number: u16) -> Result<Option<Claim>> {
    let dir = root.join(number.to_string());
    std::fs::create_dir_all(&dir).doing(|| format!("create {}", dir.display()))?;
    let path = dir.join(OWN_MARK);
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .doing(|| format!("open {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(Claim { number, _lock: lock })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => {
            Err(Error::io(format!("lock {}", path.display()), source))
        }
    }
}
