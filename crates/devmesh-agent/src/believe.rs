//! What an agent may believe about its leases: that they live until nine tenths of their time
//! after the *sending* of the last beat that was answered. The answer may be late; the leader
//! counted from when it heard the beat, which is not before it was sent.

/// The belief, on this process's monotonic clock in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belief {
    ttl_ms: u64,
    sent_ms: Option<u64>,
}

impl Belief {
    /// No beat answered yet: nothing is believed.
    pub fn new(ttl_ms: u64) -> Self {
        Self { ttl_ms, sent_ms: None }
    }

    /// A beat sent at that time was answered. Answers may overtake each other.
    pub fn answered(&mut self, sent_ms: u64) {
        self.sent_ms = Some(self.sent_ms.map_or(sent_ms, |last| last.max(sent_ms)));
    }

    /// Until when the leases live for sure.
    pub fn until_ms(&self) -> Option<u64> {
        self.sent_ms.map(|sent| sent + self.ttl_ms / 10 * 9)
    }

    /// Whether they do now.
    pub fn holds(&self, now_ms: u64) -> bool {
        self.until_ms().is_some_and(|until| now_ms < until)
    }
}

#[cfg(test)]
mod tests;
