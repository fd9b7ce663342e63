//! A note on disk for each running CLI, so that a restarted agent process finds the children of
//! the one before it and ends them: two CLIs in one worktree would overwrite each other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Tree, table};
use crate::error::{Doing, Result};

/// What is noted of a running CLI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// Its process id.
    pub pid: i32,
    /// Its start time in ticks since boot.
    pub started: u64,
    /// The boot of the system that these belong to.
    pub boot: String,
    /// The value of its marker variable.
    pub marker: String,
    /// Whose it was, as text.
    pub label: String,
    /// Its processes that have left its session, with their start times.
    #[serde(default)]
    pub strays: Vec<(i32, u64)>,
    #[serde(skip)]
    path: PathBuf,
}

impl RunFile {
    pub(super) async fn write(runs: &Path, pid: u32, marker: &str, label: &str) -> Result<Self> {
        let pid = i32::try_from(pid).unwrap_or_default();
        let started = table::one(pid).map(|entry| entry.started).unwrap_or_default();
        let path = runs.join(format!("{marker}.run.json"));
        let (marker, label) = (marker.to_owned(), label.to_owned());
        let (boot, strays) = (table::boot_id(), Vec::new());
        let file = Self { pid, started, boot, marker, label, strays, path };
        file.keep().await?;
        Ok(file)
    }

    /// Notes the processes that no walk from the outside would find.
    pub(super) async fn note(&mut self, strays: Vec<(i32, u64)>) {
        if self.strays == strays {
            return;
        }
        self.strays = strays;
        if let Err(error) = self.keep().await {
            tracing::debug!(%error, "strays are not noted");
        }
    }

    async fn keep(&self) -> Result<()> {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        crate::file::replace(&self.path, &bytes).await
    }

    pub(super) async fn remove(self) {
        // A note left behind names a process that is gone; the next fence clears it.
        let _ = tokio::fs::remove_file(&self.path).await;
    }
}

/// Ends whatever runs of an earlier process are still alive and gives their notes.
///
/// # Errors
/// When the folder cannot be read.
pub async fn fence(runs: &Path, grace: Duration) -> Result<Vec<RunFile>> {
    let mut found = Vec::new();
    let mut dir = match tokio::fs::read_dir(runs).await {
        Ok(dir) => dir,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error).doing(|| format!("read {}", runs.display())),
    };
    while let Some(entry) = dir.next_entry().await.doing(|| format!("read {}", runs.display()))? {
        let path = entry.path();
        if !path.to_string_lossy().ends_with(".run.json") {
            continue;
        }
        let bytes = tokio::fs::read(&path).await.unwrap_or_default();
        if let Ok(file) = serde_json::from_slice::<RunFile>(&bytes) {
            if file.boot == table::boot_id() {
                let mut members = file.strays.clone();
                members.push((file.pid, file.started));
                let mut tree = Tree::found(&members, file.marker.clone());
                let left = tree.stop(grace).await;
                tracing::info!(pid = file.pid, label = file.label, left, "fenced a run");
            }
            found.push(file);
        }
        let _ = tokio::fs::remove_file(&path).await;
    }
    Ok(found)
}
