//! Git as a subprocess: argv only, a time limit, no prompts, no hooks, a bound on the output.

mod call;
mod read;
mod register;
mod trust;

#[cfg(test)]
mod tests;

pub(crate) use read::refs;
pub use read::{Checkout, is_ancestor, merge_base, resolve, tree_of, worktrees};
pub(crate) use register::{OWN_MARK, add_worktree};
pub use trust::{Change, Trust};

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use call::Feed;

/// How much of stderr an error shows.
const TAIL_CHARS_MAX: usize = 2_000;
/// How long a git command may take unless told otherwise.
const LIMIT: Duration = Duration::from_secs(60);
/// Runs of one command after worktrees were mended for it.
const MENDS_MAX: u32 = 3;

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

    /// Runs a command and gives whatever came of it, its exit code included. One that failed at a
    /// worktree that a crash left half made is run again once that is mended.
    ///
    /// # Errors
    /// [`Error::Io`] when git cannot be started, [`Error::GitTime`] and [`Error::GitOutput`]
    /// when it outgrows its bounds (it is ended then), [`Error::BrokenWorktree`] when it cannot
    /// run before a person has mended a worktree.
    pub async fn try_run<S: AsRef<OsStr>>(&self, args: &[S], stdin: &[u8]) -> Result<GitOutput> {
        let mut output = self.once(args, Feed::Bytes(stdin)).await?;
        for _ in 0..MENDS_MAX {
            if output.code == 0 || !register::is_half_made(&output.stderr) {
                break;
            }
            register::mend_for(self, &output.stderr).await?;
            output = self.once(args, Feed::Bytes(stdin)).await?;
        }
        Ok(output)
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
