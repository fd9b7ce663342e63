//! What every simulated process has: a life, two clocks, a network that may be cut.

/// How a process stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Still {
    /// Stopped by a signal: its clocks go on, what is sent to it waits.
    Frozen,
    /// Its machine sleeps: its monotonic clock stands still, what is sent to it is lost.
    Asleep,
}

/// One process, apart from what it does.
#[derive(Debug)]
pub(crate) struct Process {
    /// Counts its lives.
    pub(crate) boot: u32,
    /// It runs, or stands still; else it is dead.
    pub(crate) alive: bool,
    /// It stands still, since then.
    pub(crate) still: Option<(Still, u64)>,
    /// Nothing reaches it before that.
    pub(crate) cut_until: u64,
    /// Its machine has slept for so long.
    pub(crate) slept_ms: u64,
    /// How far its wall clock is off.
    pub(crate) wall_skew: i64,
    ppm: i64,
    born_at: u64,
}

/// Wall time at the beginning of every run.
const WALL: u64 = 1_800_000_000_000;
/// What a monotonic clock shows when a machine has just been started.
const MONO: u64 = 1_000;

impl Process {
    /// A process whose monotonic clock runs `ppm` millionths too fast.
    #[must_use]
    pub(crate) fn new(ppm: i64) -> Process {
        Process {
            boot: 0,
            alive: true,
            still: None,
            cut_until: 0,
            slept_ms: 0,
            wall_skew: 0,
            ppm,
            born_at: 0,
        }
    }

    /// Its monotonic clock at that simulated time.
    #[must_use]
    pub(crate) fn mono(&self, now: u64) -> u64 {
        let asleep = match self.still {
            Some((Still::Asleep, since)) => now - since,
            Some((Still::Frozen, _)) | None => 0,
        };
        let ran = now - self.slept_ms - asleep;
        let off = i128::from(ran) * i128::from(self.ppm) / 1_000_000;
        MONO + u64::try_from(i128::from(ran) + off).unwrap_or(0)
    }

    /// When its monotonic clock will show that, if its machine does not sleep.
    #[must_use]
    pub(crate) fn when(&self, now: u64, mono: u64) -> u64 {
        let left = mono.saturating_sub(self.mono(now));
        let off = i128::from(left) * i128::from(self.ppm) / 1_000_000;
        now + u64::try_from(i128::from(left) - off).unwrap_or(0).max(u64::from(left > 0))
    }

    /// Its wall clock.
    #[must_use]
    pub(crate) fn wall(&self, now: u64) -> u64 {
        let wall = i128::from(WALL) + i128::from(now) + i128::from(self.wall_skew);
        u64::try_from(wall).unwrap_or(0)
    }

    /// Its clock that goes on while its machine sleeps, since this life began.
    #[must_use]
    pub(crate) fn age(&self, now: u64) -> u64 {
        self.sleepless(now) - self.born_at
    }

    /// Its clock that goes on while its machine sleeps.
    #[must_use]
    pub(crate) fn sleepless(&self, now: u64) -> u64 {
        let off = i128::from(now) * i128::from(self.ppm) / 1_000_000;
        MONO + u64::try_from(i128::from(now) + off).unwrap_or(0)
    }

    /// It dies.
    pub(crate) fn die(&mut self) {
        self.alive = false;
        self.boot += 1;
    }

    /// It begins again.
    pub(crate) fn begin(&mut self, now: u64) {
        self.alive = true;
        self.born_at = self.sleepless(now);
    }

    /// It goes on after standing still.
    pub(crate) fn go_on(&mut self, now: u64) {
        if let Some((still, since)) = self.still.take()
            && still == Still::Asleep
        {
            self.slept_ms += now - since;
        }
    }

    /// Whether messages reach it and leave it.
    #[must_use]
    pub(crate) fn is_connected(&self, now: u64) -> bool {
        let asleep = matches!(self.still, Some((Still::Asleep, _)));
        self.alive && !asleep && self.cut_until <= now
    }
}
