//! Tests of connecting.

use std::net::TcpListener;
use std::time::Instant;

use async_nats::connection::State;
use futures::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;
use crate::server::{self, Auth as ServerAuth, ServerOptions};

/// Greets as a server of that version and answers pings.
async fn greeter(version: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (reader, mut writer) = stream.into_split();
        let info = serde_json::json!({
            "server_id": "x", "server_name": "x", "go": "x", "host": "127.0.0.1", "port": 1,
            "version": version, "headers": true, "max_payload": 1_048_576, "proto": 1,
        });
        let info = format!("INFO {info}\r\n");
        writer.write_all(info.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(reader).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.starts_with("PING") {
                writer.write_all(b"PONG\r\n").await.unwrap();
            }
        }
    });
    url
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_by_version() {
    let error = connect(&greeter("2.9.10").await, None, "alice").await.unwrap_err();
    assert!(matches!(&error, Error::Version { found, .. } if found == "2.9.10"), "{error:?}");
    assert!(error.to_string().contains("2.12.0"), "{error}");
    assert!(connect(&greeter("2.12.0").await, None, "alice").await.is_ok());
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alice.creds");
    let error = connect("nats://127.0.0.1:1", Some(&path), "alice").await.unwrap_err();
    assert!(matches!(error, Error::Creds { .. }), "{error:?}");
    std::fs::write(&path, "hello").unwrap();
    let error = connect("nats://127.0.0.1:1", Some(&path), "alice").await.unwrap_err();
    assert!(matches!(error, Error::CredsFormat { .. }), "{error:?}");
    let error = connect("nats://a b", None, "alice").await.unwrap_err();
    assert!(matches!(error, Error::Url { .. }), "{error:?}");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = connect(&format!("nats://127.0.0.1:{port}"), None, "alice").await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }) && !error.is_denied(), "{error:?}");
}

#[tokio::test]
async fn the_inbox_is_the_actors_own() {
    let url = greeter("2.15.1").await;
    let client = connect(&url, None, "alice").await.unwrap();
    assert!(client.new_inbox().starts_with("_INBOX.alice."), "{}", client.new_inbox());
}

/// The server is there all the time, so that a reconnect would succeed at once.
#[tokio::test]
async fn only_a_terms_connection_stays_down() {
    let dir = tempfile::tempdir().unwrap();
    let binary = server::fetch().await.unwrap();
    let options = ServerOptions::new(binary, dir.path().join("nats"), ServerAuth::Open);
    let server = server::start(&options).await.unwrap();
    let lasting = connect(server.url(), None, "a").await.unwrap();
    let once = Options { reconnect: false, ..Options::default() };
    let term = connect_with(server.url(), None, "b", &once).await.unwrap();
    let watcher = connect(server.url(), None, "c").await.unwrap();
    let mut said = watcher.subscribe("late").await.unwrap();
    watcher.flush().await.unwrap();
    term.force_reconnect().await.unwrap();
    lasting.force_reconnect().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while term.connection_state() == State::Connected {
        assert!(Instant::now() < deadline, "the term's connection ends");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Accepted or not, the term's never reaches the server: sent first, it would arrive first.
    let _ = term.publish("late", "term".into()).await;
    lasting.publish("late", "lasting".into()).await.unwrap();
    let first = tokio::time::timeout(Duration::from_secs(10), said.next()).await;
    assert_eq!(first.unwrap().unwrap().payload, "lasting");
    let second = tokio::time::timeout(Duration::from_millis(500), said.next()).await;
    assert!(second.is_err(), "{second:?}");
    assert_ne!(term.connection_state(), State::Connected);
    server.stop().await.unwrap();
}

#[test]
fn reconnecting_waits_longer_and_never_long() {
    assert_eq!(reconnect_delay(1), Duration::ZERO);
    let delays: Vec<_> = (1..20).map(reconnect_delay).collect();
    assert!(delays.is_sorted());
    assert_eq!(delays.last(), Some(&Duration::from_millis(2000)));
}
