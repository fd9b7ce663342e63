//! What was pushed: numbered frames, the last of them kept for browsers that come back.

use std::collections::{BTreeMap, VecDeque};

use axum::extract::ws::Utf8Bytes;

/// Frames that are kept.
const FRAMES_MAX: usize = 512;
/// Their bytes.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Rows that came or changed, and the names of those that went, by part of the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows as JSON.
    pub put: BTreeMap<&'static str, Vec<String>>,
    /// Names.
    pub cut: BTreeMap<&'static str, Vec<String>>,
}

/// The last frames, numbered 1, 2, 3 …
#[derive(Clone, Debug, Default)]
pub struct Pushed {
    rev: u64,
    frames: VecDeque<Utf8Bytes>,
    bytes: usize,
    snapshot: Option<Utf8Bytes>,
}

impl Pushed {
    /// The number of the newest.
    pub fn rev(&self) -> u64 {
        self.rev
    }

    /// Adds a frame, made for its number.
    pub fn add(&mut self, make: impl FnOnce(u64) -> String) -> Utf8Bytes {
        self.rev += 1;
        self.snapshot = None;
        let frame = Utf8Bytes::from(make(self.rev));
        self.bytes += frame.len();
        self.frames.push_back(frame.clone());
        while self.frames.len() > FRAMES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.bytes -= oldest.len();
        }
        frame
    }

    /// What came after that number; none where it is no longer known.
    pub fn after(&self, rev: u64) -> Option<impl Iterator<Item = Utf8Bytes> + '_> {
        let missed = usize::try_from(self.rev.checked_sub(rev)?).ok()?;
        let from = self.frames.len().checked_sub(missed)?;
        Some(self.frames.range(from..).cloned())
    }

    /// Everything as it stands, made once for all who come before the next push.
    pub fn snapshot(&mut self, make: impl FnOnce(u64) -> String) -> Utf8Bytes {
        let rev = self.rev;
        self.snapshot.get_or_insert_with(|| make(rev).into()).clone()
    }
}

/// A JSON list of what is JSON already.
pub(crate) fn list<'t>(items: impl IntoIterator<Item = &'t str>) -> String {
    let mut text = String::from("[");
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(item);
    }
    text.push(']');
    text
}

/// A JSON object of lists of what is JSON already.
pub(crate) fn lists<'t, I: IntoIterator<Item = &'t str>>(
    parts: impl IntoIterator<Item = (&'static str, I)>,
) -> String {
    let parts: Vec<String> =
        parts.into_iter().map(|(name, items)| format!("\"{name}\":{}", list(items))).collect();
    format!("{{{}}}", parts.join(","))
}

#[cfg(test)]
mod tests;
