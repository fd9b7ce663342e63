//! What the coordinator puts in by itself. These never come through the door; each carries the
//! number that was measured, so that a replay can check what followed from it.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::event::{Bid, Capacity};
use crate::id::{ActorId, HostId, SessionId, TaskId};
use crate::report::HostReport;

/// An input of the coordinator's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Internal {
    /// A new term begins.
    EpochStart {
        /// The new term's number, one above the last.
        epoch: u64,
        /// Who leads.
        node: String,
        /// Tells two claims of one node apart.
        nonce: u64,
        /// The hash of the state before.
        hash: Digest,
    },
    /// The state's hash goes on record.
    Checkpoint {
        /// The hash of the state before.
        hash: Digest,
    },
    /// Time has passed: whatever is due is done.
    Tick,
    /// A session has not been heard for a while.
    SessionSilent {
        /// Whose.
        actor: ActorId,
        /// Which.
        session: SessionId,
        /// For how long, by the leader's monotonic clock.
        silent_ms: u64,
    },
    /// A host's probe has measured it.
    HostMeasured {
        /// Which.
        host: HostId,
        /// What it has.
        capacity: Capacity,
        /// What was measured; none: nothing but what it has is known.
        report: Option<Box<HostReport>>,
    },
    /// A host's probe has not been heard for a while.
    HostSilent {
        /// Whose.
        host: HostId,
        /// For how long, by the leader's monotonic clock.
        silent_ms: u64,
    },
    /// A bid window is over: these bids came.
    AuctionClose {
        /// Whose.
        task: TaskId,
        /// All of them, in any order.
        bids: Vec<Bid>,
    },
}

impl Internal {
    /// The name, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Internal::EpochStart { .. } => "internal.epoch_start",
            Internal::Checkpoint { .. } => "internal.checkpoint",
            Internal::Tick => "internal.tick",
            Internal::SessionSilent { .. } => "internal.session_silent",
            Internal::HostMeasured { .. } => "internal.host_measured",
            Internal::HostSilent { .. } => "internal.host_silent",
            Internal::AuctionClose { .. } => "internal.auction_close",
        }
    }
}
