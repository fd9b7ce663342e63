//! Free texts that are known to be stored, as many as memory may hold.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use devmesh_protocol::Digest;

/// Bytes of texts that are kept.
const BYTES_KEPT: usize = 16 * 1024 * 1024;

/// The newest texts.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    by_digest: BTreeMap<Digest, Arc<str>>,
    order: VecDeque<Digest>,
    bytes: usize,
    /// Texts that are being stored.
    storing: BTreeMap<Digest, Arc<str>>,
    /// Never stored again, never shown.
    redacted: BTreeSet<Digest>,
}

impl Texts {
    /// The text, if it is stored and at hand.
    pub(crate) fn get(&self, digest: &Digest) -> Option<&Arc<str>> {
        self.by_digest.get(digest)
    }

    /// Whether storing it is not needed.
    pub(crate) fn needs_no_storing(&self, digest: &Digest) -> bool {
        self.by_digest.contains_key(digest) || self.redacted.contains(digest)
    }

    /// Begins to store a text; `None` where that has begun already.
    pub(crate) fn store(&mut self, digest: Digest, text: &str) -> Option<Arc<str>> {
        if self.storing.contains_key(&digest) {
            return None;
        }
        let text: Arc<str> = text.into();
        self.storing.insert(digest, Arc::clone(&text));
        Some(text)
    }

    /// Storing it has ended.
    pub(crate) fn stored(&mut self, digest: Digest, is_stored: bool) {
        if let Some(text) = self.storing.remove(&digest)
            && is_stored
        {
            self.insert(digest, text);
        }
    }

    /// A text that was read.
    pub(crate) fn insert(&mut self, digest: Digest, text: Arc<str>) {
        if self.redacted.contains(&digest) {
            return;
        }
        self.bytes += text.len();
        if let Some(old) = self.by_digest.insert(digest, text) {
            self.bytes -= old.len();
        } else {
            self.order.push_back(digest);
        }
        while self.bytes > BYTES_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(&oldest);
        }
    }

    /// A text was redacted.
    pub(crate) fn redact(&mut self, digest: Digest) {
        self.redacted.insert(digest);
        self.forget(&digest);
    }

    pub(crate) fn is_redacted(&self, digest: &Digest) -> bool {
        self.redacted.contains(digest)
    }

    fn forget(&mut self, digest: &Digest) {
        if let Some(text) = self.by_digest.remove(digest) {
            self.bytes -= text.len();
            self.order.retain(|other| other != digest);
        }
    }
}

#[cfg(test)]
mod tests;
