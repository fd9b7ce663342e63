//! Commands that the configuration gives (setup, verify), run by `sh -c` with bounds.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use devmesh_protocol::Digest;
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use crate::builds::Builds;
use crate::error::{Doing, Error, Result};
use crate::process::Tree;

/// A command to run.
#[derive(Debug, Clone)]
pub(crate) struct ShellSpec {
    /// The command line; from configuration or a person, never from a task's worktree.
    pub(crate) command: String,
    /// Where it runs.
    pub(crate) cwd: PathBuf,
    /// Its whole environment.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// How long it may take, from when it has a place.
    pub(crate) limit: Duration,
    /// Where it gets its place among the builds of this host.
    pub(crate) builds: Builds,
    /// How much of its output is kept.
    pub(crate) tail_chars: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShellRun {
    /// Its exit code; -1 when a signal ended it.
    pub(crate) exit: i32,
    /// It ran into its time limit and was ended.
    pub(crate) timed_out: bool,
    /// How long it took, without the wait for its place.
    pub(crate) ms: u64,
    /// The end of stdout and stderr together, control characters removed.
    pub(crate) tail: String,
    /// BLAKE3 of the whole output.
    pub(crate) digest: Digest,
}

/// Runs the command with stdin closed, once it has a place among the builds of this host; what it
/// leaves running is ended with it.
///
/// # Errors
/// When it cannot be started.
pub(crate) async fn run(spec: &ShellSpec) -> Result<ShellRun> {
    let _place = spec.builds.take().await?;
    let started = Instant::now();
    let marker = Uuid::now_v7().to_string();
    let (reader, writer) = std::io::pipe().doing(|| "create a pipe".into())?;
    let errors = writer.try_clone().doing(|| "share a pipe".into())?;
    let mut command = tokio::process::Command::new("sh");
    command.arg("-c").arg(&spec.command).current_dir(&spec.cwd);
    command.env_clear().envs(spec.env.iter().map(|(key, value)| (key, value)));
    command.stdin(Stdio::null()).stdout(writer).stderr(errors).kill_on_drop(true);
    let cwd = spec.cwd.canonicalize().unwrap_or_else(|_| spec.cwd.clone());
    let born = Tree::start(&mut command, marker, cwd);
    let (mut child, tree) = born.doing(|| format!("start {}", spec.command))?;
    // Our copies of the pipe's end would keep it open for ever.
    drop(command);
    let mut guard = Guard { tree: Some(tree) };
    let reader = tokio::fs::File::from_std(std::fs::File::from(std::os::fd::OwnedFd::from(reader)));
    let output = tokio::spawn(drain(reader, spec.tail_chars));
    let ended = tokio::time::timeout(spec.limit, child.wait()).await;
    let timed_out = ended.is_err();
    let status = match ended {
        Ok(status) => Some(status.doing(|| format!("wait for {}", spec.command))?),
        Err(_) => None,
    };
    let mut tree = guard.tree.take();
    if let Some(tree) = &mut tree {
        tree.stop(Duration::from_secs(if timed_out { 2 } else { 0 })).await;
    }
    if timed_out {
        // Dead by now; waiting takes its exit code, which nobody else may take before.
        let _ = child.wait().await;
    }
    drop(tree);
    let (tail, digest) = output
        .await
        .map_err(|_| Error::io("read a command's output", std::io::Error::other("reader ended")))?;
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let exit = status.and_then(|status| status.code()).unwrap_or(-1);
    Ok(ShellRun { exit, timed_out, ms, tail, digest })
}

/// Ends the command's tree when the waiting for it is given up.
struct Guard {
    tree: Option<Tree>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut tree) = self.tree.take() {
            tokio::spawn(async move { tree.stop(Duration::from_secs(1)).await });
        }
    }
}

/// Reads to the end, keeps the tail, digests everything.
async fn drain(mut reader: tokio::fs::File, tail_chars: usize) -> (String, Digest) {
    let (mut hash, mut kept) = (blake3::Hasher::new(), Vec::new());
    // Four bytes are the longest UTF-8 character.
    let keep = tail_chars.saturating_mul(4);
    let mut buffer = vec![0; 16 << 10];
    while let Ok(n) = reader.read(&mut buffer).await {
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        kept.extend_from_slice(&buffer[..n]);
        if kept.len() > keep.saturating_mul(2).max(64 << 10) {
            kept.drain(..kept.len() - keep);
        }
    }
    let text = crate::text::plain(&String::from_utf8_lossy(&kept));
    (crate::text::tail(text.trim_end(), tail_chars), Digest(*hash.finalize().as_bytes()))
}
