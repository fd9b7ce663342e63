//! What was found wrong with comparable dashboards, each shown to be otherwise here. A test is
//! named after the defect that it denies.

use std::sync::Arc;

use bytes::Bytes;
use devmesh_bus::client::Outcome;
use devmesh_bus::log::Log;
use devmesh_dashboard::effect::Request;
use devmesh_protocol::Reply;
use devmesh_testkit::desk::Desk;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

use crate::world::World;

/// As a health check asks: without a cookie.
async fn health(world: &World) -> (u16, Value) {
    let answer = world.send("GET", "/health", &[("Host", &world.host())]).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

#[tokio::test]
async fn health_is_an_error_whatever_the_state() {
    let world = World::start().await;
    // Nobody looks on, so it has to ask.
    for _ in 0..2 {
        let well = json!({ "ok": true, "log": "live", "decides": true });
        assert_eq!(health(&world).await, (200, well));
    }
    let (mut page, _) = world.page().await;
    let log = world.desk.log();
    let last = log.last().await.unwrap();
    log.append(last, 1, Bytes::from_static(b"not a batch")).await.unwrap();
    page.find(|frame| frame["log"] == "broken").await;
    let ill = json!({ "ok": false, "log": "broken", "decides": true });
    assert_eq!(health(&world).await, (503, ill));
}

#[tokio::test]
async fn health_is_well_while_nobody_decides() {
    let silent: devmesh_dashboard::effect::Ask = Arc::new(|_| {
        Box::pin(async { Ok(Outcome::Unknown { why: "nobody leads the mesh now".into() }) })
    });
    let world = World::start_with(Desk::new(), silent).await;
    let (status, told) = health(&world).await;
    assert_eq!((status, &told["ok"], &told["decides"]), (503, &json!(false), &json!(false)));
    // Nor where it answers and its store takes nothing.
    let desk = Desk::new();
    let well = crate::world::over(&desk);
    let stuck: devmesh_dashboard::effect::Ask = Arc::new(move |request| {
        if matches!(request, Request::Query { what: "state", .. }) {
            let result = json!({ "stale": "the disk is full" });
            return Box::pin(async { Ok(Outcome::Reply(Reply::Ok { seq: Some(1), result })) });
        }
        well(request)
    });
    let world = World::start_with(desk, stuck).await;
    let (mut page, _) = world.page().await;
    page.find(|frame| frame["stale"] == "the disk is full").await;
    let (status, told) = health(&world).await;
    assert_eq!((status, &told["ok"], &told["log"]), (503, &json!(false), &json!("live")));
}

#[tokio::test]
async fn any_folder_is_listed_to_anybody() {
    let world = World::start().await;
    let (host, cookie) = (world.host(), world.cookie.clone());
    for path in [
        "/api/folders?path=/etc",
        "/api/folders",
        "/api/default_workdir",
        "/etc/",
        "/etc/passwd",
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/main.js/../../../Cargo.toml",
        "/?path=/etc",
    ] {
        let stranger = [("Host", host.as_str())];
        let own = [("Host", host.as_str()), ("Cookie", cookie.as_str())];
        for headers in [&stranger[..], &own[..]] {
            let answer = world.send("GET", path, headers).await;
            let page = path == "/?path=/etc";
            assert!(page || matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
            let told = answer.body.contains("passwd") || answer.body.contains("root:");
            assert!(!told && !answer.body.contains("[package]"), "{path}: {}", answer.body);
        }
    }
    // Nor does a name from elsewhere get any of it, whatever it asks for.
    let evil = [("Host", "evil.example"), ("Origin", "http://evil.example")];
    for path in ["/", "/health", "/api/folders?path=/etc"] {
        assert_eq!(world.send("GET", path, &evil).await.status, 421, "{path}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_sent_the_state_and_starts_agents() {
    let world = World::start().await;
    // Even with the cookie of who signed in, as a browser would send it along.
    let evil = HeaderValue::from_static("http://evil.example");
    let refused = world.dial(|r| drop(r.headers_mut().insert("Origin", evil))).await;
    assert_eq!(refused.err(), Some(StatusCode::FORBIDDEN));
    // And what a page of ours may send is what the coordinator decides; nothing starts a program.
    let (mut page, _) = world.page().await;
    for verb in ["launch_agent", "agent.launch", "agent.start", "internal.tick"] {
        let answer = page.command(1, verb, json!({ "tool": "sh" })).await;
        assert_eq!(answer["reply"]["error"]["code"], "UNKNOWN_VERB", "{verb}: {answer}");
    }
}
