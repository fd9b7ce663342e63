//! The count of a suite, and what reads it from a runner's lines.

use std::fmt;

/// How a test says that what it needs is not there.
pub(super) const SKIP: &str = "SKIP: ";

/// How the simulation says how many seeds it ran.
const SEEDS: &str = "SEEDS: ";

/// How many tests passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
    /// Meshes that were simulated.
    pub(super) seeds: usize,
}

impl Tally {
    pub(super) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.seeds += other.seeds;
    }

    /// Of the tests counted as passed, so many said that they did nothing.
    pub(super) fn less_skips(self, skips: usize) -> Tally {
        let skips = skips.min(self.passed);
        Tally { passed: self.passed - skips, skipped: self.skipped + skips, ..self }
    }
}

/// The closing line; scripts read it.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { passed, failed, skipped, seeds } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")?;
        if *seeds > 0 {
            write!(f, ", {seeds} meshes simulated")?;
        }
        Ok(())
    }
}

/// Reads a runner's output line by line.
pub(super) trait Reader {
    /// What of the line to show, if anything.
    fn line(&mut self, line: &str) -> Option<String>;
    /// The count so far.
    fn tally(&self) -> Tally;
}

/// The numbers before each of these words in a list such as `3 passed; 1 failed`.
pub(super) fn counts(list: &str, separator: char) -> impl Iterator<Item = (usize, &str)> {
    list.split(separator).filter_map(|part| {
        let (number, what) = part.trim().split_once(' ')?;
        Some((number.parse().ok()?, what.trim()))
    })
}

/// How many seeds a line of a passing test tells of.
pub(super) fn seeds(line: &str) -> Option<usize> {
    line.trim_start().strip_prefix(SEEDS)?.split(' ').next()?.parse().ok()
}
