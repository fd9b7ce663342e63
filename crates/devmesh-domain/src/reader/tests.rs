//! What a reader believes of a log, and where it stops.

use devmesh_protocol::batch::{Batch, Chain};
use devmesh_protocol::event::mesh::{Checkpoint, EpochStarted, MeshPaused};
use devmesh_protocol::version::FORMAT;
use devmesh_protocol::{At, Digest, Event, Record};

use super::{Reader, Stop};
use crate::state::State;

/// The next message of a log, with one record.
fn message(chain: &Chain, epoch: u64, event: impl Into<Event>) -> Vec<u8> {
    let record = Record::new(chain.seq + 1, At(chain.seq + 1), None, vec![event.into()]);
    let (prev, first_seq) = (chain.h, chain.seq + 1);
    let batch =
        Batch { v: FORMAT, epoch, node: "n".to_owned(), prev, first_seq, records: vec![record] };
    batch.encode().unwrap()
}

fn term(hash: Digest) -> EpochStarted {
    EpochStarted { epoch: 1, node: "n".to_owned(), nonce: 1, hash, format: FORMAT }
}

fn pause() -> MeshPaused {
    MeshPaused { now: false, reason: None }
}

/// A reader of a log in which a term has begun and the mesh was paused.
fn begun() -> Reader {
    let mut reader = Reader::default();
    let payload = message(reader.chain(), 1, term(State::default().hash()));
    reader.take(1, &payload).unwrap();
    let payload = message(reader.chain(), 1, pause());
    reader.take(2, &payload).unwrap();
    reader
}

#[test]
fn every_hash_on_record_is_compared() {
    let mut reader = begun();
    let (before, found) = (*reader.chain(), reader.hash());
    let right = message(&before, 1, Checkpoint { hash: found });
    reader.clone().take(3, &right).unwrap();
    for expected in [State::default().hash(), Digest::of(b"x")] {
        let wrong = message(&before, 1, Checkpoint { hash: expected });
        let stop = reader.clone().take(3, &wrong).unwrap_err();
        assert_eq!(stop, Stop::Hash { stream_seq: 3, seq: 3, expected, found });
    }
    // The record that begins a term carries one too.
    let expected = Digest::of(b"x");
    let found = State::default().hash();
    let stop = Reader::default().take(1, &message(&Chain::default(), 1, term(expected)));
    assert_eq!(stop.unwrap_err(), Stop::Hash { stream_seq: 1, seq: 1, expected, found });
}

#[test]
fn a_reader_goes_on_from_where_another_was() {
    let mut first = begun();
    let mut second = Reader::at(*first.chain(), first.state().clone());
    assert_eq!((second.chain().seq, second.state().mesh().paused), (2, true));
    let hash = first.hash();
    let next = message(first.chain(), 1, Checkpoint { hash });
    assert_eq!(second.take(3, &next).unwrap(), first.take(3, &next).unwrap());
    assert_eq!(second.hash(), first.hash());
}
