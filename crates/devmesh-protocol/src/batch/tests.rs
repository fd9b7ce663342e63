//! What a reader accepts, calls void, and halts at.

use super::*;
use crate::event::mesh::{EpochStarted, MeshResumed};
use crate::id::ActorId;
use crate::time::At;

fn record(seq: u64, event: Event) -> Record {
    let actor = ActorId::coordinator();
    Record {
        seq,
        at: At(seq),
        command_id: None,
        body: None,
        actor,
        causation: None,
        events: vec![event],
    }
}

fn started(epoch: u64) -> Event {
    EpochStarted { epoch, node: "a".into(), nonce: 1, hash: Digest::default(), format: 1 }.into()
}

fn batch(chain: &Chain, epoch: u64, events: Vec<Event>) -> Vec<u8> {
    let records =
        (chain.seq + 1..).zip(events).map(|(seq, event)| record(seq, event)).collect::<Vec<_>>();
    let (prev, first_seq) = (chain.h, chain.seq + 1);
    let batch = Batch { v: version::FORMAT, epoch, node: "a".into(), prev, first_seq, records };
    batch.encode().unwrap()
}

fn resumed() -> Event {
    MeshResumed {}.into()
}

/// A log of a term's start and two batches.
fn log() -> (Chain, Vec<Vec<u8>>) {
    let mut chain = Chain::default();
    let mut log = Vec::new();
    for events in [vec![started(1)], vec![resumed(), resumed()], vec![resumed()]] {
        let message = batch(&chain, 1, events);
        chain.accept(chain.stream_seq + 1, &message).unwrap();
        log.push(message);
    }
    (chain, log)
}

fn read(log: &[Vec<u8>]) -> Result<Chain, Halt> {
    let mut chain = Chain::default();
    for (message, stream_seq) in log.iter().zip(1..) {
        chain.accept(stream_seq, message)?;
    }
    Ok(chain)
}

#[test]
fn a_whole_log_is_read_to_its_head() {
    let (chain, log) = log();
    assert_eq!(read(&log), Ok(chain));
    assert_eq!((chain.stream_seq, chain.seq, chain.epoch), (3, 4, 1));
}

#[test]
fn a_byte_changed_anywhere_names_its_message() {
    let (_, log) = log();
    for message in 0..log.len() {
        for byte in 0..log[message].len() {
            for bit in [0, 3, 7] {
                let mut log = log.clone();
                log[message][byte] ^= 1 << bit;
                let halt = read(&log).expect_err("a changed byte is seen");
                assert_eq!(halt.stream_seq, message as u64 + 1, "byte {byte} bit {bit}");
            }
        }
    }
}

#[test]
fn a_message_cut_short_or_made_longer_is_seen() {
    let (_, log) = log();
    for length in 0..log[1].len() {
        assert_eq!(Batch::decode(&log[1][..length]), Err(BadBatch::Frame), "{length}");
    }
    let mut longer = log[1].clone();
    longer.push(0);
    assert_eq!(Batch::decode(&longer), Err(BadBatch::Frame));
}

#[test]
fn a_message_dropped_doubled_or_moved_is_seen() {
    let (whole, log) = log();
    let dropped = [log[0].clone(), log[2].clone()];
    assert_eq!(read(&dropped).unwrap_err().why, HaltWhy::Prev);
    let doubled = [log[0].clone(), log[1].clone(), log[1].clone()];
    assert_eq!(read(&doubled).unwrap_err().why, HaltWhy::Prev);
    let mut chain = Chain::default();
    assert_eq!(chain.accept(2, &log[1]).unwrap_err().why, HaltWhy::Gap { expected: 1 });
    // Only a head that is known from elsewhere tells that the last message is missing.
    assert_ne!(read(&log[..2]), Ok(whole));
}

#[test]
fn a_stale_term_is_void_whatever_place_it_claims() {
    let (mut chain, _) = log();
    let late = batch(&chain, 1, vec![resumed()]);
    let start = batch(&chain, 2, vec![started(2)]);
    chain.accept(4, &start).unwrap();
    let before = chain;
    assert_eq!(chain.accept(5, &late), Ok(Accepted::Void { epoch: 1 }));
    assert_eq!((chain.seq, chain.epoch), (before.seq, 2), "it takes no record number");
    assert_ne!(chain.h, before.h, "it counts for the chain");
    let next = batch(&chain, 2, vec![resumed()]);
    assert!(
        matches!(chain.accept(6, &next), Ok(Accepted::Records(r)) if r[0].seq == before.seq + 1)
    );
}

#[test]
fn a_term_begins_alone_and_by_one() {
    let (chain, _) = log();
    for (epoch, events) in [
        (3, vec![started(3)]),
        (2, vec![started(2), resumed()]),
        (2, vec![resumed()]),
        (2, vec![started(3)]),
        (1 << 63, vec![started(1 << 63)]),
    ] {
        let mut chain = chain;
        let message = batch(&chain, epoch, events);
        assert_eq!(chain.accept(4, &message), Ok(Accepted::Void { epoch }));
    }
}

#[test]
fn the_current_term_out_of_place_halts() {
    let (chain, _) = log();
    let mut forged = chain;
    forged.seq += 1;
    let message = batch(&forged, 1, vec![resumed()]);
    let why = chain.clone().accept(4, &message).unwrap_err().why;
    assert_eq!(why, HaltWhy::FirstSeq { expected: 5, found: 6 });
    let empty = batch(&chain, 1, vec![]);
    assert_eq!(chain.clone().accept(4, &empty).unwrap_err().why, HaltWhy::Dense);
}

/// A field or an event that this program does not know may mean anything: nothing is folded as
/// if it were not there.
#[test]
fn what_a_newer_program_wrote_is_not_read_as_if_it_were_less() {
    let (_, log) = log();
    let body = |change: &dyn Fn(&mut ciborium::Value)| {
        let (_, body) = split(&log[1]).unwrap();
        let mut value: ciborium::Value = ciborium::from_reader(body).unwrap();
        change(&mut value);
        let mut message = vec![0; FRAME_BYTES];
        ciborium::into_writer(&value, &mut message).unwrap();
        seal(&mut message);
        message
    };
    fn fields(value: &mut ciborium::Value) -> &mut Vec<(ciborium::Value, ciborium::Value)> {
        value.as_map_mut().unwrap()
    }
    fn field<'v>(value: &'v mut ciborium::Value, name: &str) -> &'v mut ciborium::Value {
        let found = fields(value).iter_mut().find(|(key, _)| key.as_text() == Some(name));
        &mut found.unwrap().1
    }
    let more = || (ciborium::Value::from("more"), ciborium::Value::from(1));
    type Change<'c> = &'c dyn Fn(&mut ciborium::Value);
    let of_batch: Change<'_> = &|batch| fields(batch).push(more());
    let of_record: Change<'_> =
        &|batch| fields(&mut field(batch, "records").as_array_mut().unwrap()[0]).push(more());
    let unchanged = body(&|_| {});
    assert_eq!(unchanged, log[1], "else nothing below would be about the change");
    for change in [of_batch, of_record] {
        let halt = read(&[log[0].clone(), body(change)]).unwrap_err();
        assert_eq!(halt.stream_seq, 2);
        assert!(matches!(&halt.why, HaltWhy::Bad(BadBatch::Body(why)) if why.contains("more")));
    }
    let newer: Change<'_> = &|batch| {
        *field(batch, "v") = (version::FORMAT + 1).into();
        fields(batch).push(more());
    };
    let halt = read(&[log[0].clone(), body(newer)]).unwrap_err();
    assert_eq!(halt.why, HaltWhy::Bad(BadBatch::Format(version::FORMAT + 1)));
}
