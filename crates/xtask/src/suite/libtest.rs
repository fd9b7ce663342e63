//! Reads plain `cargo test`: for each binary its tests, their output, and a result.

use super::tally::{Reader, SKIP, Tally, counts};

/// The runner's state between two lines.
#[derive(Default)]
pub(super) struct Libtest {
    tally: Tally,
    skips: usize,
    /// Within the list of what passing tests printed; hidden, but for a skip.
    in_successes: bool,
    /// The test whose output is being read, until it says that it skips.
    name: Option<String>,
}

impl Reader for Libtest {
    fn line(&mut self, line: &str) -> Option<String> {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.in_successes = false;
            self.tally.add(result_of(result));
            return Some(line.to_owned());
        }
        match line {
            "successes:" => self.in_successes = true,
            "failures:" => self.in_successes = false,
            _ => {}
        }
        if !self.in_successes {
            return Some(line.to_owned());
        }
        if let Some(name) = line.strip_prefix("---- ").and_then(|l| l.strip_suffix(" stdout ----"))
        {
            self.name = Some(name.to_owned());
            return None;
        }
        let why = line.trim_start().strip_prefix(SKIP)?;
        let name = self.name.take()?;
        self.skips += 1;
        Some(format!("test {name} ... skipped: {why}"))
    }

    fn tally(&self) -> Tally {
        self.tally.less_skips(self.skips)
    }
}

/// Reads `ok. 3 passed; 1 failed; 1 ignored; …`.
fn result_of(result: &str) -> Tally {
    let list = result.split_once(". ").map_or(result, |(_, list)| list);
    let mut tally = Tally::default();
    for (n, what) in counts(list, ';') {
        match what {
            "passed" => tally.passed += n,
            "failed" => tally.failed += n,
            "ignored" => tally.skipped += n,
            _ => {} // measured, filtered out, the time it took
        }
    }
    tally
}
