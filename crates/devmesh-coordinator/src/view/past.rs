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
mod tests {
    use super::*;
    use devmesh_protocol::{ActorId, At};

    fn record(seq: u64) -> Arc<Record> {
        let (command_id, body, causation, events) = (None, None, None, Vec::new());
        let actor = ActorId::coordinator();
        Arc::new(Record { seq, at: At(seq), command_id, body, actor, causation, events })
    }

    #[test]
    fn an_old_record_is_between_its_places_and_a_new_one_in_memory() {
        let mut past = Past::from(Chain::default());
        let mut chain = Chain::default();
        for message in 1..=10_000 {
            chain.stream_seq = message;
            chain.seq = message * 2;
            past.push(vec![record(message * 2 - 1), record(message * 2)], &chain);
        }
        for seq in [1, 2, 127, 128, 129, 9_999, 19_000, 19_999, 20_000] {
            let (after, to) = past.around(seq, &chain);
            let message = seq.div_ceil(2);
            assert!(after.stream_seq < message, "{seq}: after {}", after.stream_seq);
            assert!(to >= message, "{seq}: to {to}");
            assert!(to - after.stream_seq <= PLACE_EVERY, "{seq}");
            let recent = past.recent(seq).map(|record| record.seq);
            let is_new = seq > 20_000 - RECORDS_KEPT as u64;
            assert_eq!(recent, is_new.then_some(seq));
        }
        assert!(past.recent(20_001).is_none());
    }
}
