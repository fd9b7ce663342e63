//! Callers that take and give back leases and add tasks, each command under an id of its own that
//! is sent again until it is answered. They keep what they were told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use devmesh_bus::client::{Client, Outcome, mint};
use devmesh_protocol::Reply;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::mesh::{Mesh, WITHIN};

/// One round of sending: an outcome that is unknown after it is asked for again.
const ROUND: Duration = Duration::from_millis(1_500);
/// A caller's pause between two rounds: load, but not a race.
const PAUSE: Duration = Duration::from_millis(4);
/// The path that all want.
pub(super) const HOT: &str = "hot.rs";

/// An answered command.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) actor: String,
    pub(super) id: String,
    pub(super) verb: &'static str,
    pub(super) body: Value,
    pub(super) seq: u64,
    pub(super) result: Value,
}

impl Told {
    /// The token of the lease that it gave.
    pub(super) fn token(&self) -> Option<u64> {
        self.result.pointer("/leases/0/token")?.as_u64()
    }
}

/// What the callers share.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answered: AtomicU64,
    unknown: AtomicU64,
    /// The tokens under which the hot path was held, in the order of holding.
    held: Mutex<Vec<u64>>,
    /// Whether somebody holds it.
    taken: AtomicBool,
}

/// Callers at work.
pub(super) struct Load {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<Vec<Told>>>,
}

/// What all callers were told.
pub(super) struct Story {
    /// Each caller's commands, in the order it gave them.
    pub(super) callers: Vec<Vec<Told>>,
    /// The tokens under which the hot path was held, in the order of holding.
    pub(super) held: Vec<u64>,
    /// How often an outcome was unknown and asked for again.
    pub(super) unknown: u64,
}

impl Story {
    pub(super) fn told(&self) -> impl Iterator<Item = &Told> {
        self.callers.iter().flatten()
    }
}

impl Load {
    pub(super) async fn start(mesh: &Mesh, callers: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let mut tasks = Vec::new();
        for n in 0..callers {
            let client = mesh.person(&format!("p{n}")).await;
            let caller = Caller { client, shared: Arc::clone(&shared), told: Vec::new() };
            tasks.push(tokio::spawn(caller.work(n)));
        }
        Self { shared, callers: tasks }
    }

    /// Waits until so many more commands are answered: the mesh works.
    pub(super) async fn progress(&self, more: u64) {
        let until = self.shared.answered.load(Ordering::Relaxed) + more;
        let deadline = Instant::now() + WITHIN;
        while self.shared.answered.load(Ordering::Relaxed) < until {
            assert!(Instant::now() < deadline, "the mesh does not go on");
            assert!(!self.callers.iter().any(JoinHandle::is_finished), "a caller has given up");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it once each caller's last command is answered.
    pub(super) async fn end(self) -> Story {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut callers = Vec::new();
        for caller in self.callers {
            callers.push(caller.await.unwrap());
        }
        let held = self.shared.held.lock().unwrap().clone();
        let unknown = self.shared.unknown.load(Ordering::Relaxed);
        Story { callers, held, unknown }
    }
}

struct Caller {
    client: Client,
    shared: Arc<Shared>,
    told: Vec<Told>,
}

impl Caller {
    async fn work(mut self, n: usize) -> Vec<Told> {
        for round in 0_u64.. {
            if self.shared.stop.load(Ordering::Relaxed) {
                break;
            }
            match round % 3 {
                0 => self.hold_hot().await,
                _ => self.hold(&format!("src/{n}.rs")).await,
            }
            if round % 4 == 0 {
                let title = format!("{} {round}", self.client.actor());
                self.tell("task.add", json!({ "title": title })).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.told
    }

    async fn hold(&mut self, path: &str) {
        self.tell("lock.acquire", json!({ "paths": [path], "mode": "write" })).await;
        self.tell("lock.release", json!({ "paths": [path] })).await;
    }

    /// Waits for its turn, and is alone while it has it.
    async fn hold_hot(&mut self) {
        let acquire = json!({ "paths": [HOT], "mode": "write", "wait_ms": 120_000 });
        let token = self.tell("lock.acquire", acquire).await.token().expect("a token");
        assert!(!self.shared.taken.swap(true, Ordering::SeqCst), "two hold {HOT}");
        self.shared.held.lock().unwrap().push(token);
        self.shared.taken.store(false, Ordering::SeqCst);
        self.tell("lock.release", json!({ "paths": [HOT] })).await;
    }

    async fn tell(&mut self, verb: &'static str, mut body: Value) -> &Told {
        let id = mint().to_string();
        body["id"] = json!(id);
        let deadline = Instant::now() + WITHIN;
        let reply = loop {
            match self.client.submit_body(verb, body.clone(), ROUND).await.unwrap() {
                Outcome::Reply(reply) => break reply,
                Outcome::Unknown { why } => {
                    self.shared.unknown.fetch_add(1, Ordering::Relaxed);
                    assert!(Instant::now() < deadline, "{verb} {id} has no answer: {why}");
                }
            }
        };
        let Reply::Ok { seq: Some(seq), result } = reply else { panic!("{verb} {id}: {reply:?}") };
        self.shared.answered.fetch_add(1, Ordering::Relaxed);
        let actor = self.client.actor().to_string();
        self.told.push(Told { actor, id, verb, body, seq, result });
        self.told.last().expect("it was just put there")
    }
}
