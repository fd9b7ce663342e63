//! The task that owns a running CLI: limits, control, and the sweep when it ends.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::lines::{self, Flow, Stream};
use super::{Control, EndCause, RunEnd, RunEvent, RunFile, RunLimits, RunSpec, Tree};

/// What a CLI left running when it ended by itself gets between the two signals.
const SHORT_GRACE: Duration = Duration::from_millis(500);
/// How often a running tree is looked at: what hides while its parent lives is known for ever.
const LOOK: Duration = Duration::from_secs(2);
/// How long the outputs may stay open once every process of the tree is gone.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn supervise(
    mut child: Child,
    mut tree: Tree,
    spec: RunSpec,
    marker: String,
    events: mpsc::Sender<RunEvent>,
    mut commands: mpsc::Receiver<Control>,
) {
    let flow = Arc::new(Flow::new(spec.limits.line_bytes, spec.limits.total_bytes));
    let mut readers: Vec<JoinHandle<()>> = Vec::new();
    if let Some(out) = child.stdout.take() {
        readers.push(tokio::spawn(lines::forward(
            out,
            Stream::Stdout,
            events.clone(),
            flow.clone(),
        )));
    }
    if let Some(err) = child.stderr.take() {
        readers.push(tokio::spawn(lines::forward(
            err,
            Stream::Stderr,
            events.clone(),
            flow.clone(),
        )));
    }
    if let Some(mut pipe) = child.stdin.take() {
        let prompt = spec.stdin;
        // A CLI that closes its stdin early has read what it wanted.
        tokio::spawn(async move { pipe.write_all(&prompt).await });
    }
    let pid = child.id().unwrap_or_default();
    let mut file = match RunFile::write(&spec.runs, pid, &marker, &spec.label).await {
        Ok(file) => Some(file),
        Err(error) => {
            // It runs all the same; only a crash of this process would leave it behind.
            tracing::warn!(%error, pid, "the run is not noted");
            None
        }
    };
    let mut clock = Clock::start(spec.limits, flow.clone());
    let (cause, status) = watch(&mut child, &mut tree, &mut file, &mut commands, &mut clock).await;
    tree.stop(if status.is_some() { SHORT_GRACE } else { spec.limits.grace }).await;
    let status = match status {
        Some(status) => Some(status),
        None => child.wait().await.ok(),
    };
    for mut reader in readers {
        if tokio::time::timeout(DRAIN_LIMIT, &mut reader).await.is_err() {
            reader.abort();
        }
    }
    if let Some(file) = file {
        file.remove().await;
    }
    let end = RunEnd {
        exit: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        cause,
        ms: clock.ran_ms(),
        dropped_lines: flow.dropped(),
    };
    let _ = events.send(RunEvent::Ended(end)).await;
}

/// Waits for the end of the child, a limit, or the order to stop.
async fn watch(
    child: &mut Child,
    tree: &mut Tree,
    file: &mut Option<RunFile>,
    commands: &mut mpsc::Receiver<Control>,
    clock: &mut Clock,
) -> (EndCause, Option<ExitStatus>) {
    let mut looks = tokio::time::interval_at(Instant::now() + LOOK, LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let deadline = clock.deadline();
        tokio::select! {
            status = child.wait() => return (EndCause::Exited, status.ok()),
            command = commands.recv() => match command {
                // Nobody is left who could stop it later.
                None | Some(Control::Stop) => return (EndCause::Stopped, None),
                Some(Control::Freeze(done)) => {
                    tree.freeze().await;
                    clock.freeze();
                    let _ = done.send(());
                }
                Some(Control::Thaw(done)) => {
                    tree.thaw();
                    clock.thaw();
                    let _ = done.send(());
                }
            },
            _ = looks.tick() => {
                let strays = tree.learn();
                if let Some(file) = file {
                    file.note(strays).await;
                }
            }
            () = tokio::time::sleep_until(deadline) => {
                if let Some(cause) = clock.expired() {
                    return (cause, None);
                }
            }
        }
    }
}

/// What the limits are measured against; it stands still while the tree is frozen.
struct Clock {
    limits: RunLimits,
    flow: Arc<Flow>,
    started: Instant,
    frozen_at: Option<Instant>,
    frozen: Duration,
    thawed_ms: u64,
}

impl Clock {
    fn start(limits: RunLimits, flow: Arc<Flow>) -> Self {
        Self {
            limits,
            flow,
            started: Instant::now(),
            frozen_at: None,
            frozen: Duration::ZERO,
            thawed_ms: 0,
        }
    }

    fn freeze(&mut self) {
        self.frozen_at.get_or_insert_with(Instant::now);
    }

    fn thaw(&mut self) {
        if let Some(at) = self.frozen_at.take() {
            self.frozen += at.elapsed();
            self.thawed_ms = self.flow.now_ms();
        }
    }

    fn wall_end(&self) -> Instant {
        self.started + self.limits.wall + self.frozen
    }

    fn idle_end(&self) -> Instant {
        let last = self.flow.last_ms().max(self.thawed_ms);
        self.flow.started() + Duration::from_millis(last) + self.limits.idle
    }

    fn deadline(&self) -> Instant {
        match self.frozen_at {
            // Looked at again now and then; a frozen run has no deadline.
            Some(_) => Instant::now() + Duration::from_secs(3_600),
            None => self.wall_end().min(self.idle_end()),
        }
    }

    fn expired(&self) -> Option<EndCause> {
        let now = Instant::now();
        match self.frozen_at {
            Some(_) => None,
            None if now >= self.wall_end() => Some(EndCause::Wall),
            None if now >= self.idle_end() => Some(EndCause::Idle),
            None => None,
        }
    }

    fn ran_ms(&self) -> u64 {
        let frozen = self.frozen + self.frozen_at.map(|at| at.elapsed()).unwrap_or_default();
        let ran = self.started.elapsed().saturating_sub(frozen);
        u64::try_from(ran.as_millis()).unwrap_or(u64::MAX)
    }
}
