//! Clients that take a key and give it back, as fast as they are answered: each a key of its own,
//! or all the same one. What answers them is a [`Locker`]'s affair, so that devmesh and the systems
//! beside it are measured by the same lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::sample::Times;
use super::world::failed;
use crate::error::Result;

#[cfg(test)]
mod tests;

const WARM_UP: Duration = Duration::from_millis(300);
const MEASURED: Duration = Duration::from_millis(1500);
/// Keys that a client with keys of its own goes through.
const OWN_KEYS: usize = 64;

/// What a client with keys of its own takes at that turn.
pub(super) fn own_key(client: usize, turn: usize) -> String {
    format!("src/c{client}/f{}", turn % OWN_KEYS)
}

/// A client with a connection of its own that takes one key at a time.
pub(super) trait Locker: Send + 'static {
    /// Takes the key and returns when it is held, however long that takes.
    fn take(&mut self, key: &str) -> impl Future<Output = Result<()>> + Send;

    /// Gives back what was taken.
    fn give(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// Which keys are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// Each client its own: nobody waits for another.
    Own,
    /// All the same one, given on as soon as it is held.
    One,
}

/// What one load gave.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    pub(super) pairs_per_s: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// How evenly the clients were served, see [`jain`].
    pub(super) jain: f64,
}

/// Runs the load: warmed up, then measured. Two that hold one key at a time end it.
pub(super) async fn run<L: Locker>(lockers: Vec<L>, keys: Keys) -> Result<Load> {
    run_for(lockers, keys, WARM_UP, MEASURED).await
}

async fn run_for<L: Locker>(
    lockers: Vec<L>,
    keys: Keys,
    warm_up: Duration,
    measured: Duration,
) -> Result<Load> {
    let begin = Instant::now() + warm_up;
    let end = begin + measured;
    let held = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = lockers
        .into_iter()
        .enumerate()
        .map(|(n, locker)| {
            let alone = (keys == Keys::One).then(|| Arc::clone(&held));
            tokio::spawn(pairs(locker, n, alone, begin, end))
        })
        .collect();
    let mut times = Vec::new();
    let mut served = Vec::new();
    for task in tasks {
        let seen = task.await.map_err(failed("run a client"))??;
        served.push(seen.len());
        times.extend(seen);
    }
    let pairs_per_s = times.len() as f64 / measured.as_secs_f64();
    let times = Times::of(times);
    Ok(Load {
        pairs_per_s,
        p50_ms: times.percentile_ms(50),
        p99_ms: times.percentile_ms(99),
        jain: jain(&served),
    })
}

/// Takes and gives back, again and again, and keeps the times of those taken within the measured
/// time. `alone` is where the key is shared: it is set while somebody holds it.
async fn pairs<L: Locker>(
    mut locker: L,
    n: usize,
    alone: Option<Arc<AtomicBool>>,
    begin: Instant,
    end: Instant,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut turn = 0_usize;
    while Instant::now() < end {
        turn += 1;
        let key = match alone {
            Some(_) => "src/hot/f0".to_owned(),
            None => own_key(n, turn),
        };
        let sent = Instant::now();
        locker.take(&key).await?;
        let taken = Instant::now();
        if let Some(alone) = &alone {
            enter(alone)?;
            // Whoever holds it wrongly too gets a chance to run.
            tokio::task::yield_now().await;
            alone.store(false, Ordering::SeqCst);
        }
        // A hand-off counts where it happens, however long it was waited for before.
        let counts = if alone.is_some() { taken >= begin } else { sent >= begin };
        if counts && taken <= end {
            times.push(taken - sent);
        }
        locker.give().await?;
    }
    Ok(times)
}

/// Marks the key as held; an error where it is held already.
pub(super) fn enter(held: &AtomicBool) -> Result<()> {
    if held.swap(true, Ordering::SeqCst) {
        return Err(failed("keep two clients from holding one key")("both were told it is theirs"));
    }
    Ok(())
}

/// Jain's index of fairness: 1 where all were served alike, 1/n where one had everything.
pub(super) fn jain(served: &[usize]) -> f64 {
    let sum: f64 = served.iter().map(|&n| n as f64).sum();
    let squares: f64 = served.iter().map(|&n| (n as f64) * (n as f64)).sum();
    if squares == 0.0 { 0.0 } else { sum * sum / (served.len() as f64 * squares) }
}

/// Loads of one responder, round by round; the median is told.
#[derive(Debug)]
pub(super) struct Series<const N: usize>(pub(super) Vec<[Load; N]>);

impl<const N: usize> Default for Series<N> {
    fn default() -> Self {
        Series(Vec::new())
    }
}

impl<const N: usize> Series<N> {
    /// The middle one of a column's figures; the upper of two middle ones.
    pub(super) fn median(&self, column: usize, figure: impl Fn(&Load) -> f64) -> f64 {
        median(self.0.iter().map(|round| figure(&round[column])).collect())
    }
}

/// The middle value; the upper of two middle ones, 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
