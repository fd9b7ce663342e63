//! A batch: the one message that several decisions share on their way into the log, and the
//! chain by which a reader knows that it has read them all, each whole and in order.
//!
//! On the wire a batch is a CBOR array of two byte strings: a BLAKE3 digest, and the body it is
//! of. The body is CBOR too: `{v, epoch, node, prev, first_seq, records}`. What stands in the
//! message's headers is a copy for tools; nothing here reads it.

use bytes_of::{FRAME_BYTES, seal, split};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::event::Event;
use crate::limits::BATCH_BYTES_MAX;
use crate::planted::{self, Fault};
use crate::record::Record;
use crate::version;

mod bytes_of;

/// The decisions of one message, with the place they claim in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The format it is written in.
    pub v: u32,
    /// The term that wrote it.
    pub epoch: u64,
    /// Who led that term.
    pub node: String,
    /// The chain's value before this message.
    pub prev: Digest,
    /// The `seq` of the first record.
    pub first_seq: u64,
    /// At least one; their `seq` are dense.
    pub records: Vec<Record>,
}

/// Why bytes are not a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBatch {
    /// The frame around digest and body is not there.
    #[error("it is not a batch of devmesh")]
    Frame,
    /// The body is not what the digest is of.
    #[error("its digest is wrong: bytes were changed")]
    Digest,
    /// The body is whole and cannot be read.
    #[error("its body cannot be read: {0}")]
    Body(String),
    /// It is written in a format this program does not know.
    #[error("it is written in format {0}; this program reads up to {max}", max = version::FORMAT)]
    Format(u32),
}

impl Batch {
    /// The message. `None` when it would be over [`BATCH_BYTES_MAX`].
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut message = Vec::with_capacity(FRAME_BYTES + 512 * self.records.len().max(1));
        message.resize(FRAME_BYTES, 0);
        ciborium::into_writer(self, &mut message)
            .expect("a batch is plain data and memory takes it");
        if message.len() > FRAME_BYTES + BATCH_BYTES_MAX {
            return None;
        }
        seal(&mut message);
        Some(message)
    }

    /// Reads a message: frame, digest, body. Whether it counts is the [`Chain`]'s to say. Needs
    /// no order, so that many can be read at once.
    pub fn decode(payload: &[u8]) -> Result<Batch, BadBatch> {
        let (digest, body) = split(payload).ok_or(BadBatch::Frame)?;
        if Digest::of(body) != digest {
            return Err(BadBatch::Digest);
        }
        version::decode(body)
    }

    /// Whether this is a lone `EpochStarted` of exactly that term.
    fn starts(&self, epoch: u64) -> bool {
        self.epoch == epoch
            && matches!(self.records.as_slice(), [Record { events, .. }]
                if matches!(events.as_slice(), [Event::EpochStarted(e)] if e.epoch == epoch))
    }

    fn is_dense(&self) -> bool {
        !self.records.is_empty()
            && (self.first_seq..).zip(&self.records).all(|(seq, record)| record.seq == seq)
    }
}

/// Why a reader stops: going on would mean to believe something that the log does not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message {stream_seq} of the log: {why}")]
pub struct Halt {
    /// The message's place in the stream.
    pub stream_seq: u64,
    /// What is wrong.
    pub why: HaltWhy,
}

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HaltWhy {
    /// The message is no batch.
    #[error(transparent)]
    Bad(#[from] BadBatch),
    /// Messages are missing, or come twice.
    #[error("message {expected} was expected here")]
    Gap {
        /// The place that should have come.
        expected: u64,
    },
    /// It follows another message than the one before it.
    #[error("it does not follow the message before it: the chain is broken")]
    Prev,
    /// Its records do not follow the records before them.
    #[error("its first record is {found}, and {expected} was expected")]
    FirstSeq {
        /// The record that should have come.
        expected: u64,
        /// The one that did.
        found: u64,
    },
    /// Its records are not numbered one after the other, or it has none.
    #[error("its records are not numbered one after the other")]
    Dense,
}

/// What a reader makes of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Accepted {
    /// These records follow.
    Records(Vec<Record>),
    /// A term that had ended wrote it: it counts for the chain and for nothing else.
    Void {
        /// The term that wrote it.
        epoch: u64,
    },
}

/// How far a reader has come: the head of the log as it knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// The last message, 0 before the first.
    pub stream_seq: u64,
    /// The last record, 0 before the first.
    pub seq: u64,
    /// The current term, 0 before the first.
    pub epoch: u64,
    /// `h(s) = BLAKE3(h(s−1) ‖ payload)` over all messages, void ones included.
    pub h: Digest,
}

impl Chain {
    /// Takes the next message. The order of the checks is the contract: digest, chain, term,
    /// place.
    pub fn accept(&mut self, stream_seq: u64, payload: &[u8]) -> Result<Accepted, Halt> {
        self.accept_decoded(stream_seq, payload, Batch::decode(payload))
    }

    /// The same, for a message that was decoded beside others.
    pub fn accept_decoded(
        &mut self,
        stream_seq: u64,
        payload: &[u8],
        decoded: Result<Batch, BadBatch>,
    ) -> Result<Accepted, Halt> {
        let halt = |why| Halt { stream_seq, why };
        if stream_seq != self.stream_seq + 1 && !planted::is(Fault::GapAccepted) {
            return Err(halt(HaltWhy::Gap { expected: self.stream_seq + 1 }));
        }
        let batch = decoded.map_err(|bad| halt(bad.into()))?;
        let before = self.h;
        let starts = batch.starts(self.epoch + 1);
        if batch.epoch != self.epoch && !starts && !planted::is(Fault::NoEpochCheck) {
            self.step(stream_seq, payload);
            return Ok(Accepted::Void { epoch: batch.epoch });
        }
        if batch.prev != before && !planted::is(Fault::ChainNotCompared) {
            return Err(halt(HaltWhy::Prev));
        }
        if batch.first_seq != self.seq + 1 {
            let (expected, found) = (self.seq + 1, batch.first_seq);
            return Err(halt(HaltWhy::FirstSeq { expected, found }));
        }
        if !batch.is_dense() {
            return Err(halt(HaltWhy::Dense));
        }
        self.step(stream_seq, payload);
        self.seq += batch.records.len() as u64;
        self.epoch = batch.epoch;
        Ok(Accepted::Records(batch.records))
    }

    fn step(&mut self, stream_seq: u64, payload: &[u8]) {
        self.h = Digest::of_pair(&self.h.0, payload);
        self.stream_seq = stream_seq;
    }
}

#[cfg(test)]
mod tests;
