//! Reads cargo-nextest: a line for each test, its output indented below it, a summary.

use super::tally::{Reader, SKIP, Tally, counts, seeds};

/// The runner's state between two lines.
#[derive(Default)]
pub(super) struct Nextest {
    tally: Tally,
    skips: usize,
    seeds: usize,
    /// The test that passed and whose output is being read; hidden, but for a skip.
    passing: Option<Passing>,
    summary_seen: bool,
}

struct Passing {
    name: String,
    has_skipped: bool,
}

impl Reader for Nextest {
    fn line(&mut self, line: &str) -> Option<String> {
        if let Some(rest) = line.strip_prefix("     Summary [") {
            self.passing = None;
            self.summary_seen = true;
            self.tally = summary(rest);
            return Some(line.to_owned());
        }
        if let Some((is_pass, name)) = status(line) {
            // Failures are named once more after the summary.
            let is_new = is_pass && !self.summary_seen;
            self.passing = is_new.then(|| Passing { name: name.to_owned(), has_skipped: false });
            return Some(line.to_owned());
        }
        let Some(passing) = &mut self.passing else { return Some(line.to_owned()) };
        if let Some(seeds) = seeds(line) {
            self.seeds += seeds;
            return Some(line.to_owned());
        }
        let why = line.trim_start().strip_prefix(SKIP)?;
        let is_first = !std::mem::replace(&mut passing.has_skipped, true);
        self.skips += usize::from(is_first);
        is_first.then(|| format!("        SKIP {}: {why}", passing.name))
    }

    fn tally(&self) -> Tally {
        Tally { seeds: self.seeds, ..self.tally.less_skips(self.skips) }
    }
}

/// Whether the line says how a test ended: if it passed, and its name.
fn status(line: &str) -> Option<(bool, &str)> {
    // Right-aligned to twelve columns; a test's own output is indented by four.
    let word_end = line.char_indices().nth(12)?.0;
    let (word, rest) = line.split_at(word_end);
    let rest = rest.strip_prefix(" [")?;
    let word = word.trim_start();
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '-');
    let (_, name) = rest.split_once("] ")?;
    let name = name.trim_start_matches(|c: char| "()/0123456789 ".contains(c));
    is_word.then_some((matches!(word, "PASS" | "LEAK"), name))
}

/// Reads what follows `Summary [`.
fn summary(rest: &str) -> Tally {
    let list = rest.split_once(" run: ").map_or(rest, |(_, list)| list);
    let mut tally = Tally::default();
    for (n, what) in counts(list, ',') {
        match what.split(['(', ' ']).next().unwrap_or(what) {
            "passed" => tally.passed += n,
            "skipped" => tally.skipped += n,
            // Failed, timed out, could not be run: all the same here.
            _ => tally.failed += n,
        }
    }
    tally
}
