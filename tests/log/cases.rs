//! The cases that every log must pass.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use devmesh_bus::log::{AppendError, Entries, Entry, Log, PAYLOAD_BYTES_MAX};
use devmesh_bus::{Error, ErrorKind};
use futures::StreamExt;
use tokio::time::timeout;

use super::world::World;

/// How long a test waits for what must come.
const WAIT: Duration = Duration::from_secs(40);

pub(super) fn payload(number: u64) -> Bytes {
    Bytes::from(format!("payload {number}"))
}

/// Appends until the log has `to` entries, each `payload(position)`.
pub(super) async fn fill_to(log: &impl Log, to: u64) {
    for last in log.last().await.unwrap()..to {
        assert_eq!(log.append(last, 1, payload(last + 1)).await, Ok(last + 1));
    }
}

/// Appends once, however often a log that is coming back must be asked.
pub(super) async fn append_when_back(log: &impl Log, expected_last: u64, bytes: Bytes) {
    let appended = async {
        loop {
            match log.append(expected_last, 1, bytes.clone()).await {
                Ok(seq) => return assert_eq!(seq, expected_last + 1),
                Err(AppendError::Conflict(_)) => {
                    let mut stored = log.read(expected_last + 1, expected_last + 1);
                    let stored = stored.next().await.unwrap().unwrap();
                    return assert_eq!(stored.payload, bytes);
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(WAIT, appended).await.expect("the log comes back");
}

/// The last position, however often a connection that is coming back must be asked.
async fn last_when_back(log: &impl Log) -> u64 {
    let asked = async {
        loop {
            match log.last().await {
                Ok(last) => return last,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(WAIT, asked).await.expect("the connection comes back")
}

pub(super) async fn next(entries: &mut Entries) -> Option<Result<Entry, Error>> {
    timeout(WAIT, entries.next()).await.expect("an entry, or the end, in time")
}

/// Takes the entries `from..=to` and checks that they are what `fill_to` appended.
pub(super) async fn take(entries: &mut Entries, from: u64, to: u64) {
    for seq in from..=to {
        let entry = next(entries).await.expect("an entry").expect("no error");
        assert_eq!((entry.stream_seq, entry.payload), (seq, payload(seq)));
    }
}

/// Takes entries until the one error that ends them, and returns its kind and text.
async fn error(entries: &mut Entries) -> (ErrorKind, String) {
    loop {
        match next(entries).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                assert!(next(entries).await.is_none(), "nothing comes after an error");
                return (error.kind(), error.to_string());
            }
            None => panic!("ended without an error"),
        }
    }
}

fn is_unknown(outcome: &Result<u64, AppendError>) -> bool {
    matches!(outcome, Err(AppendError::Unknown { .. }))
}

fn is_conflict(outcome: &Result<u64, AppendError>) -> bool {
    matches!(outcome, Err(AppendError::Conflict(_)))
}

pub(super) async fn appends_are_dense_and_read_back<W: World>(world: W) {
    let log = world.open().await;
    assert_eq!(log.last().await.unwrap(), 0);
    fill_to(&log, 5).await;
    assert_eq!(log.last().await.unwrap(), 5);
    let mut read = world.open().await.read(1, 5);
    take(&mut read, 1, 5).await;
    assert!(next(&mut read).await.is_none());
}

pub(super) async fn a_wrong_last_sequence_is_a_conflict_and_stores_nothing<W: World>(world: W) {
    let log = world.open().await;
    fill_to(&log, 3).await;
    for wrong in [0, 2, 4, 100] {
        let outcome = log.append(wrong, 1, payload(99)).await;
        assert!(is_conflict(&outcome), "expected {wrong}: {outcome:?}");
    }
    assert_eq!(log.last().await.unwrap(), 3);
    fill_to(&log, 4).await;
}

pub(super) async fn of_many_rivals_one_wins_each_position<W: World>(world: W) {
    let mut rivals = Vec::new();
    for _ in 0..32 {
        rivals.push(world.open().await);
    }
    for last in 0..3 {
        let claims = rivals.iter().zip(0_u64..).map(|(rival, number)| {
            let claim = Bytes::from(format!("{last} {number}"));
            async move { (number, rival.append(last, number, claim).await) }
        });
        let outcomes = futures::future::join_all(claims).await;
        let won: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok() || is_conflict(outcome)));
        let mut read = rivals[0].read(last + 1, last + 1);
        let stored = next(&mut read).await.unwrap().unwrap();
        assert_eq!(stored.payload, Bytes::from(format!("{last} {}", won[0].0)));
    }
    assert_eq!(rivals[0].last().await.unwrap(), 3);
}

pub(super) async fn a_lost_acknowledgement_is_unknown_and_the_read_shows_what_was_stored<
    W: World,
>(
    mut world: W,
) {
    let log = world.open().await;
    fill_to(&log, 2).await;
    world.lose_answers().await;
    let outcome = log.append(2, 1, payload(3)).await;
    assert!(is_unknown(&outcome), "{outcome:?}");
    world.heal().await;
    let fresh = world.open().await;
    assert_eq!(fresh.last().await.unwrap(), 3);
    take(&mut fresh.read(1, 3), 1, 3).await;
}

pub(super) async fn a_late_send_is_fenced_by_the_claim_of_a_new_term<W: World>(mut world: W) {
    let old = world.open().await;
    fill_to(&old, 2).await;
    world.hold_appends(&old).await;
    let outcome = old.append(2, 1, payload(99)).await;
    assert!(is_unknown(&outcome), "{outcome:?}");
    let fresh = world.open_beside().await;
    assert_eq!(fresh.last().await.unwrap(), 2);
    assert_eq!(fresh.append(2, 2, payload(3)).await, Ok(3));
    world.heal().await;
    // Once the old term's connection answers this, it has sent what it held before.
    last_when_back(&old).await;
    assert_eq!(fresh.last().await.unwrap(), 3);
    fill_to(&fresh, 4).await;
    take(&mut fresh.read(1, 4), 1, 4).await;
}

pub(super) async fn a_late_send_before_the_claim_makes_the_claim_conflict<W: World>(mut world: W) {
    let old = world.open().await;
    fill_to(&old, 2).await;
    world.hold_appends(&old).await;
    let outcome = old.append(2, 1, payload(3)).await;
    assert!(is_unknown(&outcome), "{outcome:?}");
    world.heal().await;
    let fresh = world.open().await;
    // It shows by itself: nobody sends it again.
    take(&mut fresh.tail(3), 3, 3).await;
    let claim = fresh.append(2, 2, payload(99)).await;
    assert!(is_conflict(&claim), "{claim:?}");
    fill_to(&fresh, 4).await;
}

pub(super) async fn a_duplicate_is_not_an_acknowledgement<W: World>(mut world: W) {
    let outcome = world.forged(5, true).await.append(4, 1, payload(5)).await;
    assert!(is_unknown(&outcome), "{outcome:?}");
}

pub(super) async fn another_position_is_not_an_acknowledgement<W: World>(mut world: W) {
    fill_to(&world.open().await, 4).await;
    let outcome = world.forged(6, false).await.append(4, 1, payload(5)).await;
    assert!(is_unknown(&outcome), "{outcome:?}");
}

pub(super) async fn a_tail_goes_on_over_a_restart<W: World>(mut world: W) {
    let log = world.open().await;
    fill_to(&log, 3).await;
    let mut tail = log.tail(1);
    take(&mut tail, 1, 3).await;
    world.restart().await;
    append_when_back(&log, 3, payload(4)).await;
    append_when_back(&log, 4, payload(5)).await;
    take(&mut tail, 4, 5).await;
}

pub(super) async fn a_lost_consumer_does_not_start_again_at_1<W: World>(mut world: W) {
    let log = world.open().await;
    fill_to(&log, 5).await;
    let mut tail = log.tail(3);
    take(&mut tail, 3, 5).await;
    for round in 0..3 {
        world.lose_consumers().await;
        fill_to(&log, 6 + round).await;
        take(&mut tail, 6 + round, 6 + round).await;
    }
}

pub(super) async fn a_consumer_lost_before_its_first_message_does_not_start_at_1<W: World>(
    mut world: W,
) {
    let log = world.open().await;
    fill_to(&log, 5).await;
    let mut tail = log.tail(6);
    let early = timeout(Duration::from_millis(600), tail.next()).await;
    assert!(early.is_err(), "nothing stands at 6 yet: {early:?}");
    world.lose_consumers().await;
    fill_to(&log, 7).await;
    take(&mut tail, 6, 7).await;
}

pub(super) async fn a_tail_of_an_empty_log_waits_for_its_first_entry<W: World>(world: W) {
    let log = world.open().await;
    let mut tail = log.tail(0);
    let early = timeout(Duration::from_millis(300), tail.next()).await;
    assert!(early.is_err(), "the log is empty: {early:?}");
    fill_to(&log, 2).await;
    take(&mut tail, 1, 2).await;
}

pub(super) async fn a_rolled_back_log_ends_the_tail<W: World>(mut world: W) {
    let log = world.open().await;
    fill_to(&log, 3).await;
    world.keep().await;
    for last in 3..6 {
        append_when_back(&log, last, payload(last + 1)).await;
    }
    let mut tail = log.tail(1);
    take(&mut tail, 1, 6).await;
    world.roll_back().await;
    let (kind, text) = error(&mut tail).await;
    assert_eq!(kind, ErrorKind::RolledBack, "{text}");
    assert!(text.contains("ends at 3") && text.contains('6'), "{text}");
}

pub(super) async fn a_log_made_anew_ends_the_tail<W: World>(mut world: W) {
    let log = world.open().await;
    fill_to(&log, 2).await;
    let mut tail = log.tail(1);
    take(&mut tail, 1, 2).await;
    world.make_anew().await;
    // As long as before, and yet another log.
    fill_to(&world.open().await, 4).await;
    let (kind, text) = error(&mut tail).await;
    assert_eq!(kind, ErrorKind::RolledBack, "{text}");
}

pub(super) async fn a_hole_is_named_by_read_and_tail<W: World>(mut world: W) {
    let log = world.open().await;
    fill_to(&log, 6).await;
    world.remove(4).await;
    let mut read = log.read(2, 6);
    take(&mut read, 2, 3).await;
    let (kind, text) = error(&mut read).await;
    assert_eq!(kind, ErrorKind::Gap, "{text}");
    assert!(text.contains("at 4"), "{text}");
    let (kind, text) = error(&mut log.tail(1)).await;
    assert_eq!(kind, ErrorKind::Gap, "{text}");
    assert!(text.contains("at 4"), "{text}");
}

pub(super) async fn a_range_keeps_its_bounds<W: World>(world: W) {
    let log = world.open().await;
    fill_to(&log, 6).await;
    for (from, to) in [(1, 6), (2, 4), (6, 6), (1, 1)] {
        let mut read = log.read(from, to);
        take(&mut read, from, to).await;
        assert!(next(&mut read).await.is_none(), "{from}..={to}");
    }
    take(&mut log.read(0, 2), 1, 2).await;
    for (from, to) in [(3, 2), (1, 0), (0, 0), (9, 8)] {
        assert!(next(&mut log.read(from, to)).await.is_none(), "{from}..={to}");
    }
}

pub(super) async fn a_long_range_is_read_whole<W: World>(world: W) {
    let log = world.open().await;
    // More than two requests for messages, and one entry that is larger than all others together.
    fill_to(&log, 1_300).await;
    let large = Bytes::from(vec![7; 512 * 1024]);
    assert_eq!(log.append(1_300, 1, large.clone()).await, Ok(1_301));
    let mut read = world.open().await.read(1, 1_301);
    take(&mut read, 1, 1_300).await;
    assert_eq!(next(&mut read).await.unwrap().unwrap().payload, large);
    assert!(next(&mut read).await.is_none());
    let seqs: BTreeSet<u64> =
        log.read(1_000, 1_300).map(|entry| entry.unwrap().stream_seq).collect().await;
    assert_eq!(seqs, (1_000..=1_300).collect());
}

pub(super) async fn too_large_a_payload_is_not_stored<W: World>(world: W) {
    let log = world.open().await;
    let outcome = log.append(0, 1, Bytes::from(vec![0; PAYLOAD_BYTES_MAX + 1])).await;
    assert!(matches!(outcome, Err(AppendError::NotStored(_))), "{outcome:?}");
    assert_eq!(log.last().await.unwrap(), 0);
    let fits = Bytes::from(vec![1; PAYLOAD_BYTES_MAX]);
    assert_eq!(log.append(0, 1, fits.clone()).await, Ok(1));
    assert_eq!(next(&mut log.read(1, 1)).await.unwrap().unwrap().payload, fits);
}

pub(super) async fn without_a_stream_nothing_is_stored<W: World>(mut world: W) {
    let log = world.without_stream().await;
    let outcome = log.append(0, 1, payload(1)).await;
    assert!(matches!(outcome, Err(AppendError::NotStored(_))), "{outcome:?}");
}

pub(super) async fn a_full_store_is_told_and_later_appends_go_on<W: World>(mut world: W) {
    let log = world.open().await;
    fill_to(&log, 2).await;
    world.fill(true).await;
    let outcome = log.append(2, 1, payload(3)).await;
    let error = outcome.expect_err("a full store");
    assert!(error.store_refuses(), "{error:?}");
    world.fill(false).await;
    assert_eq!(log.last().await.unwrap(), 2);
    fill_to(&log, 3).await;
    let mut read = log.read(1, 3);
    take(&mut read, 1, 3).await;
}
