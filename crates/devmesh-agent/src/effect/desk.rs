//! What belongs to one attempt in this process: its slot, its running tool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::process::Run;
use crate::slot::Slot;
use crate::view::{Job, Key};

/// The place where one attempt is worked on.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) key: Key,
    /// Cancelled when the attempt is let go.
    pub(crate) cancel: CancellationToken,
    /// The slot and what stands in it; whoever changes its files holds this.
    pub(crate) bench: Mutex<Option<Bench>>,
    /// The tool, while one runs.
    pub(crate) run: Mutex<Option<Run>>,
    /// Held while a tool runs.
    pub(crate) running: Arc<Mutex<()>>,
    /// What the tool and the proof of its work have taken of the time that the task may take.
    spent_ms: AtomicU64,
    /// It stands still, and so will a tool that is started now.
    pub(crate) frozen: Mutex<bool>,
}

/// A slot with an attempt's work in it.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) slot: Slot,
    /// The commit below the work.
    pub(crate) base: String,
    pub(crate) job: Job,
    /// Paths in which conflict markers were put.
    pub(crate) conflicts: Vec<String>,
}

impl Desk {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            key,
            cancel: CancellationToken::new(),
            bench: Mutex::new(None),
            run: Mutex::new(None),
            running: Arc::default(),
            spent_ms: AtomicU64::new(0),
            frozen: Mutex::new(false),
        }
    }

    /// What is left of the time that the task may take. Waiting for others takes none of it.
    pub(crate) fn left(&self, job: &Job) -> Duration {
        let spent = Duration::from_millis(self.spent_ms.load(Ordering::Relaxed));
        Duration::from_secs(job.task.max_wall_s).saturating_sub(spent)
    }

    pub(crate) fn spend(&self, ms: u64) {
        self.spent_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Time that a piece of work took, but for its wait for others.
    pub(crate) fn spend_since(&self, started: Instant, waited: Duration) {
        let spent = started.elapsed().saturating_sub(waited);
        self.spend(u64::try_from(spent.as_millis()).unwrap_or(u64::MAX));
    }
}
