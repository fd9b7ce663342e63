//! What a page is told, and what comes of what it says.

use std::sync::Arc;

use bytes::Bytes;
use devmesh_bus::client::Outcome;
use devmesh_bus::log::Log;
use devmesh_testkit::desk::Desk;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::world::{World, rows};

fn repo(desk: &Desk) {
    desk.say("alice", "repo.add", json!({ "name": "app", "path": "/srv/app" }));
}

#[tokio::test]
async fn what_happens_comes_to_the_page() {
    let world = World::start().await;
    repo(&world.desk);
    let (mut page, snapshot) = world.page().await;
    assert_eq!(snapshot["mesh"]["seq"], world.desk.seq());
    assert_eq!(rows(&snapshot, "repos")[0]["repo"], "app");
    world.desk.say("alice", "task.add", json!({ "title": "tabs", "paths": ["src/"] }));
    let delta = page.find(|frame| !rows(frame, "tasks").is_empty()).await;
    assert_eq!(delta["t"], "delta");
    assert_eq!(delta["rev"].as_u64(), snapshot["rev"].as_u64().map(|rev| rev + 1));
    assert_eq!(rows(&delta, "tasks")[0]["title"], "tabs");
    assert_eq!(delta["lines"][0]["kind"], "task_added");
    assert_eq!(delta["lines"][0]["key"], "t-1");
}

#[tokio::test]
async fn what_a_person_clicks_happens() {
    let world = World::start().await;
    repo(&world.desk);
    let (mut page, _) = world.page().await;
    let body = json!({ "title": "tabs", "prompt": "all of them", "priority": 1 });
    let added = page.command(1, "task.add", body).await;
    assert_eq!(added["reply"]["ok"], true, "{added}");
    let delta = page.find(|frame| !rows(frame, "tasks").is_empty()).await;
    assert_eq!(rows(&delta, "tasks")[0]["by"], "alice");
    let cancelled = page.command(2, "task.cancel", json!({ "task": "t-1" })).await;
    assert_eq!(cancelled["reply"]["ok"], true, "{cancelled}");
    let delta = page.find(|frame| !rows(frame, "tasks").is_empty()).await;
    assert_eq!(rows(&delta, "tasks")[0]["state"], "cancelled");
    page.say(&json!({ "t": "ask", "n": 3, "what": "why", "body": { "about": "t-1" } })).await;
    let why = page.until("reply").await;
    assert_eq!(why["reply"]["result"]["about"], "t-1");
    page.say(&json!({ "t": "ask", "n": 4, "what": "task", "body": { "task": "t-1" } })).await;
    assert_eq!(page.until("reply").await["reply"]["result"]["title"], "tabs");
}

#[tokio::test]
async fn one_id_is_one_task_however_often_it_is_sent() {
    let world = World::start().await;
    repo(&world.desk);
    let (mut page, _) = world.page().await;
    let body = json!({ "id": "019a0000-0000-7000-8000-000000000001", "title": "once" });
    page.command(1, "task.add", body.clone()).await;
    let before = world.desk.seq();
    let (mut other, _) = world.page().await;
    let again = other.command(1, "task.add", body).await;
    assert_eq!(again["reply"]["ok"], true);
    assert_eq!(world.desk.seq(), before);
}

#[tokio::test]
async fn nonsense_is_refused_and_disturbs_nothing() {
    let world = World::start().await;
    repo(&world.desk);
    let before = world.desk.seq();
    let (mut page, _) = world.page().await;
    let deep = "[".repeat(10_000);
    let bad = ["", "{", "null", "[]", "{\"t\":\"x\"}", "{\"t\":\"do\"}", "\u{0}", "NaN", &deep];
    for text in bad {
        page.text(text).await;
        let error = page.until("error").await;
        assert_eq!(error["error"]["code"], "BAD_REQUEST", "{text}");
    }
    let cases = [
        ("agent.join", json!({}), "UNKNOWN_VERB"),
        ("actor.add", json!({ "actor": "x", "role": "admin" }), "UNKNOWN_VERB"),
        ("task.add ", json!({}), "UNKNOWN_VERB"),
        ("task.add", json!({}), "BAD_REQUEST"),
        ("task.add", json!({ "title": 7 }), "BAD_REQUEST"),
        ("task.add", json!({ "title": "x", "nonsense": 1 }), "BAD_REQUEST"),
        ("task.add", json!({ "title": "x", "session": "s" }), "BAD_REQUEST"),
        ("task.add", json!({ "title": "x", "paths": ["../up"] }), "PATH_OUTSIDE_REPO"),
        ("task.add", json!({ "title": "x".repeat(301) }), "LIMIT_EXCEEDED"),
        ("task.cancel", json!({ "task": "t-99" }), "TASK_NOT_FOUND"),
    ];
    for (n, (verb, body, code)) in (1..).zip(cases) {
        let reply = page.command(n, verb, body.clone()).await;
        let found = &reply["reply"]["error"]["code"];
        let path = code == "PATH_OUTSIDE_REPO" && found == "BAD_REQUEST";
        assert!(found == code || path, "{verb} {body}: {reply}");
    }
    page.say(&json!({ "t": "ask", "n": 50, "what": "state", "body": {} })).await;
    assert_eq!(page.until("reply").await["reply"]["error"]["code"], "UNKNOWN_VERB");
    assert_eq!(world.desk.seq(), before);
    let good = page.command(60, "task.add", json!({ "title": "still here" })).await;
    assert_eq!(good["reply"]["ok"], true);
}

#[tokio::test]
async fn who_sends_nonsense_for_ever_is_let_go() {
    let world = World::start().await;
    let (mut page, _) = world.page().await;
    let (mut other, _) = world.page().await;
    for _ in 0..100 {
        if page.stream.get_mut().try_write(b"").is_err() {
            break;
        }
        let sent = futures::SinkExt::send(&mut page.stream, Message::text("{")).await;
        if sent.is_err() {
            break;
        }
    }
    page.end().await;
    let reply = other.command(1, "task.cancel", json!({ "task": "t-9" })).await;
    assert_eq!(reply["reply"]["error"]["code"], "TASK_NOT_FOUND");
}

#[tokio::test]
async fn a_huge_frame_ends_its_socket_only() {
    let world = World::start().await;
    let (mut page, _) = world.page().await;
    let (mut other, _) = world.page().await;
    let huge = Message::text("x".repeat(4 * 1024 * 1024));
    // The server ends it while this is still being sent.
    let _ = futures::SinkExt::send(&mut page.stream, huge).await;
    page.end().await;
    let reply = other.command(1, "task.cancel", json!({ "task": "t-9" })).await;
    assert_eq!(reply["reply"]["error"]["code"], "TASK_NOT_FOUND");
}

#[tokio::test]
async fn a_binary_frame_is_not_understood() {
    let world = World::start().await;
    let (mut page, _) = world.page().await;
    let binary = Message::binary(Bytes::from_static(b"{}"));
    futures::SinkExt::send(&mut page.stream, binary).await.unwrap();
    assert_eq!(page.end().await.unwrap().code, CloseCode::Unsupported);
}

#[tokio::test]
async fn text_goes_through_as_text() {
    let world = World::start().await;
    repo(&world.desk);
    let (mut page, _) = world.page().await;
    let title =
        "</script><script>alert(1)</script><img src=x onerror=alert(2)> \u{202e}evil\u{2066}";
    let reply = page.command(1, "task.add", json!({ "title": title })).await;
    assert_eq!(reply["reply"]["ok"], true, "{reply}");
    let delta = page.find(|frame| !rows(frame, "tasks").is_empty()).await;
    assert_eq!(rows(&delta, "tasks")[0]["title"], title);
}

#[tokio::test]
async fn who_comes_back_is_given_what_was_missed() {
    let world = World::start().await;
    repo(&world.desk);
    let mut first = world.dial(|_| {}).await.unwrap();
    first.say(&json!({ "t": "hello" })).await;
    let boot = first.until("hello").await["boot"].clone();
    let snapshot = first.until("snapshot").await;
    drop(first);
    let (mut watcher, _) = world.page().await;
    for title in ["one", "two"] {
        world.desk.say("alice", "task.add", json!({ "title": title }));
        watcher.find(|frame| !rows(frame, "tasks").is_empty()).await;
    }
    let mut back = world.dial(|_| {}).await.unwrap();
    back.say(&json!({ "t": "hello", "boot": boot, "rev": snapshot["rev"] })).await;
    let mut titles = Vec::new();
    let mut rev = snapshot["rev"].as_u64().unwrap();
    while titles.len() < 2 {
        let frame = back.find(|frame| !frame["rev"].is_null()).await;
        assert_eq!(frame["t"], "delta", "no snapshot where the rest is known");
        rev += 1;
        assert_eq!(frame["rev"], rev);
        titles.extend(rows(&frame, "tasks").iter().map(|row| row["title"].clone()));
    }
    assert_eq!(titles, [json!("one"), json!("two")]);
    for stale in [
        json!({ "t": "hello", "boot": "another run", "rev": 1 }),
        json!({ "t": "hello", "boot": boot, "rev": 9_999 }),
    ] {
        let mut other = world.dial(|_| {}).await.unwrap();
        other.say(&stale).await;
        assert_eq!(other.find(|frame| !frame["rev"].is_null()).await["t"], "snapshot");
    }
}

#[tokio::test]
async fn a_long_history_is_one_snapshot() {
    let desk = Desk::new();
    repo(&desk);
    for n in 0..300 {
        desk.say("alice", "task.add", json!({ "title": format!("task {n}") }));
    }
    let world = World::start_on(desk).await;
    let (_, snapshot) = world.page().await;
    assert_eq!(rows(&snapshot, "tasks").len(), 300);
    assert_eq!(snapshot["mesh"]["tasks"]["queued"], 300);
}

#[tokio::test]
async fn a_log_that_is_not_whole_is_told_and_not_believed() {
    let world = World::start().await;
    let (mut page, _) = world.page().await;
    let log = world.desk.log();
    let last = log.last().await.unwrap();
    log.append(last, 1, Bytes::from_static(b"not a batch")).await.unwrap();
    let health = page.find(|frame| frame["log"] == "broken").await;
    assert!(health["say"].as_str().unwrap().contains(&format!("message {}", last + 1)), "{health}");
    let (_, snapshot) = world.page().await;
    assert_eq!(snapshot["mesh"]["seq"], world.desk.seq());
}

#[tokio::test]
async fn an_unknown_outcome_is_told_as_unknown() {
    let silent: devmesh_dashboard::effect::Ask = Arc::new(|_| {
        Box::pin(async { Ok(Outcome::Unknown { why: "nobody leads the mesh now".into() }) })
    });
    let world = World::start_with(Desk::new(), silent).await;
    let (mut page, _) = world.page().await;
    let reply = page.command(1, "mesh.pause", json!({})).await;
    assert_eq!(reply["unknown"], "nobody leads the mesh now");
    assert!(reply["reply"].is_null());
    page.find(|frame| frame["coordinator"] == false).await;
}
