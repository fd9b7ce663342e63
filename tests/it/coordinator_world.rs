//! Coordinators over real servers without credentials, callers that keep what they were told, and
//! a reader that compares it with the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use devmesh_bus::client::{Client, Outcome, mint};
use devmesh_bus::log::nats::NatsOpen;
use devmesh_bus::log::{Log, Open};
use devmesh_coordinator::{Args, Error};
use devmesh_domain::Reader;
use devmesh_protocol::{ActorId, MeshId, Record, Reply};
use devmesh_testkit::nats::TestCluster;
use futures::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a condition may take to come about.
pub(crate) const WITHIN: Duration = Duration::from_secs(30);

/// Servers, and a folder for each coordinator.
pub(crate) struct World {
    pub(crate) cluster: TestCluster,
    pub(crate) mesh: MeshId,
    dir: TempDir,
}

/// A coordinator in a task of its own.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    /// Ends it as SIGKILL does: nothing is flushed, nothing is said.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        self.stop.cancel();
        tokio::time::timeout(WITHIN, self.task).await.expect("it ends").expect("it does not panic")
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl World {
    pub(crate) async fn start(servers: usize) -> Self {
        let cluster = TestCluster::start(servers).await;
        let mesh = MeshId::new("t").unwrap();
        let config = json!({ "deny_delete": true, "deny_purge": true, "discard": "new" });
        cluster.stream("DEVMESH_T", &["devmesh.t.log"], config).await;
        let config = json!({ "allow_direct": true, "max_msgs_per_subject": 1 });
        cluster.stream("DEVMESH_T_TEXT", &["devmesh.t.text.*"], config).await;
        Self { cluster, mesh, dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn urls(&self) -> String {
        self.cluster.urls()
    }

    /// Starts a coordinator; its folder is that of every other of this number.
    pub(crate) fn coordinator(&self, number: usize) -> Running {
        let state_dir = self.dir.path().join(format!("c{number}"));
        std::fs::create_dir_all(&state_dir).unwrap();
        let args = Args {
            nats_url: self.urls(),
            creds: None,
            mesh: self.mesh.clone(),
            node: Some(format!("c{number}")),
            state_dir: Some(state_dir),
            store_dir: None,
            trust_everybody: true,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(devmesh_coordinator::run(args, stop.clone()));
        Running { stop, task }
    }

    pub(crate) async fn client(&self, actor: &str) -> Client {
        let actor = ActorId::new(actor).unwrap();
        Client::connect(&self.urls(), None, &self.mesh, &actor).await.unwrap()
    }

    /// Names people and a repository.
    pub(crate) async fn furnish(&self, people: usize) {
        let admin = self.client("admin").await;
        for n in 0..people {
            let body = json!({ "actor": format!("p{n}"), "role": "person" });
            ok(&admin, "actor.add", body).await;
        }
        ok(&self.client("p0").await, "repo.add", json!({ "name": "web", "path": "/w" })).await;
    }

    /// Everything the log holds, read anew.
    pub(crate) async fn read(&self) -> (Reader, Vec<Record>) {
        let log = NatsOpen::plain(&self.urls(), &self.mesh).open().await.unwrap();
        let last = log.last().await.unwrap();
        let (mut reader, mut records) = (Reader::default(), Vec::new());
        let mut entries = log.read(1, last);
        while let Some(entry) = entries.next().await {
            let entry = entry.unwrap();
            records.extend(reader.take(entry.stream_seq, &entry.payload).unwrap());
        }
        (reader, records)
    }
}

/// Sends a command until it is answered.
pub(crate) async fn call(client: &Client, verb: &str, body: Value) -> Reply {
    match client.submit_body(verb, body, WITHIN).await.unwrap() {
        Outcome::Reply(reply) => reply,
        Outcome::Unknown { why } => panic!("{verb} has no answer: {why}"),
    }
}

/// As [`call`]; panics if it is refused.
pub(crate) async fn ok(client: &Client, verb: &str, body: Value) -> Value {
    match call(client, verb, body).await {
        Reply::Ok { result, .. } => result,
        Reply::Err { error, .. } => panic!("{verb} is refused: {error}"),
    }
}

/// Callers that acquire and release, each its own path, until they are stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    pub(crate) pairs: Arc<AtomicU64>,
    callers: Vec<JoinHandle<Told>>,
}

/// What was told, by command id: the record.
pub(crate) type Told = BTreeMap<String, u64>;

impl Load {
    pub(crate) async fn start(world: &World, callers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let pairs = Arc::new(AtomicU64::new(0));
        let mut tasks = Vec::new();
        for n in 0..callers {
            let client = world.client(&format!("p{n}")).await;
            let (stop, pairs) = (Arc::clone(&stop), Arc::clone(&pairs));
            tasks.push(tokio::spawn(async move {
                let mut told = Told::new();
                while !stop.load(Ordering::Relaxed) {
                    let path = format!("src/{n}.rs");
                    let acquire = json!({ "paths": [path], "mode": "write" });
                    tell(&client, "lock.acquire", acquire, &mut told).await;
                    tell(&client, "lock.release", json!({ "paths": [path] }), &mut told).await;
                    pairs.fetch_add(1, Ordering::Relaxed);
                }
                told
            }));
        }
        Self { stop, pairs, callers: tasks }
    }

    /// Waits until so many more pairs are done: the mesh works.
    pub(crate) async fn progress(&self, more: u64) {
        let until = self.pairs.load(Ordering::Relaxed) + more;
        let deadline = Instant::now() + WITHIN;
        while self.pairs.load(Ordering::Relaxed) < until {
            assert!(Instant::now() < deadline, "the mesh does not go on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn end(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        let mut told = Told::new();
        for caller in self.callers {
            told.extend(caller.await.unwrap());
        }
        told
    }
}

async fn tell(client: &Client, verb: &str, mut body: Value, told: &mut Told) {
    let id = mint().to_string();
    body["id"] = json!(id);
    match call(client, verb, body).await {
        Reply::Ok { seq: Some(seq), .. } => drop(told.insert(id, seq)),
        reply => panic!("{verb}: {reply:?}"),
    }
}

/// Every acknowledged command is in the log where it was said to be, and none is there twice.
pub(crate) fn compare(told: &Told, records: &[Record]) {
    let mut by_id = BTreeMap::new();
    for record in records {
        if let Some(id) = &record.command_id {
            let before = by_id.insert((record.actor.to_string(), id.to_string()), record.seq);
            assert_eq!(before, None, "{id} is there twice");
        }
    }
    let seqs: BTreeMap<&str, u64> =
        by_id.iter().map(|((_, id), seq)| (id.as_str(), *seq)).collect();
    for (id, seq) in told {
        assert_eq!(seqs.get(id.as_str()), Some(seq), "{id}");
    }
}
