//! One actor that floods disturbs nobody; nobody is heard while nobody leads.

use std::time::Duration;

use devmesh_bus::client::{Client, Outcome};
use devmesh_bus::intake::Bounds;
use devmesh_protocol::subject::Incoming;
use devmesh_testkit::nats::TestServer;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::{WAIT, client, intake, leading_intake};

#[tokio::test]
async fn a_flood_is_refused_at_its_bound_and_others_pass_it() {
    let server = TestServer::start().await;
    let bounds = Bounds { requests_per_actor: 100, ..Bounds::default() };
    let intake = leading_intake(&server, bounds).await;
    let flood = async_nats::connect(server.url()).await.unwrap();
    for _ in 0..5_000 {
        let (subject, reply) = ("devmesh.t.cmd.flood.mesh.pause", "_INBOX.flood");
        flood.publish_with_reply(subject, reply, "{}".into()).await.unwrap();
    }
    let (subject, reply) = ("devmesh.t.cmd.calm.mesh.pause", "_INBOX.calm");
    flood.publish_with_reply(subject, reply, "{}".into()).await.unwrap();
    flood.flush().await.unwrap();

    // Nothing is taken until all has arrived: the worst case for the calm one.
    let mut taken = Vec::new();
    let deadline = Instant::now() + WAIT;
    let mut is_calm_seen = false;
    while taken.len() < 5_001 {
        let mut some = Vec::new();
        timeout(WAIT, intake.recv_many(&mut some, 7_000)).await.expect("messages");
        taken.append(&mut some);
        assert!(Instant::now() < deadline);
        is_calm_seen |= taken.iter().any(is_calm);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(is_calm_seen);
    let over = taken.iter().filter(|message| message.is_over_bound).count();
    assert!(over > 0 && taken.iter().filter(|message| is_calm(message)).count() == 1);
    assert!(taken.iter().all(|message| !(is_calm(message) && message.is_over_bound)));
    assert!(taken.iter().all(|message| message.reply.as_str().starts_with("_INBOX.")));
}

fn is_calm(message: &devmesh_bus::intake::Message) -> bool {
    matches!(&message.incoming, Incoming::Command { actor, .. } if actor.as_str() == "calm")
}

#[tokio::test]
async fn requests_are_heard_only_while_open() {
    let server = TestServer::start().await;
    let mut intake = intake(&server, Bounds::default()).await;
    let alice = client(&server, "alice").await;
    for _ in 0..2 {
        intake.open_requests().await.unwrap();
        asked_until(&alice, "no answer in 300 ms").await;
        assert!(intake.discard_requests() > 0);
        intake.close_requests();
        asked_until(&alice, "nobody leads the mesh now").await;
        let _ = intake.discard_requests();
    }
}

/// Asks until it hears `expected`: the server hears of a subscription, or of its end, a moment
/// later.
async fn asked_until(client: &Client, expected: &str) {
    let expected = Outcome::Unknown { why: expected.into() };
    let deadline = Instant::now() + WAIT;
    while client.query("state", json!({}), Duration::from_millis(300)).await.unwrap() != expected {
        assert!(Instant::now() < deadline, "not seen: {expected:?}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_counted_and_dropped() {
    let server = TestServer::start().await;
    let intake = leading_intake(&server, Bounds::default()).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    client.publish("devmesh.t.cmd.alice.mesh.pause", "{}".into()).await.unwrap();
    client.publish_with_reply("devmesh.t.cmd.ALICE.x", "r", "{}".into()).await.unwrap();
    client.publish_with_reply("devmesh.t.cmd.alice.mesh.pause", "r", "{}".into()).await.unwrap();
    client.flush().await.unwrap();
    let mut messages = Vec::new();
    timeout(WAIT, intake.recv_many(&mut messages, 10)).await.unwrap();
    assert_eq!(messages.len(), 1);
    let dropped = intake.dropped();
    assert_eq!((dropped.get("reply"), dropped.get("subject")), (Some(&1), Some(&1)));
}
