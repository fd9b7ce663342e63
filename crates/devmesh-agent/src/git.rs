//! Git as a subprocess: argv only, a time limit, no prompts, no hooks, a bound on the output.

mod read;
mod trust;

#[cfg(test)]
mod tests;

pub use read::{Checkout, is_ancestor, merge_base, resolve, tree_of, worktrees};
pub use trust::{Change, Trust};

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::{Doing, Error, Result};

/// The most a git command may write to stdout.
const STDOUT_BYTES_MAX: usize = 64 << 20;
/// The most of stderr that is kept in memory.
const STDERR_BYTES_MAX: usize = 256 << 10;
/// How much of stderr an error shows.
const TAIL_CHARS_MAX: usize = 2_000;
/// How long a git command may take unless told otherwise.
const LIMIT: Duration = Duration::from_secs(60);

/// Configuration of every call: no hook of anybody, no background process left behind.
const CONFIG: [&str; 16] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "core.quotePath=false",
    "-c",
    "log.showSignature=false",
    "-c",
    "submodule.recurse=false",
    "-c",
    "protocol.ext.allow=never",
];

/// Variables that would point git elsewhere than at the folder it is given.
const REDIRECTING: [&str; 10] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CEILING_DIRECTORIES",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_EXTERNAL_DIFF",
];

/// Git in one folder.
#[derive(Debug, Clone)]
pub struct Git {
    dir: PathBuf,
    limit: Duration,
    env: Vec<(OsString, OsString)>,
}

/// What a git command left behind.
#[derive(Debug, Clone)]
pub struct GitOutput {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Everything it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr, bounded, control characters included.
    pub stderr: String,
}

impl GitOutput {
    /// Stdout as text without the trailing line end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }
}

impl Git {
    /// Git in `dir`, a repository or one of its worktrees.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), limit: LIMIT, env: Vec::new() }
    }

    /// The folder it runs in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The same git in another worktree.
    #[must_use]
    pub fn at_other(&self, dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), ..self.clone() }
    }

    /// The same git with another time limit per command.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The same git with one more environment variable.
    #[must_use]
    pub fn with_env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Runs a command that must succeed; gives its stdout as text, trailing line ends cut.
    ///
    /// # Errors
    /// [`Error::Git`] when it exits otherwise than 0, and what [`Git::try_run`] gives.
    pub async fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        self.run_with(args, &[]).await
    }

    /// [`Git::run`] with bytes for its stdin.
    ///
    /// # Errors
    /// As [`Git::run`].
    pub async fn run_with<S: AsRef<OsStr>>(&self, args: &[S], stdin: &[u8]) -> Result<String> {
        let output = self.try_run(args, stdin).await?;
        if output.code == 0 { Ok(output.text()) } else { Err(refused(args, &output)) }
    }

    /// Runs a command that must succeed and gives its NUL-separated fields. One that is not UTF-8
    /// is given as git quotes it, which no path of a lease looks like.
    ///
    /// # Errors
    /// As [`Git::run`].
    pub async fn fields<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Vec<String>> {
        let output = self.try_run(args, &[]).await?;
        if output.code != 0 {
            return Err(refused(args, &output));
        }
        Ok(split_nul(&output.stdout))
    }

    /// Runs a command and gives whatever came of it, its exit code included.
    ///
    /// # Errors
    /// [`Error::Io`] when git cannot be started, [`Error::GitTime`] and [`Error::GitOutput`]
    /// when it outgrows its bounds (it is killed then).
    pub async fn try_run<S: AsRef<OsStr>>(&self, args: &[S], stdin: &[u8]) -> Result<GitOutput> {
        let mut child = self
            .command(args)
            .spawn()
            .doing(|| format!("start git {} in {}", named(args), self.dir.display()))?;
        let group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let finished = tokio::time::timeout(self.limit, talk(&mut child, stdin)).await;
        let Ok(said) = finished else {
            end(group);
            let limit_ms = u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX);
            return Err(Error::GitTime { command: named(args), limit_ms });
        };
        let (code, stdout, stderr) = said.doing(|| format!("talk to git {}", named(args)))?;
        if stdout.len() > STDOUT_BYTES_MAX {
            end(group);
            return Err(Error::GitOutput { command: named(args), max_bytes: STDOUT_BYTES_MAX });
        }
        Ok(GitOutput { code, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }

    fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("git");
        command.args(CONFIG).args(args).current_dir(&self.dir);
        for key in REDIRECTING {
            command.env_remove(key);
        }
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("SSH_ASKPASS", "true")
            .env("GIT_EDITOR", "true")
            .env("GIT_SEQUENCE_EDITOR", "true")
            .env("GIT_PAGER", "cat")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_ADVICE", "0")
            .env("LC_ALL", "C");
        if std::env::var_os("GIT_SSH_COMMAND").is_none() {
            command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes");
        }
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that ssh and filters end with it when its time is up.
        command.process_group(0).kill_on_drop(true);
        command
    }
}

/// Feeds stdin and drains both outputs at once: any other order can fill a pipe and wedge.
async fn talk(
    child: &mut tokio::process::Child,
    stdin: &[u8],
) -> std::io::Result<(i32, Vec<u8>, Vec<u8>)> {
    let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut pipe) = input {
            // Git may close its stdin early and still succeed; its exit code tells.
            let _ = pipe.write_all(stdin).await;
        }
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let read_out = async {
        match out {
            Some(pipe) => pipe.take(STDOUT_BYTES_MAX as u64 + 1).read_to_end(&mut stdout).await,
            None => Ok(0),
        }
    };
    let read_err = async {
        let Some(mut pipe) = err else { return Ok(0) };
        let n = (&mut pipe).take(STDERR_BYTES_MAX as u64).read_to_end(&mut stderr).await?;
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
        Ok::<usize, std::io::Error>(n)
    };
    let ((), out_read, err_read) = tokio::join!(feed, read_out, read_err);
    out_read?;
    err_read?;
    if stdout.len() > STDOUT_BYTES_MAX {
        return Ok((-1, stdout, stderr));
    }
    let status = child.wait().await?;
    Ok((status.code().unwrap_or(-1), stdout, stderr))
}

fn end(group: Option<Pid>) {
    if let Some(group) = group {
        // Already gone is as good as killed.
        let _ = killpg(group, Signal::SIGKILL);
    }
}

fn named<S: AsRef<OsStr>>(args: &[S]) -> String {
    let words: Vec<_> = args.iter().take(6).map(|arg| arg.as_ref().to_string_lossy()).collect();
    words.join(" ").chars().take(200).collect()
}

pub(crate) fn refused<S: AsRef<OsStr>>(args: &[S], output: &GitOutput) -> Error {
    let tail = crate::text::tail(output.stderr.trim_end(), TAIL_CHARS_MAX);
    Error::Git { command: named(args), code: output.code, tail }
}

/// Splits NUL-separated output; a missing last NUL is fine.
pub(crate) fn split_nul(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|byte| *byte == 0)
        .filter(|field| !field.is_empty())
        .map(|field| match std::str::from_utf8(field) {
            Ok(text) => text.to_owned(),
            Err(_) => crate::text::shown(field),
        })
        .collect()
}
