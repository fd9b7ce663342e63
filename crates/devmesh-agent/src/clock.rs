//! The time as this process sees it: monotonic for spans and beliefs, wall for reset times.
//!
//! **Architecture invariant:** the monotonic clock counts while the machine sleeps. Leases end
//! meanwhile, so a belief measured on a clock that stood still would outlive them by the sleep.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// Goes on through sleep; `std::time::Instant` does not, neither here nor on macOS.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SLEEPLESS: ClockId = ClockId::CLOCK_BOOTTIME;
/// On macOS this one goes on through sleep.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SLEEPLESS: ClockId = ClockId::CLOCK_MONOTONIC;

/// Counts milliseconds from its making; copies count together.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Duration,
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since the process began, monotonic, those asleep among them.
    pub ms: u64,
    /// Milliseconds UTC.
    pub wall_ms: u64,
}

impl Clock {
    /// A clock that starts at zero.
    pub fn start() -> Self {
        Self { started: sleepless() }
    }

    /// Milliseconds since its start.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(sleepless().saturating_sub(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        Now { ms: self.now_ms(), wall_ms: wall_ms() }
    }
}

/// Milliseconds UTC.
pub(crate) fn wall_ms() -> u64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)
}

fn sleepless() -> Duration {
    clock_gettime(SLEEPLESS).expect("a kernel that devmesh runs on has this clock").into()
}

#[cfg(test)]
mod tests;
