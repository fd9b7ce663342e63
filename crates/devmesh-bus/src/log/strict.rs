//! The order that every reader of the log insists on: each position once, each after the last.

use crate::error::{Error, ErrorKind};

/// Counts positions; it trusts no consumer's idea of where it starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strict {
    next: u64,
}

/// What to do with the entry that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// It was seen before: a consumer that began again.
    Skip,
    /// It is the next one.
    Apply,
    /// Positions are missing before it.
    Jump,
}

impl Strict {
    /// Expects `from`, or 1 for 0.
    pub(super) fn from(from: u64) -> Self {
        Self { next: from.max(1) }
    }

    /// The position that must come next.
    pub(super) fn next(self) -> u64 {
        self.next
    }

    /// Judges `seq` and counts it if it is the next.
    pub(super) fn take(&mut self, seq: u64) -> Take {
        match seq.cmp(&self.next) {
            std::cmp::Ordering::Less => Take::Skip,
            std::cmp::Ordering::Equal => {
                self.next += 1;
                Take::Apply
            }
            std::cmp::Ordering::Greater => Take::Jump,
        }
    }

    /// The error for an entry at `seq` while the next one is missing.
    pub(super) fn gap(self, seq: u64) -> Error {
        let next = self.next;
        let what = format!("read the log at {next}: it is missing, the next one is {seq}");
        Error::new(ErrorKind::Gap, what)
    }

    /// The error for a log that ends at `last` although more was read from it.
    pub(super) fn rolled_back(self, last: u64) -> Error {
        let read = self.next - 1;
        let what = format!("follow the log: it ends at {last}, {read} was read from it");
        Error::new(ErrorKind::RolledBack, what)
    }
}

/// The error for a range whose end the log does not reach.
pub(super) fn beyond_end(to: u64, last: u64) -> Error {
    Error::new(ErrorKind::BeyondEnd, format!("read the log to {to}: it ends at {last}"))
}

/// The error for a log that is another one than the one that was followed.
pub(super) fn made_anew() -> Error {
    Error::new(ErrorKind::RolledBack, "follow the log: its stream was deleted and made anew")
}
