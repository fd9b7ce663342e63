//! Reading a log: the chain says which records count, `fold` makes the state of them, and every
//! hash on record is compared. Coordinator, dashboard and replay read through this one type, so
//! that they cannot disagree about what a log says.

use devmesh_protocol::batch::{Accepted, BadBatch, Batch, Chain, Halt};
use devmesh_protocol::{Digest, Event, Record};

use crate::fold::fold;
use crate::state::State;

/// A reader of a log: how far it has come, and the state there.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    chain: Chain,
    state: State,
}

/// Why reading stops.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The log is not whole.
    #[error(transparent)]
    Log(#[from] Halt),
    /// The state that was folded is not the one its writer had.
    #[error(
        "record {seq} in message {stream_seq} of the log: its writer's state had hash \
         {expected:?}, and this fold has {found:?}"
    )]
    Hash {
        /// The message.
        stream_seq: u64,
        /// The record that carries the hash.
        seq: u64,
        /// What the writer had.
        expected: Digest,
        /// What was folded here.
        found: Digest,
    },
}

impl Reader {
    /// A reader that has come as far as that, from a snapshot.
    pub fn at(chain: Chain, state: State) -> Reader {
        Reader { chain, state }
    }

    /// How far it has come.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The state there.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The hash of the state there.
    pub fn hash(&mut self) -> Digest {
        self.state.hash()
    }

    /// Takes the next message and folds its records, which are returned; none where it is void.
    pub fn take(&mut self, stream_seq: u64, payload: &[u8]) -> Result<Vec<Record>, Stop> {
        self.take_decoded(stream_seq, payload, Batch::decode(payload))
    }

    /// The same, for a message that was decoded beside others.
    pub fn take_decoded(
        &mut self,
        stream_seq: u64,
        payload: &[u8],
        decoded: Result<Batch, BadBatch>,
    ) -> Result<Vec<Record>, Stop> {
        let records = match self.chain.accept_decoded(stream_seq, payload, decoded)? {
            Accepted::Records(records) => records,
            Accepted::Void { .. } => return Ok(Vec::new()),
        };
        for record in &records {
            self.compare(stream_seq, record)?;
            fold(&mut self.state, record);
        }
        Ok(records)
    }

    fn compare(&mut self, stream_seq: u64, record: &Record) -> Result<(), Stop> {
        let Some(expected) = record.events.iter().find_map(hash_on_record) else {
            return Ok(());
        };
        let found = self.state.hash();
        if found == expected {
            return Ok(());
        }
        Err(Stop::Hash { stream_seq, seq: record.seq, expected, found })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only these two events carry a hash of state")]
fn hash_on_record(event: &Event) -> Option<Digest> {
    match event {
        Event::EpochStarted(started) => Some(started.hash),
        Event::Checkpoint(checkpoint) => Some(checkpoint.hash),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
