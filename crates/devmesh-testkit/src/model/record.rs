//! What the server has seen: counters and the newest requests, for assertions.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use super::dialect::Dialect;

/// How many requests are remembered one by one.
pub const SEEN_MAX: usize = 1000;
/// How much of a text is remembered.
const TEXT_BYTES_MAX: usize = 4096;

/// One request and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// Its number, from 1.
    pub number: u64,
    /// The dialect it came in.
    pub dialect: Dialect,
    /// The path it came on.
    pub path: String,
    /// The model asked for.
    pub model: String,
    /// The fault counter it belongs to.
    pub key: String,
    /// The step answered; none for a small request beside the work.
    pub step: Option<usize>,
    /// The tool called.
    pub called: Option<String>,
    /// The message sent.
    pub text: String,
    /// Whether a fault was sent instead.
    pub faulted: bool,
    /// The newest prompt, its beginning.
    pub prompt: String,
    /// What the newest tool result says, its beginning.
    pub result: Option<String>,
    /// The tools offered.
    pub tools: Vec<String>,
}

/// Counters since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests in a known dialect.
    pub requests: u64,
    /// The same by dialect.
    pub by_dialect: BTreeMap<Dialect, u64>,
    /// Requests that got a fault.
    pub faults: u64,
    /// Requests that no script was found for, or whose script could not be read.
    pub unscripted: u64,
    /// Steps for which the client offered no tool.
    pub unfit: u64,
    /// Paths that nobody here knows, with how often they came.
    pub unknown: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
struct Inner {
    stats: Stats,
    faults_by_key: BTreeMap<String, u32>,
    seen: VecDeque<Seen>,
}

/// The memory behind [`Stats`] and [`Seen`].
#[derive(Debug)]
pub struct Recorder {
    inner: Mutex<Inner>,
    requests: watch::Sender<u64>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { inner: Mutex::default(), requests: watch::Sender::new(0) }
    }
}

impl Recorder {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves counters that are still counters.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.inner().stats.clone()
    }

    /// The newest requests, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner().seen.iter().cloned().collect()
    }

    /// Forgets everything.
    pub fn reset(&self) {
        *self.inner() = Inner::default();
        self.requests.send_replace(0);
    }

    /// Follows the number of requests.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.requests.subscribe()
    }

    /// Takes one of a key's faults, if there is one left.
    pub fn take_fault(&self, key: &str, first: Option<u32>) -> bool {
        let mut inner = self.inner();
        let taken = inner.faults_by_key.entry(key.to_owned()).or_default();
        if first.is_some_and(|first| *taken >= first) {
            return false;
        }
        *taken += 1;
        inner.stats.faults += 1;
        true
    }

    /// Notes a request and gives it its number.
    pub fn note(&self, mut seen: Seen, unfit: bool) -> Seen {
        seen.text.truncate(boundary(&seen.text));
        seen.prompt.truncate(boundary(&seen.prompt));
        if let Some(result) = &mut seen.result {
            result.truncate(boundary(result));
        }
        let mut inner = self.inner();
        inner.stats.requests += 1;
        *inner.stats.by_dialect.entry(seen.dialect).or_default() += 1;
        inner.stats.unfit += u64::from(unfit);
        seen.number = inner.stats.requests;
        if inner.seen.len() == SEEN_MAX {
            inner.seen.pop_front();
        }
        inner.seen.push_back(seen.clone());
        let requests = inner.stats.requests;
        drop(inner);
        self.requests.send_replace(requests);
        seen
    }

    /// Notes a request without a usable script.
    pub fn note_unscripted(&self) {
        self.inner().stats.unscripted += 1;
    }

    /// Notes a path that nobody here knows.
    pub fn note_unknown(&self, path: &str) {
        let mut inner = self.inner();
        if inner.stats.unknown.len() < SEEN_MAX {
            *inner.stats.unknown.entry(path.to_owned()).or_default() += 1;
        }
    }
}

fn boundary(text: &str) -> usize {
    text.floor_char_boundary(TEXT_BYTES_MAX)
}
