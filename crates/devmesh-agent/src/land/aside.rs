//! Work that lands nowhere by itself: a branch of its own, or a patch file.

use std::path::{Path, PathBuf};

use super::{LIMIT, Turn, commit, obstacle};
use crate::error::Result;
use crate::git::{Git, refused};

/// One commit of the work on its base, on the branch `devmesh/task/<task>`; gives the branch's
/// name and the commit. A branch of that name that is checked out somewhere is left alone: git
/// refuses.
///
/// # Errors
/// When git refuses.
pub async fn make_branch(turn: &Turn, tree: &str) -> Result<(String, String)> {
    let git = Git::at(&turn.repo).within(LIMIT);
    let branch = format!("devmesh/task/{}", turn.task);
    obstacle::check_branch(&git, &branch).await?;
    let (commit, _) = commit::squash(&git, turn, &turn.work_base, tree).await?;
    // `git branch` looks at all worktrees, which `update-ref` does not.
    let args = ["branch", "--force", "--no-track", branch.as_str(), commit.as_str()];
    let made = git.try_run(&args, &[]).await?;
    if made.code != 0 {
        return Err(refused(&args, &made));
    }
    Ok((branch, commit))
}

/// The work as a patch that `git apply` takes; gives the file.
///
/// # Errors
/// When git refuses or the file cannot be written.
pub async fn write_patch(turn: &Turn, folder: &Path) -> Result<PathBuf> {
    let git = Git::at(&turn.repo).within(LIMIT);
    let looks = ["diff", "--binary", "--no-ext-diff", "--no-textconv", "--no-color"];
    let args = [&looks[..], &[&turn.work_base, &turn.work]].concat();
    let output = git.try_run(&args, &[]).await?;
    if output.code != 0 {
        return Err(refused(&args, &output));
    }
    let path = folder.join(format!("{}-{}.patch", turn.task, turn.attempt));
    crate::file::replace(&path, &output.stdout).await?;
    Ok(path)
}
