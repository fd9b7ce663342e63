//! Notices reach those who want them; a leader's silence is noticed.

use std::time::{Duration, Instant};

use devmesh_bus::ErrorKind;
use devmesh_bus::notice::{Announcer, Filter, LeaderWatch, Notices};
use devmesh_protocol::report::LeaderBeat;
use devmesh_protocol::{ActorId, Record};
use devmesh_testkit::nats::TestServer;
use serde_json::json;
use tokio::time::timeout;

use super::{WAIT, client};

fn record(seq: u64) -> Record {
    serde_json::from_value(json!({
        "seq": seq, "at": "2026-01-01T00:00:00Z", "actor": "alice",
        "events": [
            { "agent_drained": { "actor": "bob" } },
            { "agent_drained": { "actor": "carol" } },
        ],
    }))
    .unwrap()
}

async fn keys(notices: &mut Notices, count: usize) -> Vec<(u64, String)> {
    let mut keys = Vec::new();
    for _ in 0..count {
        let notice = timeout(WAIT, notices.next()).await.expect("a notice").unwrap();
        keys.push((notice.seq, notice.event.key()));
    }
    keys
}

#[tokio::test]
async fn each_event_is_told_to_those_whose_filter_it_fits() {
    let server = TestServer::start().await;
    let reader = client(&server, "reader").await;
    let mut all = Notices::subscribe(&reader, &Filter::All).await.unwrap();
    let mut kind = Notices::subscribe(&reader, &Filter::Kind("agent_drained")).await.unwrap();
    let mut other = Notices::subscribe(&reader, &Filter::Kind("task_added")).await.unwrap();
    let mut carol = Notices::subscribe(&reader, &Filter::Key("carol")).await.unwrap();
    // On one connection the server takes subscriptions and notices in order.
    let announcer = Announcer::new(&reader);
    announcer.announce(&record(1)).await.unwrap();
    announcer.announce(&record(2)).await.unwrap();
    let each = [(1, "bob"), (1, "carol"), (2, "bob"), (2, "carol")];
    let each = each.map(|(seq, key)| (seq, key.to_owned()));
    assert_eq!(keys(&mut all, 4).await, each);
    assert_eq!(keys(&mut kind, 4).await, each);
    assert_eq!(keys(&mut carol, 2).await, [each[1].clone(), each[3].clone()]);
    let nothing = timeout(Duration::from_millis(100), other.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn a_filter_cannot_be_widened() {
    let server = TestServer::start().await;
    let reader = client(&server, "reader").await;
    for text in ["", "*", ">", "a.b", "a b", "a\r\nSUB x 1"] {
        for filter in [Filter::Kind(text), Filter::Key(text)] {
            let error = Notices::subscribe(&reader, &filter).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_passed_over() {
    let server = TestServer::start().await;
    let reader = client(&server, "reader").await;
    let mut all = Notices::subscribe(&reader, &Filter::All).await.unwrap();
    Announcer::new(&reader).announce(&record(1)).await.unwrap();
    keys(&mut all, 2).await;
    let raw = async_nats::connect(server.url()).await.unwrap();
    for unread in ["{\"seq\":1}", "", "\u{0}"] {
        raw.publish("devmesh.t.event.new_kind.x", unread.into()).await.unwrap();
    }
    let readable = json!({
        "seq": 2, "at": "2026-01-01T00:00:00Z", "actor": "alice",
        "event": { "agent_drained": { "actor": "bob" } },
    });
    raw.publish("devmesh.t.event.agent_drained.bob", readable.to_string().into()).await.unwrap();
    assert_eq!(keys(&mut all, 1).await, [(2, "bob".to_owned())]);
}

#[tokio::test]
async fn beats_are_heard_and_their_end_is_noticed() {
    let server = TestServer::start().await;
    let coordinator = client(&server, "coordinator").await;
    let mut watch = LeaderWatch::subscribe(&coordinator).await.unwrap();
    let announcer = Announcer::new(&coordinator);
    let patience = Duration::from_millis(300);
    for seq in 0..3 {
        let answered = vec![ActorId::new("codex-1").unwrap()];
        let beat = LeaderBeat { epoch: 4, node: "n1".into(), seq, answered };
        announcer.beat(&beat).await.unwrap();
        let heard = timeout(WAIT, watch.next(Duration::from_secs(10))).await.unwrap();
        assert_eq!(heard.as_ref(), Some(&beat));
        assert_eq!(watch.last(), Some(&beat));
    }
    watch.restart();
    let begun = Instant::now();
    assert_eq!(watch.next(patience).await, None);
    assert!(begun.elapsed() >= patience - Duration::from_millis(5) && watch.silence() >= patience);
}
