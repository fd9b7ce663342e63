//! Times of one repeated step, and what is said of them.

use std::time::{Duration, Instant};

/// The times of a step, sorted.
pub(super) struct Times(Vec<Duration>);

impl Times {
    /// Sorts what was measured.
    pub(super) fn of(mut times: Vec<Duration>) -> Times {
        times.sort_unstable();
        Times(times)
    }

    /// Runs the step so often first unmeasured, then so often measured.
    pub(super) fn measure<E>(
        warm_up: usize,
        n: usize,
        mut step: impl FnMut() -> Result<(), E>,
    ) -> Result<Times, E> {
        for _ in 0..warm_up {
            step()?;
        }
        let mut times = Vec::with_capacity(n);
        for _ in 0..n {
            let begun = Instant::now();
            step()?;
            times.push(begun.elapsed());
        }
        Ok(Times::of(times))
    }

    /// The time that so many percent of the steps did not exceed, in milliseconds; nearest rank.
    pub(super) fn percentile_ms(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    }
}
