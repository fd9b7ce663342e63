//! What belongs to one attempt in this process: its slot, its running tool.

use std::sync::Arc;

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
}

impl Desk {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            key,
            cancel: CancellationToken::new(),
            bench: Mutex::new(None),
            run: Mutex::new(None),
            running: Arc::default(),
            frozen: Mutex::new(false),
        }
    }
}
