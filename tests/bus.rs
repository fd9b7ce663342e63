//! Messages over a real server without credentials: commands, notices, and what stands beside the
//! log.

mod accounts;
mod intake;
mod media;
mod notice;
mod requests;

use devmesh_bus::client::Client;
use devmesh_bus::connect::Options;
use devmesh_bus::intake::{Bounds, Intake, Trust};
use devmesh_protocol::{ActorId, MeshId, subject};
use devmesh_testkit::nats::TestServer;
use serde_json::json;

/// How long a test waits for what must come.
const WAIT: std::time::Duration = std::time::Duration::from_secs(20);

fn mesh() -> MeshId {
    MeshId::new("t").unwrap()
}

fn actor(name: &str) -> ActorId {
    ActorId::new(name).unwrap()
}

async fn client(server: &TestServer, name: &str) -> Client {
    Client::connect(&server.url(), None, &mesh(), &actor(name)).await.unwrap()
}

/// The coordinator's side of a server, heard by everybody.
async fn intake(server: &TestServer, bounds: Bounds) -> Intake {
    let options: Options = Intake::options();
    let name = ActorId::coordinator();
    let connection = Client::connect_with(&server.url(), None, &mesh(), &name, &options).await;
    let intake = Intake::start(&connection.unwrap(), Trust::Everybody, bounds).await.unwrap();
    until_heard(server, &intake, "devmesh.t.report.warm-up").await;
    intake
}

/// As [`intake`], with its requests open.
async fn leading_intake(server: &TestServer, bounds: Bounds) -> Intake {
    let mut intake = intake(server, bounds).await;
    intake.open_requests().await.unwrap();
    until_heard(server, &intake, "devmesh.t.query.warm-up.state").await;
    intake
}

/// The server takes a connection's subscriptions in order: when the last is heard, all are.
async fn until_heard(server: &TestServer, intake: &Intake, subject: &'static str) {
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut heard = Vec::new();
    let deadline = tokio::time::Instant::now() + WAIT;
    while intake.try_recv_many(&mut heard, 1) == 0 {
        assert!(tokio::time::Instant::now() < deadline, "{subject} is not heard");
        let asked = client.request(subject, "{}".into());
        let _ = tokio::time::timeout(std::time::Duration::from_millis(50), asked).await;
    }
    // What was sent more than once.
    while intake.try_recv_many(&mut heard, 100) > 0 {}
}

/// A server with the streams beside the log.
async fn server_with_streams() -> TestServer {
    let server = TestServer::start().await;
    for (kind, subjects, config) in [
        ("OUTPUT", "devmesh.t.output.*.*.*", json!({})),
        ("BLOB", "devmesh.t.blob.*.*.*", json!({ "allow_direct": true })),
        ("TEXT", "devmesh.t.text.*", json!({ "allow_direct": true })),
        ("MAIL", "devmesh.t.mail.*.*", json!({ "duplicate_window": 120_000_000_000_u64 })),
    ] {
        let name = subject::side_stream(&mesh(), kind);
        server.stream(&name, &[subjects], config).await;
    }
    server
}
