//! Saves of a dirty worktree: a commit under `refs/devmesh/work/<task>/<attempt>`, made beside
//! the worktree's own index, without hooks and signatures, so that no crash costs work.

mod nested;

#[cfg(test)]
mod tests;

pub use nested::{changed_within, nested};

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Doing, Result};
use crate::git::{Git, Trust, refused, resolve, tree_of};

/// Under which all saves stand.
pub const WORK_REFS: &str = "refs/devmesh/work";
/// Begins the line of a save that names a path with conflict markers.
const CONFLICT: &str = "Devmesh-Conflict: ";
/// A save of a big worktree on a slow disk ends within this.
const SAVE_LIMIT: Duration = Duration::from_secs(120);

/// What to save.
#[derive(Debug, Clone)]
pub struct SaveSpec {
    /// The worktree.
    pub worktree: PathBuf,
    /// The task it works on.
    pub task: String,
    /// The attempt's number within the task.
    pub attempt: u32,
    /// The commit that the attempt started from.
    pub base: String,
    /// Files copied into the worktree; they stay out of every save.
    pub copied: Vec<String>,
    /// Paths in which conflict markers were put; none where that is not known, and what the save
    /// before knows counts.
    pub conflicts: Option<Vec<String>>,
    /// What git may run, as it was before the tool; none trusts what stands there.
    pub trust: Option<Trust>,
}

/// A save that stands in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The commit that the work ref names.
    pub commit: String,
    /// Its tree.
    pub tree: String,
    /// The commit that its attempt started from.
    pub base: String,
    /// Paths in which conflict markers were put.
    pub conflicts: Vec<String>,
}

/// How a save came back into a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// The task has no save.
    Nothing,
    /// The worktree stands at its base with the saved changes uncommitted.
    Onto {
        /// The commit below the changes: the slot's base, or the save's own where the changes do
        /// not fit the new one (landing will merge them).
        base: String,
        /// Paths that may hold conflict markers.
        conflicts: Vec<String>,
    },
}

/// The ref of an attempt's saves.
pub fn work_ref(task: &str, attempt: u32) -> String {
    format!("{WORK_REFS}/{task}/{attempt}")
}

/// Saves the worktree as it stands: untracked files included, ignored and copied ones not.
/// Gives none where the attempt has changed nothing yet or nothing since its last save.
///
/// # Errors
/// When git refuses; the last save stands then.
pub async fn save(spec: &SaveSpec) -> Result<Option<Saved>> {
    let mut git = Git::at(&spec.worktree).within(SAVE_LIMIT);
    if let Some(trust) = &spec.trust {
        let now = Trust::look(&git).await?;
        git = trust.fence(git, &now);
    }
    let tree = write_tree(&git, &spec.base, &spec.copied).await?;
    let name = work_ref(&spec.task, spec.attempt);
    let last = resolve(&git, &name).await?;
    let seen = match &last {
        // The same files on another base are other work.
        Some(commit)
            if resolve(&git, &format!("{commit}^")).await?.as_ref() != Some(&spec.base) =>
        {
            String::new()
        }
        Some(commit) => tree_of(&git, commit).await?,
        None => tree_of(&git, &spec.base).await?,
    };
    if seen == tree {
        return Ok(None);
    }
    let conflicts = match &spec.conflicts {
        Some(conflicts) => conflicts.clone(),
        None => last_of(&git, &spec.task).await?.map(|saved| saved.conflicts).unwrap_or_default(),
    };
    let marked = conflicts.iter().map(|path| format!("{CONFLICT}{path}\n")).collect::<String>();
    let (task, attempt, base) = (&spec.task, spec.attempt, &spec.base);
    let trailers = format!("Devmesh-Task: {task}\nDevmesh-Work: {attempt}\nDevmesh-Base: {base}");
    let message = format!("work on {task}\n\n{trailers}\n{marked}");
    let commit = authored(&git)
        .run_with(&["commit-tree", &tree, "-p", &spec.base], message.as_bytes())
        .await?;
    let old = last.unwrap_or_else(|| "0".repeat(commit.len()));
    git.run(&["update-ref", "--no-deref", &name, &commit, &old]).await?;
    Ok(Some(Saved { commit, tree, base: spec.base.clone(), conflicts }))
}

/// The tree of everything in the worktree that is neither ignored nor copied. The worktree's own
/// index is only read: the CLI may be in the middle of a `git add`. A repository within the
/// worktree is there with its files: a pointer to it would point nowhere once it is gone.
///
/// # Errors
/// When git refuses.
pub async fn write_tree(git: &Git, base: &str, copied: &[String]) -> Result<String> {
    let folder = tempfile::tempdir().doing(|| "create a folder for an index".into())?;
    let index = folder.path().join("index");
    let own = git.run(&["rev-parse", "--path-format=absolute", "--git-path", "index"]).await?;
    // A copy keeps what git knows of file times; without one everything is read again.
    let _ = tokio::fs::copy(Path::new(&own), &index).await;
    let git = git.clone().with_env("GIT_INDEX_FILE", &index);
    // A file that vanishes or cannot be read between listing and reading is left out (exit 1).
    let nested = nested::embedded(&git, base).await?;
    let left_out = nested.iter().map(|path| format!(":(exclude,top,literal){path}"));
    let mut args: Vec<String> =
        ["add", "--all", "--ignore-errors", "--", "."].map(String::from).into();
    args.extend(left_out);
    let added = git.try_run(&args, &[]).await?;
    if !matches!(added.code, 0 | 1) {
        return Err(refused(&args, &added));
    }
    for path in &nested {
        nested::add(&git, &own, path).await?;
    }
    if !copied.is_empty() {
        let mut names = copied.join("\0");
        names.push('\0');
        let args = ["update-index", "--force-remove", "-z", "--stdin"];
        git.run_with(&args, names.as_bytes()).await?;
    }
    git.run(&["write-tree"]).await
}

/// The last save of a task: that of its latest attempt that has one.
///
/// # Errors
/// When git refuses.
pub async fn last_of(git: &Git, task: &str) -> Result<Option<Saved>> {
    let prefix = format!("{WORK_REFS}/{task}/");
    let format = "--format=%(refname) %(objectname) %(contents:body)%00";
    let listed = git.fields(&["for-each-ref", format, &prefix]).await?;
    let attempt_of = |line: &str| {
        let name = line.trim_start().split(' ').next()?;
        name.strip_prefix(&prefix)?.parse::<u32>().ok()
    };
    let Some(last) =
        listed.iter().filter(|line| attempt_of(line).is_some()).max_by_key(|line| attempt_of(line))
    else {
        return Ok(None);
    };
    let Some(commit) = last.trim_start().split(' ').nth(1).map(str::to_owned) else {
        return Ok(None);
    };
    let tree = tree_of(git, &commit).await?;
    let base = last.lines().find_map(|line| {
        let at = line.find("Devmesh-Base: ")?;
        Some(line[at + "Devmesh-Base: ".len()..].trim().to_owned())
    });
    let base = match base {
        Some(base) => base,
        None => git.run(&["rev-parse", "--verify", &format!("{commit}^")]).await?,
    };
    let conflicts = last.lines().filter_map(|line| line.strip_prefix(CONFLICT));
    let conflicts = conflicts.map(str::to_owned).collect();
    Ok(Some(Saved { commit, tree, base, conflicts }))
}

/// Brings the last save of the task into a fresh slot, as uncommitted changes on its base.
///
/// # Errors
/// When git refuses.
pub async fn restore(slot: &Git, task: &str, base: &str) -> Result<Restored> {
    let Some(saved) = last_of(slot, task).await? else { return Ok(Restored::Nothing) };
    let merged = merged_tree(slot, base, &saved).await?;
    let (onto, tree) = match merged {
        Some(tree) => (base.to_owned(), tree),
        None => (saved.base.clone(), saved.tree.clone()),
    };
    slot.run(&["checkout", "--quiet", "--force", "--detach", &onto]).await?;
    slot.run(&["read-tree", "-u", "--reset", &tree]).await?;
    // The index goes back to the base: the changes stand there as if just typed.
    slot.run(&["reset", "--quiet", "--mixed", &onto]).await?;
    Ok(Restored::Onto { base: onto, conflicts: saved.conflicts })
}

/// The saved changes on a new base, none where they conflict with it.
async fn merged_tree(git: &Git, base: &str, saved: &Saved) -> Result<Option<String>> {
    if saved.base == base {
        return Ok(Some(saved.tree.clone()));
    }
    let from = format!("--merge-base={}", saved.base);
    let args = ["merge-tree", "--write-tree", "--no-messages", &from, base, &saved.commit];
    let output = git.try_run(&args, &[]).await?;
    match output.code {
        0 => Ok(Some(output.text())),
        1 => Ok(None),
        _ => Err(refused(&args, &output)),
    }
}

/// Removes the saves of a task once its work has landed.
///
/// # Errors
/// When git refuses.
pub async fn forget(git: &Git, task: &str) -> Result<()> {
    let prefix = format!("{WORK_REFS}/{task}/");
    let names = git.run(&["for-each-ref", "--format=delete %(refname)", &prefix]).await?;
    if !names.is_empty() {
        git.run_with(&["update-ref", "--stdin"], format!("{names}\n").as_bytes()).await?;
    }
    Ok(())
}

/// Saves are devmesh's own bookkeeping, so they work where the user has no identity set.
fn authored(git: &Git) -> Git {
    git.clone()
        .with_env("GIT_AUTHOR_NAME", "devmesh")
        .with_env("GIT_AUTHOR_EMAIL", "devmesh@localhost")
        .with_env("GIT_COMMITTER_NAME", "devmesh")
        .with_env("GIT_COMMITTER_EMAIL", "devmesh@localhost")
}
