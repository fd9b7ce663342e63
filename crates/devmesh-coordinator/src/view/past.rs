//! The newest records, and where older ones stand: for answers that are given again.

use std::collections::VecDeque;
use std::sync::Arc;

use devmesh_protocol::Record;
use devmesh_protocol::batch::Chain;

/// Records that are kept in memory.
const RECORDS_KEPT: usize = 4_096;
/// Messages between two places that are kept.
const PLACE_EVERY: u64 = 64;

/// What was read and written so far.
#[derive(Debug, Default)]
pub(crate) struct Past {
    newest: VecDeque<Arc<Record>>,
    places: Vec<Chain>,
}

impl Past {
    /// What is behind a reader that comes from a snapshot is not known.
    pub(crate) fn from(chain: Chain) -> Past {
        Past { newest: VecDeque::new(), places: vec![Chain::default(), chain] }
    }

    /// The records of one message; `chain` is the place behind it.
    pub(crate) fn push(&mut self, records: Vec<Arc<Record>>, chain: &Chain) {
        for record in records {
            if self.newest.len() == RECORDS_KEPT {
                self.newest.pop_front();
            }
            self.newest.push_back(record);
        }
        if chain.stream_seq.is_multiple_of(PLACE_EVERY) {
            self.places.push(*chain);
        }
    }

    /// A record, if it is among the newest.
    pub(crate) fn recent(&self, seq: u64) -> Option<&Arc<Record>> {
        let first = self.newest.front()?.seq;
        self.newest.get(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// A place before the message that holds a record, and a position not before that message.
    pub(crate) fn around(&self, seq: u64, head: &Chain) -> (Chain, u64) {
        let behind = self.places.partition_point(|place| place.seq < seq);
        let after = behind.checked_sub(1).and_then(|i| self.places.get(i));
        let to = self.places.get(behind).unwrap_or(head);
        (after.copied().unwrap_or_default(), to.stream_seq)
    }
}

#[cfg(test)]
mod tests;
