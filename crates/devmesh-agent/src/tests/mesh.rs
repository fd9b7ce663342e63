//! A stand-in for the coordinator with one task: it answers as the real one would and remembers
//! what it was told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use devmesh_bus::client::Client;
use devmesh_bus::intake::{Bounds, Intake, Trust};
use devmesh_bus::notice::Announcer;
use devmesh_protocol::command::agent::Needs;
use devmesh_protocol::event::task::{AuctionOpened, TaskAwarded};
use devmesh_protocol::report::BeatReply;
use devmesh_protocol::subject::Incoming;
use devmesh_protocol::{
    ActorId, At, Event, HostId, MeshId, Record, Rejection, Reply, SessionId, TaskId,
};
use devmesh_testkit::nats::TestServer;
use serde_json::{Value, json};

use crate::fixture::TestRepo;

/// The one task.
pub(crate) const TASK: TaskId = TaskId(1);

#[derive(Debug, Default)]
struct Heard {
    commands: Vec<(String, Value)>,
    refusals: BTreeMap<String, Rejection>,
    seq: u64,
    awarded: bool,
    /// The task is not offered.
    held: bool,
    repo: Value,
    task: Value,
    notes: Value,
    asked: Vec<(String, Value)>,
}

pub(crate) struct Mesh {
    server: TestServer,
    heard: Arc<Mutex<Heard>>,
    announcer: Announcer,
    loops: tokio::task::JoinHandle<()>,
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.loops.abort();
    }
}

impl Mesh {
    /// A mesh whose task is proven by these commands.
    pub(crate) async fn start(repo: &TestRepo, verify: &[&str]) -> Self {
        let server = TestServer::start().await;
        let coordinator = connect(&server, "coordinator").await;
        let heard = Heard { repo: repo_view(repo), task: task_view(verify), ..Heard::default() };
        let heard = Arc::new(Mutex::new(heard));
        let mut intake =
            Intake::start(&coordinator, Trust::Everybody, Bounds::default()).await.unwrap();
        intake.open_requests().await.unwrap();
        let announcer = Announcer::new(&coordinator);
        let loops = tokio::spawn(serve(intake, announcer.clone(), heard.clone()));
        Self { server, heard, announcer, loops }
    }

    pub(crate) async fn client(&self, actor: &str) -> Client {
        connect(&self.server, actor).await
    }

    /// Makes the streams that bundles and letters go through.
    pub(crate) async fn open_streams(&self) {
        for (name, subject) in
            [("DEVMESH_M_BLOB", "devmesh.m.blob.*.*.*"), ("DEVMESH_M_MAIL", "devmesh.m.mail.*.*")]
        {
            self.server.stream(name, &[subject], json!({ "allow_direct": true })).await;
        }
    }

    /// Says something else of the repository.
    pub(crate) fn show_repo(&self, field: &str, value: Value) {
        self.heard.lock().unwrap().repo[field] = value;
    }

    /// Says something else of the task.
    pub(crate) fn show_task(&self, field: &str, value: Value) {
        self.heard.lock().unwrap().task[field] = value;
    }

    /// Tells an event.
    pub(super) async fn tell(&self, event: Event) {
        let seq = next(&self.heard);
        tell(&self.announcer, seq, event).await;
    }

    /// Refuses a verb from now on.
    pub(super) fn refuse(&self, verb: &str, rejection: Rejection) {
        self.heard.lock().unwrap().refusals.insert(verb.to_owned(), rejection);
    }

    /// Offers the task no more.
    pub(super) fn hold(&self, held: bool) {
        self.heard.lock().unwrap().held = held;
    }

    /// What is known.
    pub(super) fn note(&self, notes: Value) {
        self.heard.lock().unwrap().notes = notes;
    }

    /// How a query was asked last.
    pub(super) fn question(&self, what: &str) -> Option<Value> {
        let heard = self.heard.lock().unwrap();
        heard.asked.iter().rev().find(|(name, _)| name == what).map(|(_, body)| body.clone())
    }

    pub(super) fn verbs(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.commands.iter().map(|(verb, _)| verb.clone()).collect()
    }

    pub(super) fn bodies(&self, verb: &str) -> Vec<Value> {
        let heard = self.heard.lock().unwrap();
        let of = heard.commands.iter().filter(|(name, _)| name == verb);
        of.map(|(_, body)| body.clone()).collect()
    }

    pub(super) fn body(&self, verb: &str) -> Value {
        self.bodies(verb).pop().unwrap_or_else(|| panic!("no {verb} in {:?}", self.verbs()))
    }

    /// Waits for a command.
    pub(super) async fn saw(&self, verb: &str) -> Value {
        super::until(&format!("{verb} comes"), || !self.bodies(verb).is_empty()).await;
        self.body(verb)
    }
}

async fn connect(server: &TestServer, actor: &str) -> Client {
    let (mesh, actor) = (MeshId::new("m").unwrap(), ActorId::new(actor).unwrap());
    Client::connect(&server.url(), None, &mesh, &actor).await.unwrap()
}

fn next(heard: &Mutex<Heard>) -> u64 {
    let mut heard = heard.lock().unwrap();
    heard.seq += 1;
    heard.seq
}

async fn tell(announcer: &Announcer, seq: u64, event: Event) {
    let record = Record {
        seq,
        at: At(seq),
        command_id: None,
        body: None,
        actor: ActorId::coordinator(),
        causation: None,
        events: vec![event],
    };
    announcer.announce(&record).await.unwrap();
}

async fn serve(intake: Intake, announcer: Announcer, heard: Arc<Mutex<Heard>>) {
    let replies = intake.replies();
    loop {
        let mut messages = Vec::new();
        intake.recv_many(&mut messages, 16).await;
        for message in messages {
            let body: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
            let (answer, event) = match &message.incoming {
                Incoming::Beat { .. } => (beaten(&heard), None),
                Incoming::Query { what, .. } => (asked(&heard, what, &body), None),
                Incoming::Command { verb, .. } => commanded(&heard, verb, body),
                Incoming::Report { .. } => continue,
            };
            let bytes = serde_json::to_vec(&answer).unwrap();
            replies.send(&message.reply, bytes.into()).await.unwrap();
            if let Some((seq, event)) = event {
                tell(&announcer, seq, event).await;
            }
        }
    }
}

fn beaten(heard: &Mutex<Heard>) -> Value {
    let seq = heard.lock().unwrap().seq;
    serde_json::to_value(BeatReply {
        epoch: 1,
        seq,
        live: true,
        leases: Vec::new(),
        pause: None,
        work: None,
    })
    .unwrap()
}

fn asked(heard: &Mutex<Heard>, what: &str, body: &Value) -> Value {
    let mut heard = heard.lock().unwrap();
    heard.asked.push((what.to_owned(), body.clone()));
    let result = match what {
        "task" => heard.task.clone(),
        "tasks" if body["state"] == "queued" && !heard.awarded && !heard.held => {
            json!([heard.task])
        }
        "repos" => json!([heard.repo]),
        "notes" => json!({ "notes": heard.notes }),
        _ => json!([]),
    };
    Reply::Ok { seq: Some(heard.seq), result }.to_json()
}

fn commanded(heard: &Mutex<Heard>, verb: &str, body: Value) -> (Value, Option<(u64, Event)>) {
    let mut heard = heard.lock().unwrap();
    heard.commands.push((verb.to_owned(), body.clone()));
    if let Some(rejection) = heard.refusals.get(verb) {
        return (Reply::Err { seq: None, error: rejection.clone() }.to_json(), None);
    }
    heard.seq += 1;
    let seq = heard.seq;
    let result = match verb {
        "agent.join" => {
            json!({ "role": "architect", "rulebook": devmesh_protocol::rulebook::view() })
        }
        "land.begin" => json!({ "turn": seq }),
        _ => json!({}),
    };
    let event: Option<Event> = match verb {
        "agent.join" if !heard.held => {
            Some(AuctionOpened { task: TASK, closes_at: At(seq) }.into())
        }
        "task.bid" if !heard.awarded => {
            heard.awarded = true;
            Some(award(&body).into())
        }
        _ => None,
    };
    let event = event.map(|event| {
        heard.seq += 1;
        (heard.seq, event)
    });
    (Reply::Ok { seq: Some(seq), result }.to_json(), event)
}

fn award(body: &Value) -> TaskAwarded {
    TaskAwarded {
        task: TASK,
        attempt: 1,
        actor: ActorId::new("codex-1").unwrap(),
        session: SessionId::new(body["session"].as_str().unwrap()).unwrap(),
        host: HostId::new("h1").unwrap(),
        needs: Needs::default(),
        device: None,
        start_by: At(Duration::from_secs(5).as_millis() as u64),
        bids: Vec::new(),
    }
}

fn repo_view(repo: &TestRepo) -> Value {
    json!({
        "repo": "app", "url": null, "path": repo.path(), "base": "main",
        "target": "devmesh/landed/main", "verify": [], "setup": null, "head": null,
        "landing": null, "land_queue": [],
    })
}

fn task_view(verify: &[&str]) -> Value {
    json!({
        "task": TASK, "title": "Say hello", "state": "queued", "blocked": null, "repo": "app",
        "base": "main", "target": "devmesh/landed/main", "paths": [], "priority": 2,
        "depends_on": [], "needs": [], "tool": null, "review": "none", "key": null,
        "verify": verify, "flow": "merge", "max_attempts": 3, "max_cost_usd": 5.0,
        "max_wall_s": 3600, "tries": 0, "by": "alice", "added_at": "2026-01-01T00:00:00Z",
        "ended_at": null, "commit": null, "question": null, "attempt": null, "attempts": [],
        "reverts": null,
    })
}
