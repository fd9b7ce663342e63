//! Who the gate lets in, and what of the bus is seen through it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::cred::{Account, Role, Trust};
use crate::server::{self, ServerOptions};

const LOOPBACK: &str = "127.0.0.1";

/// A gate that answers each line with the line; gives its address.
async fn gate(authority: &Authority, bus: &str) -> SocketAddr {
    let place = Place { host: LOOPBACK.to_owned(), port: 0, bus: bus.to_owned() };
    let gate = open(&place, authority).await.unwrap();
    let address = gate.address().unwrap();
    tokio::spawn(gate.serve(|mut wire: Served| async move {
        while let Ok(Some(line)) = wire.hear::<Value>().await {
            wire.say(&json!({ "heard": line })).await.unwrap();
        }
    }));
    address
}

fn authority(dir: &Path) -> Authority {
    Authority::open_or_create(dir).unwrap()
}

#[tokio::test]
async fn a_host_that_knows_the_pin_is_heard() {
    let dir = tempfile::tempdir().unwrap();
    let made = authority(dir.path());
    let at = gate(&made, "127.0.0.1:9").await.to_string();
    // Opened again it is the same authority.
    let pin = authority(dir.path()).pin();
    assert_eq!(pin_of(made.pem()).as_ref(), Some(&pin));
    let file = Trusted::File(dir.path().join("tls/ca.pem"));
    for trusted in [Trusted::Pin(pin), file] {
        let mut wire = dial(&at, &trusted).await.unwrap();
        wire.say(&json!([1])).await.unwrap();
        assert_eq!(wire.hear::<Value>().await.unwrap(), Some(json!({ "heard": [1] })));
    }
}

#[tokio::test]
async fn another_authority_is_refused_whatever_it_shows() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = gate(&authority(dir.path()), "127.0.0.1:9").await.to_string();
    let trusted = Trusted::Pin(authority(other.path()).pin());
    let error = dial(&at, &trusted).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
}

#[tokio::test]
async fn a_line_over_the_bound_ends_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let made = authority(dir.path());
    let at = gate(&made, "127.0.0.1:9").await.to_string();
    let mut wire = dial(&at, &Trusted::Pin(made.pin())).await.unwrap();
    let long = "x".repeat(usize::try_from(LINE_BYTES_MAX).unwrap() + 1);
    let _ = wire.say(&long).await;
    let heard = tokio::time::timeout(Duration::from_secs(10), wire.hear::<Value>()).await;
    assert!(!matches!(heard.unwrap(), Ok(Some(_))));
}

#[tokio::test]
async fn a_plain_client_hears_no_word_of_nats() {
    let dir = tempfile::tempdir().unwrap();
    let bus = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let at = gate(&authority(dir.path()), &bus.local_addr().unwrap().to_string()).await;
    let mut plain = tokio::net::TcpStream::connect(at).await.unwrap();
    plain.write_all(b"CONNECT {}\r\nPING\r\n").await.unwrap();
    let mut heard = Vec::new();
    let read = plain.read_to_end(&mut heard);
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await.expect("it is ended");
    // At most an alert of TLS.
    assert!(heard.is_empty() || heard[0] == 0x15, "{heard:?}");
    let came = tokio::time::timeout(Duration::from_millis(100), bus.accept()).await;
    assert!(came.is_err(), "nothing reached the bus");
}

#[tokio::test]
async fn a_nats_client_with_the_authority_beside_its_credential_speaks_through_it() {
    let dir = tempfile::tempdir().unwrap();
    let trust = Trust::open_or_create(dir.path(), "m").unwrap();
    let binary = server::fetch().await.unwrap();
    let nats = dir.path().join("nats");
    let options = ServerOptions::new(binary, nats, trust.auth().unwrap());
    let server = server::start(&options).await.unwrap();
    let made = authority(dir.path());
    let at = gate(&made, server.url().trim_start_matches("nats://")).await;

    let minted = trust.mint("alice", Role::Agent).unwrap();
    let away = dir.path().join("away.creds");
    std::fs::copy(minted.file(Account::Mesh).unwrap(), &away).unwrap();
    let url = format!("tls://{at}");
    let alone = crate::connect::connect(&url, Some(&away), "alice").await;
    assert!(alone.is_err(), "without the authority it is nobody's gate");
    std::fs::write(dir.path().join(crate::connect::AUTHORITY), made.pem()).unwrap();
    let client = crate::connect::connect(&url, Some(&away), "alice").await.unwrap();
    client.flush().await.unwrap();
    server.stop().await.unwrap();
}
