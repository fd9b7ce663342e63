//! A mesh to measure: a managed server with accounts and an fsync to every message, as `up` makes
//! it, and one of three responders to its commands.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use devmesh_bus::client::{Client, Outcome};
use devmesh_bus::cred::{Account, Role, Trust};
use devmesh_bus::intake::{Bounds, Intake, Replies, Trust as Believes};
use devmesh_bus::log::Log;
use devmesh_bus::log::nats::NatsOpen;
use devmesh_bus::server::{self, Server, ServerOptions};
use devmesh_bus::{connect, provision};
use devmesh_protocol::{ActorId, MeshId, Reply};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::cargo::{cargo, root, run};
use crate::error::{Error, Result};

const MESH: &str = "bench";
const REPO: &str = "demo";
/// How long a process may take to answer.
const READY: Duration = Duration::from_secs(20);

/// The server, its keys, and where they lie.
pub(super) struct World {
    // The server goes before the folder it stands in.
    server: Server,
    trust: Trust,
    folder: TempDir,
    mesh: MeshId,
}

/// Another program than the one built here may be measured as the coordinator.
const BINARY: &str = "DEVMESH_BENCH_BINARY";

/// Builds the coordinator's binary: once, for a build between two rounds would be noise in both.
fn build() -> Result<()> {
    if std::env::var_os(BINARY).is_some() {
        return Ok(());
    }
    run(cargo(&["build", "--quiet", "--profile", "dist", "--package", "devmesh"]))
}

/// Builds the coordinator's binary, then runs what measures it.
pub(super) fn measured<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    build()?;
    until_interrupted(work)
}

/// Runs what measures, and ends what it started where it is interrupted: with two workers, so
/// that the clients leave the coordinator and the server some of the machine.
pub(super) fn until_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(failed("start a runtime"))?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(failed("listen to signals"))?;
        // What was started ends with what is dropped here.
        tokio::select! {
            measured = work => measured,
            _ = tokio::signal::ctrl_c() => Err(failed("measure to the end")("interrupted")),
            _ = terminate.recv() => Err(failed("measure to the end")("terminated")),
        }
    })
}

/// What answers commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Responder {
    /// Nothing but the answer: what the wire costs.
    Null,
    /// An append with its fsync before the answer, one by one: the raw floor.
    Durable,
}

/// A running responder.
pub(super) enum Running {
    Task(JoinHandle<()>),
    Process(Box<Child>),
}

pub(super) fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    what: &'static str,
) -> impl FnOnce(E) -> Error {
    move |source| Error::Bench { what, source: source.into() }
}

impl World {
    /// Starts the server beside the build: `/tmp` is often memory, where an fsync costs nothing.
    pub(super) async fn start() -> Result<World> {
        let within = root().join("target");
        let folder = TempDir::with_prefix_in("bench-", within).map_err(failed("make a folder"))?;
        let trust = Trust::open_or_create(folder.path(), MESH).map_err(failed("make keys"))?;
        let binary = server::fetch().await.map_err(failed("fetch nats-server"))?;
        let auth = trust.auth().map_err(failed("sign accounts"))?;
        let options = ServerOptions::new(binary, folder.path().join("nats"), auth);
        let server = server::start(&options).await.map_err(failed("start nats-server"))?;
        let mesh = MeshId::new(MESH).expect("a plain word");
        let world = World { server, trust, folder, mesh };
        let limits = provision::Limits::default();
        let core = world.admin(Account::Core).await?;
        provision::core(&core, MESH, &limits).await.map_err(failed("make the log"))?;
        let side = world.admin(Account::Mesh).await?;
        provision::mesh(&side, MESH, &limits).await.map_err(failed("make the streams"))?;
        Ok(world)
    }

    /// The server's process.
    pub(super) fn server_pid(&self) -> u32 {
        self.server.pid()
    }

    async fn admin(&self, account: Account) -> Result<connect::Connection> {
        let minted = self.trust.mint("admin", Role::Admin).map_err(failed("mint admin"))?;
        let file = minted.file(account);
        connect::connect(self.server.url(), file, "admin").await.map_err(failed("connect as admin"))
    }

    fn creds(&self, name: &str, role: Role, account: Account) -> Result<Option<PathBuf>> {
        let minted = self.trust.mint(name, role).map_err(failed("mint a credential"))?;
        Ok(minted.file(account).map(std::path::Path::to_owned))
    }

    /// A connection of that actor's.
    pub(super) async fn client(&self, name: &str, role: Role) -> Result<Client> {
        let account = if role == Role::Coordinator { Account::Core } else { Account::Mesh };
        let creds = self.creds(name, role, account)?;
        let actor = ActorId::new(name).expect("benches name actors plainly");
        let options = Intake::options();
        Client::connect_with(self.server.url(), creds.as_deref(), &self.mesh, &actor, &options)
            .await
            .map_err(failed("connect to the bench's bus"))
    }

    /// So many people, a connection each.
    pub(super) async fn people(&self, count: usize) -> Result<Vec<Client>> {
        let mut people = Vec::new();
        for n in 0..count {
            people.push(self.client(&actor(n), Role::Person).await?);
        }
        Ok(people)
    }

    /// The log, opened as the coordinator does.
    pub(super) fn log(&self) -> Result<NatsOpen> {
        let creds = self.creds("coordinator", Role::Coordinator, Account::Core)?;
        let options = connect::Options::default();
        let url = self.server.url();
        Ok(NatsOpen::new(url, creds.as_deref(), &self.mesh, "coordinator", options))
    }

    /// Starts a responder that is not the coordinator.
    pub(super) async fn respond(&self, how: Responder) -> Result<Running> {
        let client = self.client("coordinator", Role::Coordinator).await?;
        let started = Intake::start(&client, Believes::Accounts, Bounds::default()).await;
        let mut intake = started.map_err(failed("subscribe to commands"))?;
        intake.open_requests().await.map_err(failed("subscribe to commands"))?;
        let replies = intake.replies();
        let task = match how {
            Responder::Null => tokio::spawn(answer_at_once(intake, replies, client)),
            Responder::Durable => {
                use devmesh_bus::log::Open;
                let log = self.log()?.open().await.map_err(failed("open the log"))?;
                tokio::spawn(append_and_answer(intake, replies, client, log))
            }
        };
        Ok(Running::Task(task))
    }

    /// Starts the coordinator, built before, as its own process and waits until it answers; then
    /// makes the actors and the repository that the load needs.
    pub(super) async fn coordinator(&self, actors: usize) -> Result<Running> {
        let running = self.process("first")?;
        self.furnish(actors).await?;
        Ok(running)
    }

    /// A process of the coordinator under that name; the first one leads, others stand by.
    pub(super) fn process(&self, node: &str) -> Result<Running> {
        let creds = self.creds("coordinator", Role::Coordinator, Account::Core)?;
        let state = self.folder.path().join(node);
        std::fs::create_dir_all(&state).map_err(failed("make a folder"))?;
        let built = || root().join("target/dist/devmesh");
        let binary = std::env::var_os(BINARY).map_or_else(built, PathBuf::from);
        let mut command = tokio::process::Command::new(binary);
        command
            .args(["coordinator", "--mesh", MESH, "--nats-url", self.server.url()])
            .args(["--node", node])
            .arg("--state-dir")
            .arg(&state)
            .env("DEVMESH_LOG_LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        if let Some(creds) = &creds {
            command.arg("--creds").arg(creds);
        }
        let child = command.spawn().map_err(failed("start the coordinator"))?;
        Ok(Running::Process(Box::new(child)))
    }

    async fn furnish(&self, actors: usize) -> Result<()> {
        let admin = self.client("admin", Role::Admin).await?;
        for n in 0..actors {
            ask(&admin, "actor.add", json!({ "actor": actor(n), "role": "person" })).await?;
        }
        ask(&admin, "repo.add", json!({ "name": REPO, "path": "/nowhere" })).await?;
        Ok(())
    }
}

/// The name of the n-th client.
pub(super) fn actor(n: usize) -> String {
    format!("p{n}")
}

/// What a query answers.
pub(super) async fn query(client: &Client, what: &str) -> Result<Value> {
    let outcome = client.query(what, json!({}), READY).await.map_err(failed("send a query"))?;
    result_of(outcome)
}

/// One command and its result.
pub(super) async fn ask(client: &Client, verb: &str, body: Value) -> Result<Value> {
    let outcome = client.submit_body(verb, body, READY).await.map_err(failed("send a command"))?;
    result_of(outcome)
}

fn result_of(outcome: Outcome) -> Result<Value> {
    match outcome {
        Outcome::Reply(Reply::Ok { result, .. }) => Ok(result),
        Outcome::Reply(Reply::Err { error, .. }) => Err(failed("have a request accepted")(error)),
        Outcome::Unknown { why } => Err(failed("have a request answered")(why)),
    }
}

impl Running {
    /// Its process, where it has one of its own.
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Running::Task(_) => None,
            Running::Process(child) => child.id(),
        }
    }

    /// Ends it and waits for its end.
    pub(super) async fn stop(self) {
        match self {
            Running::Task(task) => {
                task.abort();
                let _ = task.await;
            }
            Running::Process(mut child) => {
                let _ = child.kill().await;
            }
        }
    }
}

/// An answer of the shape and about the size of the real ones.
fn made_up() -> bytes::Bytes {
    let lease = json!({ "lease": "l-41-0", "repo": REPO, "path": "src/f0", "mode": "write",
        "token": 41, "actor": "p0", "granted_at": "2026-01-01T00:00:00.000Z", "ttl_ms": 1_800_000,
        "expires_at": "2026-01-01T00:30:00.000Z" });
    let reply = Reply::Ok { seq: Some(41), result: json!({ "leases": [lease] }) };
    serde_json::to_vec(&reply).expect("plain data").into()
}

async fn answer_at_once(intake: Intake, replies: Replies, _client: Client) {
    let answer = made_up();
    let mut messages = Vec::new();
    loop {
        intake.recv_many(&mut messages, 1024).await;
        let answers = messages.drain(..).map(|message| (message.reply, answer.clone()));
        if replies.send_all(answers).await.is_err() {
            return;
        }
    }
}

async fn append_and_answer(intake: Intake, replies: Replies, _client: Client, log: impl Log) {
    let answer = made_up();
    let mut messages = Vec::new();
    let Ok(mut last) = log.last().await else { return };
    loop {
        intake.recv_many(&mut messages, 1).await;
        for message in messages.drain(..) {
            let Ok(at) = log.append(last, 1, vec![7; 300].into()).await else { return };
            last = at;
            if replies.send(&message.reply, answer.clone()).await.is_err() {
                return;
            }
        }
    }
}
