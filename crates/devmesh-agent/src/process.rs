//! Runs a coding CLI: in a session of its own, its output line by line with bounds, ended as a
//! whole tree. Tool shells of the CLIs run in sessions of their own, so that a signal to the
//! process group alone leaves them behind (measured for codex, claude, gemini, opencode, copilot).

mod environment;
mod fence;
mod lines;
mod roots;
mod supervise;
mod table;
mod tree;

#[cfg(test)]
mod tests;

pub use environment::allowed;
pub use fence::{RunFile, fence};
pub use lines::{Line, Stream};
pub use tree::Tree;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::error::{Doing, Result};

/// The variable that marks every process of a run, wherever it hides in the process tree.
pub const MARKER: &str = "DEVMESH_RUN";

/// Lines that wait for their reader; a CLI that writes faster is slowed down.
const LINES_WAITING_MAX: usize = 256;

/// A CLI to run.
#[derive(Debug, Clone)]
pub struct RunSpec {
    /// The program, by path or by name in the PATH of `env`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The worktree.
    pub cwd: PathBuf,
    /// Its whole environment; see [`allowed`].
    pub env: Vec<(OsString, OsString)>,
    /// Written to its stdin, which is closed then; empty closes it at once.
    pub stdin: Vec<u8>,
    /// Its bounds.
    pub limits: RunLimits,
    /// The folder where the run is noted while it lasts; see [`fence`].
    pub runs: PathBuf,
    /// What the note says about it.
    pub label: String,
}

/// The bounds of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    /// Without a byte of output for this long it is ended.
    pub idle: Duration,
    /// It is ended after this long; frozen time does not count.
    pub wall: Duration,
    /// Between the polite signal and the killing one.
    pub grace: Duration,
    /// Longer lines are cut.
    pub line_bytes: usize,
    /// Lines beyond this sum are counted and dropped.
    pub total_bytes: u64,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(900),
            wall: Duration::from_secs(3_600),
            grace: Duration::from_secs(4),
            line_bytes: 4 << 20,
            total_bytes: 256 << 20,
        }
    }
}

/// What a run tells, in order; `Ended` is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    /// A line of output.
    Line(Line),
    /// Nothing of it is left.
    Ended(RunEnd),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// Its exit code; none when a signal ended it.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why.
    pub cause: EndCause,
    /// How long it ran, frozen time left out.
    pub ms: u64,
    /// Lines beyond the total bound.
    pub dropped_lines: u64,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// By itself.
    Exited,
    /// It was told to.
    Stopped,
    /// It was silent for too long.
    Idle,
    /// It ran for too long.
    Wall,
}

/// A running CLI. Dropping this stops it.
#[derive(Debug)]
pub struct Run {
    control: mpsc::Sender<Control>,
    /// The process id of the CLI.
    pub pid: u32,
}

#[derive(Debug)]
enum Control {
    Stop,
    Freeze(oneshot::Sender<()>),
    Thaw(oneshot::Sender<()>),
}

/// Starts the CLI. Between its start and its supervision nothing waits, so that giving up the
/// caller can leave none behind.
///
/// # Errors
/// When it cannot be started.
pub fn start(spec: RunSpec) -> Result<(Run, mpsc::Receiver<RunEvent>)> {
    let marker = Uuid::now_v7().to_string();
    let mut command = tokio::process::Command::new(&spec.program);
    command.args(&spec.args).current_dir(&spec.cwd);
    command.env_clear().envs(spec.env.iter().map(|(key, value)| (key, value)));
    let stdin = if spec.stdin.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Its folder is what tells a stray of it from another run's, so links are resolved.
    let cwd = spec.cwd.canonicalize().unwrap_or_else(|_| spec.cwd.clone());
    let started = Tree::start(&mut command, marker.clone(), cwd);
    let (child, tree) = started.doing(|| format!("start {}", spec.program))?;
    let pid = child.id().unwrap_or_default();
    let (events, receiver) = mpsc::channel(LINES_WAITING_MAX);
    let (control, commands) = mpsc::channel(16);
    tokio::spawn(supervise::supervise(child, tree, spec, marker, events, commands));
    Ok((Run { control, pid }, receiver))
}

impl Run {
    /// Ends the whole tree; the run's `Ended` tells when nothing is left.
    pub async fn stop(&self) {
        // A run that has ended needs no stopping.
        let _ = self.control.send(Control::Stop).await;
    }

    /// Stops every process of the tree where it stands; returns when all stand still.
    pub async fn freeze(&self) {
        self.ask(Control::Freeze).await;
    }

    /// Lets a frozen tree go on.
    pub async fn thaw(&self) {
        self.ask(Control::Thaw).await;
    }

    async fn ask(&self, control: impl FnOnce(oneshot::Sender<()>) -> Control) {
        let (done, wait) = oneshot::channel();
        if self.control.send(control(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

/// Makes this process the one that orphans of its children fall to, so that a walk from here
/// finds them. Elsewhere than on Linux the marker in the environment has to do.
pub fn become_subreaper() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        tracing::warn!(%error, "orphans of a CLI will not fall to this process");
    }
}

/// Has the command start in a session of its own, without a terminal.
pub(crate) fn in_new_session(command: &mut tokio::process::Command) {
    #[expect(unsafe_code, reason = "only between fork and exec can a child leave our session")]
    // SAFETY: the closure calls setsid alone, which is async-signal-safe and allocates nothing.
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(|_| ()).map_err(std::io::Error::from));
    }
}
