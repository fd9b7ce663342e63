//! The same with credentials: each role gets by with what `nats/permissions.toml` gives it.

use std::time::Duration;

use bytes::Bytes;
use devmesh_bus::client::{Client, Outcome};
use devmesh_bus::connect::{self, Options};
use devmesh_bus::cred::{Account, Role, Trust as Keys};
use devmesh_bus::intake::{Bounds, Intake, Message, Trust};
use devmesh_bus::log::nats::NatsOpen;
use devmesh_bus::log::{Log, Open};
use devmesh_bus::media::mail::{self, Inbox};
use devmesh_bus::media::output::{self, Of, Output};
use devmesh_bus::media::{blob, text};
use devmesh_bus::notice::{Announcer, LeaderWatch};
use devmesh_bus::provision::{self, Limits};
use devmesh_bus::server::{self, Server, ServerOptions};
use devmesh_protocol::reply::Reply;
use devmesh_protocol::report::{LeaderBeat, OutputLine};
use devmesh_protocol::{SessionId, TaskId};
use futures::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use super::{WAIT, actor, mesh};

/// A managed server with keys and streams.
struct Managed {
    keys: Keys,
    server: Server,
    _dir: TempDir,
}

impl Managed {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::open_or_create(dir.path(), "t").unwrap();
        let binary = server::find(None).await.unwrap().path;
        let options = ServerOptions::new(binary, dir.path().join("nats"), keys.auth().unwrap());
        let server = server::start(&options).await.unwrap();
        let managed = Self { keys, server, _dir: dir };
        let limits = Limits::default();
        let core = managed.raw("admin", Role::Admin, Account::Core).await;
        provision::core(&core, "t", &limits).await.unwrap();
        let side = managed.raw("admin", Role::Admin, Account::Mesh).await;
        provision::mesh(&side, "t", &limits).await.unwrap();
        managed
    }

    async fn raw(&self, name: &str, role: Role, account: Account) -> async_nats::Client {
        let minted = self.keys.mint(name, role).unwrap();
        connect::connect(self.server.url(), minted.file(account), name).await.unwrap()
    }

    async fn client(&self, name: &str, role: Role, account: Account) -> Client {
        let minted = self.keys.mint(name, role).unwrap();
        let creds = minted.file(account);
        Client::connect(self.server.url(), creds, &mesh(), &actor(name)).await.unwrap()
    }

    async fn agent(&self, name: &str) -> Client {
        self.client(name, Role::Agent, Account::Mesh).await
    }

    async fn coordinator(&self) -> Client {
        self.client("coordinator", Role::Coordinator, Account::Core).await
    }

    fn log(&self, name: &str, role: Role) -> NatsOpen {
        let minted = self.keys.mint(name, role).unwrap();
        let creds = minted.file(Account::Core);
        NatsOpen::new(self.server.url(), creds, &mesh(), name, Options::default())
    }
}

async fn some(intake: &Intake) -> Message {
    let mut messages = Vec::new();
    timeout(WAIT, intake.recv_many(&mut messages, 1)).await.expect("a message");
    messages.remove(0)
}

#[tokio::test]
async fn the_coordinator_appends_and_readers_only_read() {
    let managed = Managed::start().await;
    let log = managed.log("coordinator", Role::Coordinator).open().await.unwrap();
    for last in 0..3 {
        assert_eq!(log.append(last, 1, Bytes::from(format!("{last}"))).await, Ok(last + 1));
    }
    let readers = [("board", Role::Dashboard), ("reader", Role::Replay), ("viewer", Role::Viewer)];
    for (name, role) in readers {
        let reader = managed.log(name, role).open().await.unwrap();
        assert_eq!(reader.last().await.unwrap(), 3, "{name}");
        let read: Vec<_> = reader.read(1, 3).map(|entry| entry.unwrap().stream_seq).collect().await;
        assert_eq!(read, [1, 2, 3], "{name}");
        let tailed = timeout(WAIT, reader.tail(3).next()).await.unwrap();
        assert_eq!(tailed.unwrap().unwrap().stream_seq, 3, "{name}");
        let refused = reader.append(3, 1, "forged".into()).await;
        assert!(refused.is_err(), "{name}: {refused:?}");
    }
    assert_eq!(log.last().await.unwrap(), 3);
}

/// On three servers a message's id makes one server acknowledge to two rivals what one of them
/// has stored, and the expected last id can end a replicated stream.
#[tokio::test]
async fn what_is_stored_carries_no_id_of_the_servers() {
    let managed = Managed::start().await;
    let log = managed.log("coordinator", Role::Coordinator).open().await.unwrap();
    assert_eq!(log.append(0, 7, "batch".into()).await, Ok(1));
    let raw = managed.raw("reader", Role::Replay, Account::Core).await;
    let stream = async_nats::jetstream::new(raw).get_stream("DEVMESH_T").await.unwrap();
    let stored = stream.get_last_raw_message_by_subject("devmesh.t.log").await.unwrap();
    let mut names: Vec<String> =
        stored.headers.iter().map(|(name, _)| name.to_string().to_lowercase()).collect();
    names.sort();
    assert_eq!(names, ["content-type", "devmesh-epoch", "nats-expected-last-sequence"]);
}

#[tokio::test]
async fn requests_and_beats_cross_the_accounts_and_are_believed() {
    let managed = Managed::start().await;
    let core = managed.coordinator().await;
    let mut intake = Intake::start(&core, Trust::Accounts, Bounds::default()).await.unwrap();
    intake.open_requests().await.unwrap();
    let alice = managed.agent("alice").await;
    let replies = intake.replies();
    let answering = tokio::spawn(async move {
        loop {
            let message = some(&intake).await;
            let name = match &message.incoming {
                devmesh_protocol::subject::Incoming::Beat { .. } => {
                    json!({ "epoch": 1, "seq": 1, "live": true, "leases": [] })
                }
                other => Reply::Ok { seq: None, result: json!(format!("{other:?}")) }.to_json(),
            };
            replies.send(&message.reply, name.to_string().into()).await.unwrap();
        }
    });
    let session = SessionId::new("s1").unwrap();
    let command = alice.submit_body("mesh.pause", json!({}), WAIT).await.unwrap();
    let Outcome::Reply(Reply::Ok { result, .. }) = command else { panic!("{command:?}") };
    assert!(result.as_str().unwrap().contains("alice"), "{result}");
    let query = alice.query("state", Value::Null, WAIT).await.unwrap();
    assert!(matches!(query, Outcome::Reply(_)), "{query:?}");
    assert!(alice.beat(&session, 1).await.unwrap().live);
    answering.abort();
}

#[tokio::test]
async fn a_command_in_the_coordinators_own_account_is_dropped() {
    let managed = Managed::start().await;
    let core = managed.coordinator().await;
    let mut intake = Intake::start(&core, Trust::Accounts, Bounds::default()).await.unwrap();
    intake.open_requests().await.unwrap();
    // A dashboard's half in CORE may not publish commands at all; an agent's may only be itself.
    let board = managed.client("board", Role::Dashboard, Account::Core).await;
    let outcome = board.submit_body("mesh.pause", json!({}), Duration::from_millis(400)).await;
    assert!(matches!(outcome.unwrap(), Outcome::Unknown { .. }));
    let alice = managed.agent("alice").await;
    let asked = tokio::spawn(async move {
        alice.request("devmesh.t.cmd.bob.agent.leave", "{}".into(), Duration::from_secs(1)).await
    });
    asked.await.unwrap().unwrap();
    let mut messages = Vec::new();
    assert_eq!(intake.try_recv_many(&mut messages, 10), 0, "{messages:?}");
}

#[tokio::test]
async fn blobs_mail_and_output_work_with_the_rights_that_roles_have() {
    let managed = Managed::start().await;
    let (alice, bob) = (managed.agent("alice").await, managed.agent("bob").await);
    let bytes = vec![3; 700 * 1024];
    let digest = blob::put(&alice, &bytes).await.unwrap();
    assert!(blob::get(&bob, alice.actor(), &digest).await.unwrap() == bytes);

    mail::send(&alice, bob.actor(), "1", "hello".into()).await.unwrap();
    let mut inbox = Inbox::of(&bob);
    let letter = timeout(WAIT, inbox.next()).await.unwrap().unwrap();
    assert_eq!((letter.from.as_str(), &letter.body[..]), ("alice", &b"hello"[..]));
    inbox.settle(&letter).await.unwrap();

    let line = json!({ "at": "2026-01-01T00:00:00Z", "from": "stdout", "text": "done" });
    let line: OutputLine = serde_json::from_value(line).unwrap();
    output::append(&alice, TaskId(1), 1, std::slice::from_ref(&line)).await.unwrap();
    let person = managed.client("pat", Role::Person, Account::Mesh).await;
    let mut output = Output::of(&person, Of { task: TaskId(1), attempt: Some(1) }, false);
    assert_eq!(timeout(WAIT, output.next()).await.unwrap().unwrap(), Some(line));
    assert_eq!(timeout(WAIT, output.next()).await.unwrap().unwrap(), None);
}

#[tokio::test]
async fn texts_and_the_leaders_beats_stay_in_the_coordinators_account() {
    let managed = Managed::start().await;
    let core = managed.coordinator().await;
    let digest = text::put(&core, "a secret").await.unwrap();
    assert_eq!(text::get(&core, &digest).await.unwrap().as_deref(), Some("a secret"));
    assert!(text::delete(&core, &digest).await.unwrap());
    assert_eq!(text::get(&core, &digest).await.unwrap(), None);

    let mut watch = LeaderWatch::subscribe(&core).await.unwrap();
    let beat = LeaderBeat { epoch: 1, node: "n1".into(), seq: 0, answered: Vec::new() };
    Announcer::new(&core).beat(&beat).await.unwrap();
    assert_eq!(timeout(WAIT, watch.next(WAIT)).await.unwrap(), Some(beat));
}
