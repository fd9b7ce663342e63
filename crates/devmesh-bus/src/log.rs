//! The append-only log: one trait, two implementors, NATS and memory.
//!
//! A log is a sequence of opaque payloads at the positions 1, 2, 3 …; what is in them, and which of
//! them are void, is not known here. Both implementors obey one conformance suite (`tests/log`).

use bytes::Bytes;
use futures::future::Future;
use futures::stream::BoxStream;

use crate::error::Result;

pub mod memory;
pub mod nats;
mod strict;

/// The most bytes one message of the log may have, headers left out. A batch stays below half.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024 - HEADER_BYTES_MAX;

/// Room kept for headers within the stream's `max_msg_size`.
const HEADER_BYTES_MAX: usize = 1024;

/// How long an append may take, from the moment it is sent, before its outcome is unknown.
pub const APPEND_MS_MAX: u64 = 2_000;

/// One message of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its position in the stream, dense from 1.
    pub stream_seq: u64,
    /// What was appended.
    pub payload: Bytes,
}

/// The entries of a range or of a tail, in strict order.
pub type Entries = BoxStream<'static, Result<Entry>>;

/// A handle on one log. It belongs to one connection: a term opens its own (see [`Open`]), because
/// a publish whose caller gave up may still be sent when that connection comes back.
pub trait Log: Send + Sync + 'static {
    /// Stores `payload` if and only if the log's last position is `expected_last`, and returns its
    /// position, `expected_last + 1`. `epoch` is copied to a header for tools.
    ///
    /// One append at a time: the expected position is no fence for pipelined appends.
    fn append(
        &self,
        expected_last: u64,
        epoch: u64,
        payload: Bytes,
    ) -> impl Future<Output = std::result::Result<u64, AppendError>> + Send;

    /// The last position, 0 for an empty log, as the stream's leader knows it.
    fn last(&self) -> impl Future<Output = Result<u64>> + Send;

    /// The entries `from..=to`; empty where `from > to`. Ends with an error that names the position
    /// if one is missing or the log ends before `to`.
    fn read(&self, from: u64, to: u64) -> Entries;

    /// The entries at `from` and after it, for ever. Survives restarts of the server and the loss
    /// of its consumer; ends with an error if a position is missing, or if the log was made anew or
    /// ends before what was read.
    fn tail(&self, from: u64) -> Entries;
}

/// Makes a fresh handle, on a fresh connection, for each term.
pub trait Open: Send + Sync + 'static {
    /// The log that is opened.
    type Log: Log;

    /// A handle that shares no connection with any other.
    fn open(&self) -> impl Future<Output = Result<Self::Log>> + Send;
}

/// Why an append was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log's last position is another one: nothing was stored by this append.
    #[error("append where the log already went on: {0}")]
    Conflict(String),
    /// Refused before it could be stored: nothing was stored, nothing will be.
    #[error("append to the log: {0}")]
    NotStored(String),
    /// It may be stored, now or later; only a new term that reads the log can tell.
    #[error("learn whether the append is stored: {what}")]
    Unknown {
        /// The server's error code, where it answered with one.
        code: Option<u32>,
        /// What was seen instead of an acknowledgement.
        what: String,
    },
}

/// The server's codes for a store that takes nothing more: no memory or disk left (10023), the
/// account's or the stream's limit (10002, 10047, 10077), JetStream switched off by a failed write
/// (10039, 10076).
const STORE_CODES: [u32; 6] = [10002, 10023, 10039, 10047, 10076, 10077];

impl AppendError {
    /// The outcome is unknown for a reason that has no code.
    pub(crate) fn unknown(what: impl Into<String>) -> Self {
        Self::Unknown { code: None, what: what.into() }
    }

    /// Whether nothing came back that says why. nats-server answers so to a publish on a disk that
    /// is full or read-only: not at all, while it goes on answering what is asked of the stream.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        matches!(self, Self::Unknown { code: None, .. })
    }

    /// Whether the store itself refuses (disk full, read-only): claiming again is no use.
    #[must_use]
    pub fn store_refuses(&self) -> bool {
        matches!(self, Self::Unknown { code: Some(code), .. } if STORE_CODES.contains(code))
    }
}
