//! Reads plain `cargo test`: for each binary its tests, their output, and a result.

use super::tally::{Reader, SKIP, Tally, counts, seeds};

/// The runner's state between two lines.
#[derive(Default)]
pub(super) struct Libtest {
    tally: Tally,
    skips: usize,
    part: Part,
    /// The test whose output is being read, until it says that it skips.
    name: Option<String>,
}

/// The parts of what one test binary prints; each list of outputs is followed by one of names.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Tests,
    /// What passing tests printed; hidden, but for a skip.
    Successes,
    SuccessNames,
    Failures,
    FailureNames,
}

impl Part {
    fn after(self, line: &str) -> Part {
        match (line, self) {
            ("successes:", Part::Successes) => Part::SuccessNames,
            ("successes:", _) => Part::Successes,
            ("failures:", Part::Failures) => Part::FailureNames,
            ("failures:", _) => Part::Failures,
            (_, part) => part,
        }
    }
}

impl Reader for Libtest {
    fn line(&mut self, line: &str) -> Option<String> {
        self.part = self.part.after(line);
        match self.part {
            Part::Successes => self.skip(line),
            Part::SuccessNames if line.starts_with("    ") => None,
            Part::Failures => Some(line.to_owned()),
            Part::Tests | Part::SuccessNames | Part::FailureNames => {
                if let Some(result) = line.strip_prefix("test result: ") {
                    self.part = Part::Tests;
                    self.tally.add(result_of(result));
                }
                Some(line.to_owned())
            }
        }
    }

    fn tally(&self) -> Tally {
        self.tally.less_skips(self.skips)
    }
}

impl Libtest {
    fn skip(&mut self, line: &str) -> Option<String> {
        let heading = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----"));
        if let Some(name) = heading {
            self.name = Some(name.to_owned());
            return None;
        }
        if let Some(seeds) = seeds(line) {
            self.tally.seeds += seeds;
            return Some(line.to_owned());
        }
        let why = line.trim_start().strip_prefix(SKIP)?;
        let name = self.name.take()?;
        self.skips += 1;
        Some(format!("test {name} ... skipped: {why}"))
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
