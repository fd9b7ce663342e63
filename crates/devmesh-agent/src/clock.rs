//! The time as this process sees it: monotonic for spans and beliefs, wall for reset times.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Counts milliseconds from its making; copies count together.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since the process began, monotonic.
    pub ms: u64,
    /// Milliseconds UTC.
    pub wall_ms: u64,
}

impl Clock {
    /// A clock that starts at zero.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Milliseconds since its start.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { ms: self.now_ms(), wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
    }
}
