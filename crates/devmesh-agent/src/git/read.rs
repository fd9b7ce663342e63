//! Questions to a repository that change nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Git, refused};
use crate::error::{Error, Result};

/// A worktree of a repository, the main one included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Where it lies.
    pub path: PathBuf,
    /// The full name of the branch that stands there, also while it is rebased or bisected.
    pub branch: Option<String>,
    /// A rebase or bisection of that branch is under way.
    pub in_progress: bool,
}

/// The object id that `rev` names, or none when it names nothing.
///
/// # Errors
/// When git cannot run.
pub async fn resolve(git: &Git, rev: &str) -> Result<Option<String>> {
    let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", rev];
    let output = git.try_run(&args, &[]).await?;
    Ok((output.code == 0).then(|| output.text()).filter(|text| !text.is_empty()))
}

/// What the refs below these places name, by the refs' names.
///
/// # Errors
/// When git cannot run.
pub(crate) async fn refs(git: &Git, places: &[&str]) -> Result<BTreeMap<String, String>> {
    let args = [&["for-each-ref", "--format=%(objectname) %(refname)"], places].concat();
    let listed = git.run(&args).await?;
    let pairs = listed.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs.map(|(object, name)| (name.to_owned(), object.to_owned())).collect())
}

/// The tree of a commit.
///
/// # Errors
/// When there is no such commit.
pub async fn tree_of(git: &Git, commit: &str) -> Result<String> {
    let spec = format!("{commit}^{{tree}}");
    git.run(&["rev-parse", "--verify", "--end-of-options", &spec]).await
}

/// Whether `older` is reachable from `newer`.
///
/// # Errors
/// When either does not exist.
pub async fn is_ancestor(git: &Git, older: &str, newer: &str) -> Result<bool> {
    let args = ["merge-base", "--is-ancestor", older, newer];
    let output = git.try_run(&args, &[]).await?;
    match output.code {
        0 => Ok(true),
        1 => Ok(false),
        _ => Err(refused(&args, &output)),
    }
}

/// The best common ancestor, none for unrelated histories.
///
/// # Errors
/// When either does not exist.
pub async fn merge_base(git: &Git, left: &str, right: &str) -> Result<Option<String>> {
    let args = ["merge-base", left, right];
    let output = git.try_run(&args, &[]).await?;
    match output.code {
        0 => Ok(Some(output.text())),
        1 => Ok(None),
        _ => Err(refused(&args, &output)),
    }
}

/// All worktrees with the branch that each holds. A branch under rebase or bisect is held too,
/// although git calls such a worktree detached: moving it would break the user's rebase.
///
/// # Errors
/// When git cannot run.
pub async fn worktrees(git: &Git) -> Result<Vec<Checkout>> {
    let args = ["worktree", "list", "--porcelain", "-z"];
    let output = git.try_run(&args, &[]).await?;
    if output.code != 0 {
        return Err(refused(&args, &output));
    }
    let mut found: Vec<Checkout> = Vec::new();
    for field in output.stdout.split(|byte| *byte == 0) {
        let field = String::from_utf8_lossy(field);
        if let Some(path) = field.strip_prefix("worktree ") {
            let path = PathBuf::from(path);
            found.push(Checkout { path, branch: None, in_progress: false });
        } else if let Some(branch) = field.strip_prefix("branch ") {
            let Some(last) = found.last_mut() else {
                let answer = field.chars().take(100).collect();
                return Err(Error::GitAnswer { command: "worktree list".into(), answer });
            };
            last.branch = Some(branch.to_owned());
        }
    }
    for checkout in &mut found {
        if let Some(branch) = held_in_progress(&checkout.path).await {
            checkout.branch = Some(branch);
            checkout.in_progress = true;
        }
    }
    Ok(found)
}

/// The branch that a rebase or bisection in this worktree will come back to.
async fn held_in_progress(worktree: &Path) -> Option<String> {
    // A worktree whose folder is gone, and a bare repository, hold nothing.
    let dir = Git::at(worktree).run(&["rev-parse", "--absolute-git-dir"]).await.ok()?;
    let dir = Path::new(&dir);
    for file in ["rebase-merge/head-name", "rebase-apply/head-name"] {
        if let Ok(name) = tokio::fs::read_to_string(dir.join(file)).await {
            return Some(name.trim().to_owned());
        }
    }
    let name = tokio::fs::read_to_string(dir.join("BISECT_START")).await.ok()?;
    let name = name.trim();
    Some(if name.starts_with("refs/") { name.to_owned() } else { format!("refs/heads/{name}") })
}
