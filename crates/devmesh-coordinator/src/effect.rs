//! What a coordinator does about it: performed in the order in which it was decided, by code that
//! has no choice to make.

use std::sync::Arc;

use bytes::Bytes;
use devmesh_bus::intake::ReplyTo;
use devmesh_protocol::batch::Chain;
use devmesh_protocol::report::LeaderBeat;
use devmesh_protocol::{Digest, Record};

use crate::error::Error;

/// One thing to do. What is asked for comes back as an input.
#[derive(Debug)]
pub enum Effect {
    /// Drop the connection with everything that is under way on it, and open a fresh one under
    /// this number.
    Reopen {
        /// The new one's number.
        link: u64,
        /// How long to wait before.
        after_ms: u64,
    },
    /// Ask the stream's leader for the last position.
    AskLast {
        /// Over which connection.
        link: u64,
    },
    /// Read these messages of the log.
    Read {
        /// Over which connection.
        link: u64,
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Read what comes, from there on, in the place of what was read before.
    Follow {
        /// Over which connection.
        link: u64,
        /// The first.
        from: u64,
    },
    /// Read no further.
    StopReading,
    /// Append to the log. Never while another one is in flight.
    Append {
        /// Over which connection.
        link: u64,
        /// The last position there may be.
        expected_last: u64,
        /// The term, for tools.
        epoch: u64,
        /// The batch.
        payload: Bytes,
    },
    /// Hear commands and queries.
    HearRequests,
    /// Hear no more commands and queries. `forget` those that were received and not looked at.
    IgnoreRequests {
        /// Somebody else leads, and their callers will ask there.
        forget: bool,
    },
    /// Answer.
    Reply {
        /// Where.
        to: ReplyTo,
        /// What.
        bytes: Bytes,
    },
    /// Tell of acknowledged records.
    Announce(Vec<Arc<Record>>),
    /// Say that this coordinator leads.
    Lead(LeaderBeat),
    /// Store a free text.
    StoreText {
        /// Its name.
        digest: Digest,
        /// Its bytes.
        text: Arc<str>,
    },
    /// Read a free text.
    ReadText {
        /// Its name.
        digest: Digest,
    },
    /// Delete a free text that was redacted.
    DeleteText {
        /// Its name.
        digest: Digest,
    },
    /// Read one old record.
    ReadRecord {
        /// For which request.
        ticket: u64,
        /// A place before it.
        after: Chain,
        /// A position not before it.
        to: u64,
        /// Its number.
        seq: u64,
    },
    /// Look how much is free where the store is, if it is on this machine.
    WeighStore,
    /// Keep in the state folder how far the log was read.
    Remember(Chain),
    /// End the process: going on would mean to believe what the log does not say.
    Halt(Error),
    /// Everything is answered: the process can end.
    Done,
}
