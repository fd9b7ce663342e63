//! A command is sent until it is answered, under one id.

use std::time::{Duration, Instant};

use bytes::Bytes;
use devmesh_bus::ErrorKind;
use devmesh_bus::client::{Answer, Outcome};
use devmesh_bus::intake::{Bounds, Intake, Message};
use devmesh_protocol::reply::Reply;
use devmesh_protocol::report::HostReport;
use devmesh_protocol::subject::Incoming;
use devmesh_protocol::{HostId, SessionId};
use devmesh_testkit::nats::TestServer;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{WAIT, client, intake, leading_intake};

async fn one(intake: &Intake) -> Message {
    let mut messages = Vec::new();
    timeout(WAIT, intake.recv_many(&mut messages, 1)).await.expect("a message");
    messages.remove(0)
}

async fn answer(intake: &Intake, message: &Message, result: Value) {
    let reply = Reply::Ok { seq: Some(7), result };
    let bytes = Bytes::from(reply.to_json().to_string());
    intake.replies().send(&message.reply, bytes).await.unwrap();
}

fn body(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap()
}

#[tokio::test]
async fn a_command_is_received_as_sent_and_its_answer_comes_back() {
    let server = TestServer::start().await;
    let intake = leading_intake(&server, Bounds::default()).await;
    let alice = client(&server, "alice").await;
    let sent = tokio::spawn(async move {
        alice.submit_body("lock.acquire", json!({ "id": "i1", "mode": "write" }), WAIT).await
    });
    let message = one(&intake).await;
    let Incoming::Command { actor, verb } = &message.incoming else { panic!("{message:?}") };
    assert_eq!((actor.as_str(), verb.as_str()), ("alice", "lock.acquire"));
    assert_eq!(body(&message), json!({ "id": "i1", "mode": "write" }));
    answer(&intake, &message, json!({ "x": 1 })).await;
    let Outcome::Reply(reply) = sent.await.unwrap().unwrap() else { panic!("no reply") };
    assert_eq!(reply, Reply::Ok { seq: Some(7), result: json!({ "x": 1 }) });
}

#[tokio::test]
async fn without_a_leader_the_outcome_is_unknown_and_never_a_failure() {
    let server = TestServer::start().await;
    let alice = client(&server, "alice").await;
    let within = Duration::from_millis(700);
    let begun = Instant::now();
    let outcome = alice.submit_body("mesh.pause", json!({}), within).await.unwrap();
    assert!(begun.elapsed() >= within);
    let Outcome::Unknown { why } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("nobody leads"), "{why}");
}

#[tokio::test]
async fn the_same_bytes_are_sent_again_until_somebody_leads() {
    let server = TestServer::start().await;
    let mut intake = intake(&server, Bounds::default()).await;
    let alice = client(&server, "alice").await;
    let sent = tokio::spawn(async move { alice.submit_body("mesh.pause", json!({}), WAIT).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!sent.is_finished());
    intake.open_requests().await.unwrap();
    let message = one(&intake).await;
    assert!(body(&message)["id"].is_string(), "an id was minted");
    answer(&intake, &message, Value::Null).await;
    assert!(matches!(sent.await.unwrap().unwrap(), Outcome::Reply(_)));
}

#[tokio::test]
async fn a_command_whose_answer_is_lost_comes_again_under_its_id() {
    let server = TestServer::start().await;
    let intake = leading_intake(&server, Bounds::default()).await;
    let alice = client(&server, "alice").await;
    let sent = tokio::spawn(async move { alice.submit_body("mesh.pause", json!({}), WAIT).await });
    let first = one(&intake).await;
    let second = one(&intake).await;
    assert_eq!(first.payload, second.payload);
    assert_ne!(first.reply, second.reply);
    // An answer to the first is as good.
    answer(&intake, &first, Value::Null).await;
    assert!(matches!(sent.await.unwrap().unwrap(), Outcome::Reply(_)));
}

#[tokio::test]
async fn a_restart_of_the_server_is_survived_by_both_sides() {
    let mut server = TestServer::start().await;
    let intake = leading_intake(&server, Bounds::default()).await;
    let alice = client(&server, "alice").await;
    let sent = tokio::spawn(async move { alice.submit_body("mesh.pause", json!({}), WAIT).await });
    let first = one(&intake).await;
    server.restart().await;
    let second = one(&intake).await;
    assert_eq!(first.payload, second.payload);
    answer(&intake, &second, Value::Null).await;
    assert!(matches!(sent.await.unwrap().unwrap(), Outcome::Reply(_)));
}

#[tokio::test]
async fn too_large_a_request_is_not_sent() {
    let server = TestServer::start().await;
    let alice = client(&server, "alice").await;
    let large = json!({ "prompt": "x".repeat(600 * 1024) });
    let error = alice.submit_body("task.add", large, WAIT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let error = alice.request("devmesh.t.x", vec![0; 600 * 1024].into(), WAIT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn a_query_and_raw_bytes_are_answered_too() {
    let server = TestServer::start().await;
    let intake = leading_intake(&server, Bounds::default()).await;
    let alice = client(&server, "alice").await;
    let asker = alice.clone();
    let asked = tokio::spawn(async move { asker.query("tasks", Value::Null, WAIT).await });
    let message = one(&intake).await;
    assert!(matches!(&message.incoming, Incoming::Query { what, .. } if what == "tasks"));
    answer(&intake, &message, json!([])).await;
    assert!(matches!(asked.await.unwrap().unwrap(), Outcome::Reply(_)));

    let subject = "devmesh.t.cmd.alice.mesh.pause";
    let asked = tokio::spawn(async move { alice.request(subject, "raw".into(), WAIT).await });
    let message = one(&intake).await;
    assert_eq!(message.payload, "raw");
    intake.replies().send_all([(message.reply, "bytes".into())]).await.unwrap();
    assert_eq!(asked.await.unwrap().unwrap(), Answer::Bytes("bytes".into()));
}

#[tokio::test]
async fn a_beat_is_answered_or_says_why_not() {
    let server = TestServer::start().await;
    let alice = client(&server, "alice").await;
    let session = SessionId::new("s1").unwrap();
    let error = alice.beat(&session, 3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoResponders);

    // Beats are heard although nobody leads yet.
    let intake = intake(&server, Bounds::default()).await;
    let sender = alice.clone();
    let sent = tokio::spawn(async move { sender.beat(&session, 3).await });
    let message = one(&intake).await;
    assert!(matches!(&message.incoming, Incoming::Beat { actor } if actor.as_str() == "alice"));
    assert_eq!(body(&message), json!({ "session": "s1", "seen": 3 }));
    let reply = json!({ "epoch": 2, "seq": 9, "live": true, "leases": [] });
    intake.replies().send(&message.reply, reply.to_string().into()).await.unwrap();
    let reply = sent.await.unwrap().unwrap();
    assert_eq!((reply.epoch, reply.seq, reply.live), (2, 9, true));
}

#[tokio::test]
async fn a_report_is_heard() {
    let server = TestServer::start().await;
    let intake = intake(&server, Bounds::default()).await;
    let probe = client(&server, "h1").await;
    let report: HostReport = serde_json::from_value(json!({
        "host": "h1", "at": "2026-01-01T00:00:00Z", "ram_total_mb": 1, "ram_free_mb": 1,
        "swap_total_mb": 0, "swap_used_mb": 0, "cpus": 1, "cpu_milli": 0, "load1_milli": 0,
        "disk_free_mb": 1, "gpus": [], "slots": 1,
    }))
    .unwrap();
    probe.report(&report).await.unwrap();
    let message = one(&intake).await;
    let host = HostId::new("h1").unwrap();
    assert_eq!(message.incoming, Incoming::Report { host });
    assert_eq!(serde_json::from_slice::<HostReport>(&message.payload).unwrap(), report);
    assert_eq!(message.reply.as_str(), "");
    intake.replies().send(&message.reply, "unasked".into()).await.unwrap();
}
