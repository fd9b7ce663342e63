//! Copies the untracked files that a worktree needs (`.env` and the like) from the checkout.

use std::path::{Component, Path};

use super::SlotSpec;
use crate::error::{Doing, Result};
use crate::git::Git;

/// Files copied into one slot.
const FILES_MAX: usize = 5_000;
/// Bytes copied into one slot.
const BYTES_MAX: u64 = 512 << 20;

/// Copies what `.worktreeinclude` of the base commit and the configuration name. The patterns
/// are never read from a worktree: an attempt could write itself another one.
pub(super) async fn copy_in(spec: &SlotSpec, slot: &Path) -> Result<Vec<String>> {
    let repo = Git::at(&spec.repo);
    if repo.run(&["rev-parse", "--is-inside-work-tree"]).await.ok().as_deref() != Some("true") {
        return Ok(Vec::new());
    }
    let shown = format!("{}:.worktreeinclude", spec.base);
    let include = repo.try_run(&["show", &shown], &[]).await?;
    let mut patterns = if include.code == 0 { include.text() } else { String::new() };
    for pattern in &spec.copy {
        patterns.push('\n');
        patterns.push_str(pattern);
    }
    if patterns.trim().is_empty() {
        return Ok(Vec::new());
    }
    let file = tempfile::NamedTempFile::new().doing(|| "create a pattern file".into())?;
    std::fs::write(file.path(), &patterns).doing(|| "write a pattern file".into())?;
    let from = format!("--exclude-from={}", file.path().display());
    let names = repo.fields(&["ls-files", "-z", "--others", "--ignored", &from]).await?;
    copy_files(&spec.repo, slot, names).await
}

async fn copy_files(from: &Path, slot: &Path, names: Vec<String>) -> Result<Vec<String>> {
    let (mut copied, mut bytes) = (Vec::new(), 0);
    for name in names {
        let (source, target) = (from.join(&name), slot.join(&name));
        let Ok(data) = tokio::fs::symlink_metadata(&source).await else { continue };
        bytes += data.len();
        if copied.len() >= FILES_MAX || bytes > BYTES_MAX {
            tracing::warn!(from = %from.display(), "too much to copy; the rest is left out");
            break;
        }
        // A link could lead out of the worktree, and a tracked file is not ours to replace.
        let tracked =
            tokio::fs::symlink_metadata(&target).await.is_ok() && !is_ignored(slot, &name).await;
        if !data.is_file() || tracked || !stays_inside(&name) {
            continue;
        }
        if let Some(parent) = target.parent() {
            let made = tokio::fs::create_dir_all(parent).await;
            made.doing(|| format!("create {}", parent.display()))?;
        }
        tokio::fs::copy(&source, &target).await.doing(|| format!("copy {}", source.display()))?;
        copied.push(name);
    }
    Ok(copied)
}

async fn is_ignored(slot: &Path, name: &str) -> bool {
    let asked = Git::at(slot).try_run(&["check-ignore", "--quiet", "--", name], &[]).await;
    asked.is_ok_and(|output| output.code == 0)
}

fn stays_inside(name: &str) -> bool {
    Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}
