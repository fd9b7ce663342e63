//! The register that a repository keeps of its worktrees: one folder for each, in `worktrees/` of
//! its store.
//!
//! One agent at a time writes there. A git that was killed, or a host that lost its power, can
//! leave a folder half made in which `commondir` is empty, and at that nearly every git command
//! in the repository fails from then on. A folder of devmesh's own is mended; at anybody else's
//! a person has to look.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::call::Feed;
use super::{Git, refused};
use crate::error::{Doing, Error, Result};

#[cfg(test)]
mod tests;

/// Lies in the folder above each worktree that devmesh has made, and nowhere else.
pub(crate) const OWN_MARK: &str = "devmesh.lock";
/// How long the register is waited for. Nobody needs it longer than a moment.
const WAIT: Duration = Duration::from_secs(30);
/// Between two looks at what is held by another.
const LOOK: Duration = Duration::from_millis(20);
/// How long a folder that is not devmesh's may be half made: somebody is making it.
const MAKING: Duration = Duration::from_secs(2);
/// What `commondir` of every linked worktree says: the way from its folder to the store.
const WAY_HOME: &str = "../..\n";

/// Makes a worktree that stands detached at `base`, without its files.
///
/// # Errors
/// What git refuses, [`Error::BrokenWorktree`], and when the register is not to be had.
pub(crate) async fn add_worktree(git: &Git, path: &Path, base: &str) -> Result<()> {
    let register = Register::hold(store_of(git).await?).await?;
    register.mend().await?;
    // Twice `--force`: a registration may be left of a folder that somebody deleted, or of one
    // that git was killed over. Files are checked out when others may go on.
    let path = path.to_string_lossy();
    let args =
        ["worktree", "add", "--quiet", "--force", "--force", "--no-checkout", "--detach", &path];
    let args = [&args[..], &[base]].concat();
    let output = git.once(&args, Feed::Lock(register.lock)).await?;
    if output.code == 0 { Ok(()) } else { Err(refused(&args, &output)) }
}

/// Whether git says that it failed at a half-made worktree.
pub(super) fn is_half_made(stderr: &str) -> bool {
    half_made_in(stderr).is_some()
}

/// The file that git names, as it names it.
fn half_made_in(stderr: &str) -> Option<&str> {
    stderr.lines().find_map(|line| {
        let (_, rest) = line.split_once("failed to read ")?;
        let (path, _) = rest.split_once("/commondir: ")?;
        Some(path)
    })
}

/// Mends what a command has failed at.
pub(super) async fn mend_for(git: &Git, stderr: &str) -> Result<()> {
    let store = match store_of(git).await {
        Ok(store) => store,
        // The worktree that git stands in is the half-made one; then it names it in full.
        Err(error) => {
            let named = half_made_in(stderr).map(Path::new).filter(|path| path.is_absolute());
            let store = named.and_then(Path::parent).and_then(Path::parent);
            store.ok_or(error)?.to_owned()
        }
    };
    Register::hold(store).await?.mend().await
}

/// The store that all worktrees of a repository share.
async fn store_of(git: &Git) -> Result<PathBuf> {
    let args = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
    let output = git.once(&args, Feed::Bytes(&[])).await?;
    if output.code == 0 { Ok(output.text().into()) } else { Err(refused(&args, &output)) }
}

/// The register, as long as nobody else may write there.
struct Register {
    store: PathBuf,
    /// The system frees it when its last holder ends: this process, or a git that was given it.
    lock: File,
}

impl Register {
    async fn hold(store: PathBuf) -> Result<Self> {
        let dir = store.join("devmesh");
        let path = dir.join("worktrees.lock");
        std::fs::create_dir_all(&dir).doing(|| format!("create {}", dir.display()))?;
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = file.doing(|| format!("open {}", path.display()))?;
        let until = Instant::now() + WAIT;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { store, lock }),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    tokio::time::sleep(LOOK).await;
                }
                Err(TryLockError::WouldBlock) => {
                    let held = std::io::Error::other("another process holds it");
                    return Err(Error::io(format!("lock {}", path.display()), held));
                }
                Err(TryLockError::Error(source)) => {
                    return Err(Error::io(format!("lock {}", path.display()), source));
                }
            }
        }
    }

    /// Mends every half-made folder of devmesh's own. No agent is making one: the lock is held.
    async fn mend(&self) -> Result<()> {
        let until = Instant::now() + MAKING;
        loop {
            let Some(entry) = self.mend_own()? else { return Ok(()) };
            if Instant::now() >= until {
                return Err(Error::BrokenWorktree { entry });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Mends what is devmesh's; gives a folder that git fails at and that is not.
    fn mend_own(&self) -> Result<Option<PathBuf>> {
        let dir = self.store.join("worktrees");
        let Ok(entries) = std::fs::read_dir(&dir) else { return Ok(None) };
        let mut foreign = None;
        for entry in entries.flatten().map(|entry| entry.path()) {
            if !is_own(&entry) {
                foreign = foreign.or_else(|| wedges(&entry).then_some(entry));
                continue;
            }
            match State::of(&entry) {
                State::Whole => {}
                State::Cut => {
                    let path = entry.join("commondir");
                    let written = std::fs::write(&path, WAY_HOME);
                    written.doing(|| format!("write {}", path.display()))?;
                    tracing::warn!(entry = %entry.display(), "mended a worktree");
                }
                State::Unborn => {
                    let gone = std::fs::remove_dir_all(&entry);
                    gone.doing(|| format!("remove {}", entry.display()))?;
                    tracing::warn!(entry = %entry.display(), "removed a half-made worktree");
                }
            }
        }
        Ok(foreign)
    }
}

/// How the folder of a worktree of devmesh's own stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    /// It was whole, and has lost what leads to the repository: in the worktree may be work.
    Cut,
    /// It never had a commit.
    Unborn,
}

impl State {
    fn of(entry: &Path) -> Self {
        let has = |name| size(entry, name).is_some_and(|bytes| bytes > 0);
        match (has("commondir"), has("HEAD")) {
            (true, true) => Self::Whole,
            (false, true) => Self::Cut,
            (_, false) => Self::Unborn,
        }
    }
}

/// Whether git fails at such a folder: it takes it for a worktree's, and cannot go on from there.
/// Whatever else is missing it passes over.
fn wedges(entry: &Path) -> bool {
    size(entry, "gitdir").is_some_and(|bytes| bytes > 0) && size(entry, "commondir") == Some(0)
}

fn size(entry: &Path, name: &str) -> Option<u64> {
    std::fs::metadata(entry.join(name)).ok().map(|found| found.len())
}

/// Whether the worktree that a folder of the register is about is devmesh's own.
fn is_own(entry: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(entry.join("gitdir")) else { return false };
    // It may be told from the folder; joined to that, a full path stays itself.
    let dot_git = entry.join(text.trim_end());
    let above = dot_git.parent().and_then(Path::parent);
    above.is_some_and(|above| above.join(OWN_MARK).is_file())
}
