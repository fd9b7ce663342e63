//! What stands beside the log: kept, found again, and never taken for something else.

use bytes::Bytes;
use devmesh_bus::ErrorKind;
use devmesh_bus::media::blob::{self, PIECE_BYTES};
use devmesh_bus::media::mail::{self, Inbox};
use devmesh_bus::media::output::{self, Of, Output};
use devmesh_bus::media::text;
use devmesh_protocol::report::OutputLine;
use devmesh_protocol::{Digest, TaskId, subject};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{WAIT, actor, client, mesh, server_with_streams};

#[tokio::test]
async fn a_blob_of_any_size_is_read_back() {
    let server = server_with_streams().await;
    let (alice, bob) = (client(&server, "alice").await, client(&server, "bob").await);
    let sizes = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 17];
    for size in sizes {
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let digest = blob::put(&alice, &bytes).await.unwrap();
        assert_eq!(digest, Digest::of(&bytes));
        let read = blob::get(&bob, alice.actor(), &digest).await.unwrap();
        assert!(read == bytes, "{size}");
    }
}

#[tokio::test]
async fn a_blob_stored_twice_takes_its_room_once() {
    let server = server_with_streams().await;
    let alice = client(&server, "alice").await;
    let bytes = vec![5; PIECE_BYTES + 1];
    blob::put(&alice, &bytes).await.unwrap();
    blob::put(&alice, &bytes).await.unwrap();
    let name = subject::side_stream(&mesh(), "BLOB");
    let info = server.api(&format!("STREAM.INFO.{name}"), &Value::Null).await;
    assert_eq!(info["state"]["messages"], 2);
}

#[tokio::test]
async fn other_bytes_under_a_digest_are_found_out() {
    let server = server_with_streams().await;
    let alice = client(&server, "alice").await;
    let digest = blob::put(&alice, b"what was meant").await.unwrap();
    let forger = async_nats::connect(server.url()).await.unwrap();
    let place = subject::blob(&mesh(), alice.actor(), &digest, 0);
    for pieces in ["1", "0", "4000000000", "x"] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Devmesh-Pieces", pieces);
        let forged = forger.request_with_headers(place.clone(), headers, "other".into()).await;
        forged.unwrap();
        let error = blob::get(&alice, alice.actor(), &digest).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{pieces}");
    }
    let nobodys = Digest::of(b"never stored");
    let error = blob::get(&alice, alice.actor(), &nobodys).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_text_is_kept_until_it_is_deleted() {
    let server = server_with_streams().await;
    let coordinator = client(&server, "coordinator").await;
    let kept = text::put(&coordinator, "keep me").await.unwrap();
    let redacted = text::put(&coordinator, "a secret").await.unwrap();
    assert_eq!(text::get(&coordinator, &redacted).await.unwrap().as_deref(), Some("a secret"));
    assert!(text::delete(&coordinator, &redacted).await.unwrap());
    assert!(!text::delete(&coordinator, &redacted).await.unwrap());
    assert_eq!(text::get(&coordinator, &redacted).await.unwrap(), None);
    assert_eq!(text::get(&coordinator, &kept).await.unwrap().as_deref(), Some("keep me"));
    let long = "x".repeat(300 * 1024);
    let error = text::put(&coordinator, &long).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

fn line(text: &str) -> OutputLine {
    let line = json!({ "at": "2026-01-01T00:00:00Z", "from": "stdout", "text": text });
    serde_json::from_value(line).unwrap()
}

async fn read(output: &mut Output) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(line) = timeout(WAIT, output.next()).await.expect("in time").unwrap() {
        texts.push(line.text);
    }
    texts
}

#[tokio::test]
async fn output_is_read_by_attempt_in_order_and_followed() {
    let server = server_with_streams().await;
    let alice = client(&server, "alice").await;
    let (task, other) = (TaskId(17), TaskId(18));
    let of = Of { task, attempt: Some(1) };
    assert!(read(&mut Output::of(&alice, of, false)).await.is_empty());
    output::append(&alice, task, 1, &[line("a"), line("b")]).await.unwrap();
    output::append(&alice, task, 2, &[line("second try")]).await.unwrap();
    output::append(&alice, other, 1, &[line("of another")]).await.unwrap();
    output::append(&alice, task, 1, &[line("c")]).await.unwrap();
    output::append(&alice, task, 1, &[]).await.unwrap();
    assert_eq!(read(&mut Output::of(&alice, of, false)).await, ["a", "b", "c"]);
    let all = Of { task, attempt: None };
    assert_eq!(read(&mut Output::of(&alice, all, false)).await, ["a", "b", "second try", "c"]);

    let mut followed = Output::of(&alice, of, true);
    for text in ["a", "b", "c"] {
        assert_eq!(followed.next().await.unwrap().unwrap().text, text);
    }
    output::append(&alice, task, 1, &[line("d")]).await.unwrap();
    let next = timeout(WAIT, followed.next()).await.unwrap();
    assert_eq!(next.unwrap().unwrap().text, "d");
}

#[tokio::test]
async fn many_lines_go_in_messages_of_bounded_size() {
    let server = server_with_streams().await;
    let alice = client(&server, "alice").await;
    let lines: Vec<_> = (0..300).map(|n| line(&format!("{n} {}", "x".repeat(2_000)))).collect();
    output::append(&alice, TaskId(1), 1, &lines).await.unwrap();
    let mut output = Output::of(&alice, Of { task: TaskId(1), attempt: Some(1) }, false);
    let read = read(&mut output).await;
    assert_eq!(read, lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>());
    let huge = line(&"x".repeat(300 * 1024));
    let error = output::append(&alice, TaskId(1), 1, &[huge]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn mail_waits_until_it_is_settled_and_is_delivered_once() {
    let server = server_with_streams().await;
    let (alice, bob) = (client(&server, "alice").await, client(&server, "bob").await);
    for (id, text) in [("1", "one"), ("1", "one"), ("2", "two")] {
        mail::send(&alice, &actor("bob"), id, Bytes::from(text)).await.unwrap();
    }
    mail::send(&alice, &actor("carol"), "3", "not for bob".into()).await.unwrap();
    mail::send(&client(&server, "carol").await, &actor("bob"), "1", "hers".into()).await.unwrap();
    let mut inbox = Inbox::of(&bob);
    for (from, text) in [("alice", "one"), ("alice", "two"), ("carol", "hers")] {
        let letter = timeout(WAIT, inbox.next()).await.unwrap().unwrap();
        assert_eq!((letter.from.as_str(), &letter.body[..]), (from, text.as_bytes()));
        inbox.settle(&letter).await.unwrap();
    }
    bob.flush().await.unwrap();
    drop(inbox);
    // The next reader of the inbox gets what comes, and nothing twice.
    mail::send(&alice, &actor("bob"), "4", "four".into()).await.unwrap();
    let mut inbox = Inbox::of(&bob);
    let letter = timeout(WAIT, inbox.next()).await.unwrap().unwrap();
    assert_eq!(&letter.body[..], b"four");
}
