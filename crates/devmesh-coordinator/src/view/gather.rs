//! When the next batch goes: at once, or when those who were just answered have asked again.
//!
//! An append costs the server and the disk the same for one record as for a hundred. Callers who
//! ask, wait and ask again fall in step with the appends; a batch that leaves with the first of
//! them carries few, and the rest wait for it. So most of those who are in play go together; not
//! all, for the slowest of them would then hold up the rest, and nobody would be at work while the
//! disk is.

/// Fewer callers than these are not waited for: the wait would be all that they notice.
const CALLERS_MIN: usize = 4;
/// Of few in play three quarters are waited for: an append costs more than their commands.
const MOST: (usize, usize) = (4, 3);
/// From so many records on half of those in play are enough: the others are at work meanwhile.
const RECORDS_ENOUGH: usize = 12;
/// How long a batch is held at most.
const HELD_MS_MAX: u64 = 2;
/// After a wait in vain so many batches go at once: these callers come and go as they like. Few,
/// for it may only have been that the machine was busy.
const BATCHES_AT_ONCE: u32 = 8;

/// Who is waited for, if anybody is.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    /// So many records, or that time.
    wanted: Option<(usize, u64)>,
    was_held: bool,
    at_once: u32,
    /// A batch that nobody waits for is held until then.
    idle_until: Option<u64>,
}

impl Gather {
    /// A batch that answers so many commands is acknowledged, while so many wait for the next.
    pub(crate) fn acknowledged(&mut self, answered: usize, waiting: usize, now_ms: u64) {
        let in_play = answered + waiting;
        let least = (in_play * MOST.1 / MOST.0).min(RECORDS_ENOUGH.max(in_play / 2));
        self.was_held = false;
        self.wanted =
            (self.at_once == 0 && in_play >= CALLERS_MIN).then_some((least, now_ms + HELD_MS_MAX));
        self.at_once = self.at_once.saturating_sub(1);
    }

    /// Whether a batch of so many records goes now.
    pub(crate) fn goes(&mut self, records: usize, now_ms: u64) -> bool {
        self.idle_until = None;
        let Some((least, until)) = self.wanted else { return true };
        if records < least && now_ms < until {
            self.was_held = true;
            return false;
        }
        if records < least && self.was_held {
            self.at_once = BATCHES_AT_ONCE;
        }
        self.wanted = None;
        true
    }

    /// Whether a batch goes now whose append answers nobody: it holds requests that are queued,
    /// and their senders hear of the grant. Whoever holds what they wait for gives it back a moment
    /// later, and what is granted then must not wait for an append that nobody waits for.
    pub(crate) fn goes_unawaited(&mut self, now_ms: u64) -> bool {
        let until = *self.idle_until.get_or_insert(now_ms + HELD_MS_MAX);
        if now_ms >= until {
            self.idle_until = None;
        }
        now_ms >= until
    }

    /// When a batch that is held goes at the latest.
    pub(crate) fn until(&self) -> Option<u64> {
        let gathers = self.wanted.filter(|_| self.was_held).map(|(_, until)| until);
        gathers.into_iter().chain(self.idle_until).min()
    }
}

#[cfg(test)]
mod tests;
