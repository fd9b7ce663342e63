//! The twin's own switches; how it behaves as a log is in the conformance suite.

use bytes::Bytes;
use futures::StreamExt;

use super::{Fault, MemoryOpen};
use crate::ErrorKind;
use crate::log::{AppendError, Log, Open};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn stored(open: &MemoryOpen) -> Vec<String> {
    let text = |payload: Bytes| String::from_utf8_lossy(&payload).into_owned();
    open.entries().into_iter().map(|entry| text(entry.payload)).collect()
}

#[tokio::test]
async fn a_delayed_append_is_answered_when_it_is_released() {
    let open = MemoryOpen::new();
    open.script([Fault::Delay]);
    let log = open.open().await.unwrap();
    let waiting = tokio::spawn(async move { log.append(0, 1, bytes("a")).await });
    while open.held() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(open.entries().is_empty());
    assert_eq!(open.release(), 1);
    assert_eq!(waiting.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn a_caller_that_timed_out_is_not_told_and_its_append_arrives_all_the_same() {
    let open = MemoryOpen::new();
    open.script([Fault::Delay]);
    let log = open.handle();
    let waiting = tokio::spawn(async move { log.append(0, 1, bytes("a")).await });
    while open.held() == 0 {
        tokio::task::yield_now().await;
    }
    open.time_out();
    assert!(matches!(waiting.await.unwrap(), Err(AppendError::Unknown { .. })));
    assert_eq!(open.held(), 1);
    open.release();
    assert_eq!(stored(&open), ["a"]);
}

#[tokio::test]
async fn late_sends_arrive_in_order_and_each_against_its_own_expectation() {
    let open = MemoryOpen::new();
    open.script([Fault::LateSend, Fault::LateSend, Fault::LateSend]);
    let log = open.handle();
    for (expected, text) in [(0, "a"), (1, "b"), (0, "c")] {
        log.append(expected, 1, bytes(text)).await.unwrap_err();
    }
    assert_eq!(open.release(), 3);
    assert_eq!(stored(&open), ["a", "b"]);
}

#[tokio::test]
async fn each_fault_stores_or_does_not_as_it_says() {
    let cases = [
        (Fault::Pass, true),
        (Fault::LoseRequest, false),
        (Fault::LoseAck, true),
        (Fault::LateSend, false),
        (Fault::Refuse, false),
        (Fault::NoResponders, false),
        (Fault::Duplicate, false),
        (Fault::WrongSeq, true),
    ];
    for (fault, is_stored) in cases {
        let open = MemoryOpen::new();
        open.script([fault]);
        let outcome = open.handle().append(0, 1, bytes("a")).await;
        assert_eq!(open.entries().len() == 1, is_stored, "{fault:?}");
        assert_eq!(outcome.is_ok(), fault == Fault::Pass, "{fault:?}");
    }
}

#[tokio::test]
async fn bytes_can_be_replaced_and_the_log_given() {
    let open = MemoryOpen::holding([bytes("a"), bytes("b")]);
    open.overwrite(2, bytes("x"));
    assert_eq!(stored(&open), ["a", "x"]);
    assert_eq!(open.handle().last().await.unwrap(), 2);
}

#[tokio::test]
async fn a_tail_meets_the_hole_at_its_end() {
    let open = MemoryOpen::holding([bytes("a"), bytes("b"), bytes("c")]);
    let mut tail = open.handle().tail(2);
    open.remove(2);
    let error = tail.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gap);
    assert!(tail.next().await.is_none());
}
