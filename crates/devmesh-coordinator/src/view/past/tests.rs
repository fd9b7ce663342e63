//! Old records are found.

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

#[test]
fn what_is_behind_a_snapshot_is_read_from_the_beginning_of_the_log() {
    let place = |seq| Chain { stream_seq: seq / 2, seq, ..Chain::default() };
    let past = Past::from(place(1_000));
    let around = |seq| {
        let (after, to) = past.around(seq, &place(3_000));
        (after.seq, to)
    };
    assert_eq!(around(1), (0, 500));
    assert_eq!(around(1_000), (0, 500));
    assert_eq!(around(1_001), (1_000, 1_500));
}
