//! The newest events as sentences.

use std::collections::VecDeque;

use devmesh_protocol::Record;
use serde_json::{Value, json};

/// Lines that are kept for those who come.
pub const LINES_MAX: usize = 400;

/// The newest lines, and how many of them were not pushed yet.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    kept: VecDeque<String>,
    fresh: usize,
    /// Lines that went by unseen since the last push.
    skipped: u64,
}

impl Lines {
    /// Adds what a record says.
    pub fn add(&mut self, record: &Record) {
        for (place, event) in record.events.iter().enumerate() {
            let line = json!({
                "seq": record.seq,
                "i": place,
                "at": record.at,
                "by": record.actor,
                "kind": event.kind(),
                "key": event.key(),
                "text": event.to_string(),
            });
            self.kept.push_back(line.to_string());
            self.fresh += 1;
            if self.kept.len() > LINES_MAX {
                self.kept.pop_front();
            }
        }
        if self.fresh > self.kept.len() {
            self.skipped += (self.fresh - self.kept.len()) as u64;
            self.fresh = self.kept.len();
        }
    }

    /// Whether there are lines that were not pushed.
    pub fn is_stale(&self) -> bool {
        self.fresh > 0
    }

    /// All that are kept, as a JSON list.
    pub fn all(&self) -> String {
        super::pushed::list(self.kept.iter().map(String::as_str))
    }

    /// Those that were not pushed yet, as a JSON list, and how many before them went by unseen.
    pub fn take(&mut self) -> (String, Value) {
        let from = self.kept.len() - self.fresh;
        let fresh = super::pushed::list(self.kept.range(from..).map(String::as_str));
        self.fresh = 0;
        (fresh, Value::from(std::mem::take(&mut self.skipped)))
    }
}
