//! Many seeds, on all cores.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Outcome, Stats};

/// Failures after which the rest is left alone.
const FAILURES_MAX: usize = 10;

/// Which seeds.
#[derive(Debug, Clone, Copy)]
pub struct Many {
    /// The first.
    pub first: u64,
    /// How many, at most.
    pub most: u64,
    /// How many are run in any case.
    pub least: u64,
    /// For how long more are begun.
    pub within: Duration,
}

/// Runs them; a seed that panics has failed.
pub fn many(seeds: Many, one: impl Fn(u64) -> Outcome + Sync) -> (Stats, Vec<Outcome>) {
    let next = AtomicU64::new(seeds.first);
    let is_over = AtomicBool::new(false);
    let all = Mutex::new((Stats::default(), Vec::new()));
    let began = Instant::now();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let begun = seed - seeds.first;
            let is_late = begun >= seeds.least && began.elapsed() > seeds.within;
            if begun >= seeds.most || is_late || is_over.load(Ordering::Relaxed) {
                return;
            }
            let outcome = caught(seed, &one);
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.0.add(&outcome.stats);
            if outcome.wrong.is_some() {
                all.1.push(outcome);
                is_over.store(all.1.len() >= FAILURES_MAX, Ordering::Relaxed);
            }
        }
    };
    let cores = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The run of a seed; a panic is what is wrong with it.
pub fn caught(seed: u64, one: impl Fn(u64) -> Outcome) -> Outcome {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| one(seed)));
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome {
            seed,
            stats: Stats { runs: 1, ..Stats::default() },
            trace: 0,
            log: devmesh_protocol::Digest::of(b""),
            wrong: Some(format!("panic: {}", text.unwrap_or_default())),
            messages: Vec::new(),
        }
    })
}

impl Outcome {
    /// Keeps the messages of the log in a folder of the seed's, one file each, numbered by their
    /// position, and what was wrong beside them.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn keep(&self, folder: &Path) -> io::Result<PathBuf> {
        let folder = folder.join(format!("sim-{}", self.seed));
        fs::create_dir_all(&folder)?;
        for (position, message) in (1..=u64::MAX).zip(&self.messages) {
            fs::write(folder.join(format!("{position:06}.cbor")), message)?;
        }
        fs::write(folder.join("why"), self.wrong.as_deref().unwrap_or_default())?;
        Ok(folder)
    }
}
