//! Troubles of the host that may pass are waited out before they cost anybody anything.

use std::time::Duration;

use crate::error::Error;
use crate::view::Key;

/// Waits between the tries.
const PAUSES_MS: [u64; 5] = [250, 500, 1_000, 2_000, 4_000];

/// How much longer one piece of work is tried again.
pub(super) struct Patience {
    key: Key,
    left: std::array::IntoIter<u64, { PAUSES_MS.len() }>,
}

impl Patience {
    pub(super) fn new(key: Key) -> Self {
        Self { key, left: PAUSES_MS.into_iter() }
    }

    /// Waits, and says whether to try again after this.
    pub(super) async fn outlasts(&mut self, error: &Error) -> bool {
        let pause = self.left.next().filter(|_| error.is_passing());
        if let Some(ms) = pause {
            let (key, error) = (self.key, error.chain());
            tracing::warn!(%key, error, again_in_ms = ms, "tried in vain");
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        pause.is_some()
    }
}
