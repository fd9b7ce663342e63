//! Whether the log's store takes what is sent to it, as far as its answers tell.
//!
//! What nats-server (2.15) does on a disk that is full, or was made read-only under way: the first
//! write that fails stops the stream for good. A publish is no longer answered at all, room or not,
//! until the server is started again; what is asked of the stream (its last position, its messages)
//! is answered as before, and only its health check names the error. The codes for a store that
//! refuses come where a limit is reached or JetStream was switched off. So what goes unanswered
//! twice in a row, each right after the last position was told, is taken for a refusal: to stop
//! claiming for a while costs little where it was something else.

use std::path::PathBuf;

use devmesh_bus::log::AppendError;
use devmesh_protocol::{Code, Rejection, Reply};

/// Appends in a row that may go unanswered before the store counts as one that takes nothing.
const UNANSWERED_MAX: u32 = 2;

/// Where the store is on this machine, and what is free there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The folder.
    pub dir: PathBuf,
    /// Bytes that are free; none where the system does not say.
    pub free: Option<u64>,
}

/// What is known of it.
#[derive(Debug, Default)]
pub(crate) struct Store {
    unanswered: u32,
    refuses: bool,
    room: Option<Room>,
}

impl Store {
    /// It takes nothing: claiming waits, queries are answered from memory.
    pub(crate) fn refuses(&self) -> bool {
        self.refuses
    }

    /// An append was not acknowledged. Whether this has made it a store that refuses.
    pub(crate) fn failed(&mut self, error: &AppendError) -> bool {
        let refused = self.refuses;
        match error {
            // Somebody else's append was stored, or this one is stale: it says nothing of the disk.
            AppendError::Conflict(_) => {}
            error if error.store_refuses() => self.refuses = true,
            error if error.is_unanswered() => {
                self.unanswered += 1;
                self.refuses |= self.unanswered >= UNANSWERED_MAX;
            }
            AppendError::NotStored(_) | AppendError::Unknown { .. } => {
                self.takes();
            }
        }
        self.refuses && !refused
    }

    /// It stores, or it is for somebody else to say. Whether it was one that refuses.
    pub(crate) fn takes(&mut self) -> bool {
        self.unanswered = 0;
        std::mem::take(&mut self.refuses)
    }

    /// Keeps what is free.
    pub(crate) fn weighed(&mut self, room: Option<Room>) {
        self.room = room;
    }

    /// What is wrong and what to do.
    pub(crate) fn why(&self) -> String {
        let asked = "the store takes nothing: is the disk full or read-only? free space";
        match &self.room {
            None => format!("{asked} where nats-server keeps its store"),
            Some(Room { dir, free: None }) => format!("{asked} in {}", dir.display()),
            Some(Room { dir, free: Some(free) }) => {
                format!("{asked} in {}, where {} KiB are free", dir.display(), free >> 10)
            }
        }
    }

    /// What a command is told: it may have been recorded before, so this is no "no".
    pub(crate) fn refusal(&self, again_ms: u64) -> Reply {
        let mut error = Rejection::new(Code::StoreRefuses, self.why()).retry_after(again_ms);
        if let Some(Room { dir, free }) = &self.room {
            error = error.with("dir", dir.display().to_string());
            error = error.with("free_bytes", *free);
        }
        Reply::Err { seq: None, error }
    }
}

#[cfg(test)]
mod tests;
