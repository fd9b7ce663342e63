//! One run of git: its environment, its bounds, and an end that leaves nothing half made.

use std::ffi::OsStr;
use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{Git, GitOutput, named};
use crate::error::{Doing, Error, Result};

/// The most a git command may write to stdout.
const STDOUT_BYTES_MAX: usize = 64 << 20;
/// The most of stderr that is kept in memory.
const STDERR_BYTES_MAX: usize = 256 << 10;
/// What git gets to take its lock files and half-made folders away when it is ended.
const END_GRACE: Duration = Duration::from_secs(2);

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

/// What git gets for its stdin.
pub(super) enum Feed<'a> {
    Bytes(&'a [u8]),
    /// Not read: as long as git lives, so does the lock that the file holds.
    Lock(File),
}

impl Git {
    /// Runs a command once.
    pub(super) async fn once<S: AsRef<OsStr>>(
        &self,
        args: &[S],
        feed: Feed<'_>,
    ) -> Result<GitOutput> {
        let mut command = self.command(args);
        let stdin = match feed {
            Feed::Bytes(bytes) => bytes,
            Feed::Lock(lock) => {
                command.stdin(lock);
                &[]
            }
        };
        let child = command
            .spawn()
            .doing(|| format!("start git {} in {}", named(args), self.dir.display()));
        // Our copy of a lock would outlive git.
        drop(command);
        let mut running = Running::new(child?);
        let finished = tokio::time::timeout(self.limit, running.talk(stdin)).await;
        let Ok(said) = finished else {
            let limit_ms = u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX);
            return Err(Error::GitTime { command: named(args), limit_ms });
        };
        let (code, stdout, stderr) = said.doing(|| format!("talk to git {}", named(args)))?;
        if stdout.len() > STDOUT_BYTES_MAX {
            return Err(Error::GitOutput { command: named(args), max_bytes: STDOUT_BYTES_MAX });
        }
        Ok(GitOutput { code, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }

    fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new("git");
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
        command.process_group(0);
        command
    }
}

/// A git that runs; let go before its end, it is ended.
struct Running {
    child: Option<Child>,
    group: Option<Pid>,
}

impl Running {
    fn new(child: Child) -> Self {
        let group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        Self { child: Some(child), group }
    }

    /// Feeds stdin and drains both outputs at once: any other order can fill a pipe and wedge.
    async fn talk(&mut self, stdin: &[u8]) -> std::io::Result<(i32, Vec<u8>, Vec<u8>)> {
        let child = self.child.as_mut().expect("it is taken at the end alone");
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
        self.child = None;
        Ok((status.code().unwrap_or(-1), stdout, stderr))
    }
}

impl Drop for Running {
    /// Asked to end, git removes its lock files and what it has half made; killed, it leaves them
    /// in the way of everybody in the repository.
    fn drop(&mut self) {
        let (Some(mut child), Some(group)) = (self.child.take(), self.group) else { return };
        // Already gone is as good as ended.
        let _ = killpg(group, Signal::SIGTERM);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if tokio::time::timeout(END_GRACE, child.wait()).await.is_err() {
                let _ = killpg(group, Signal::SIGKILL);
                let _ = child.wait().await;
            }
        });
    }
}
