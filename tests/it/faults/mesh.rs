//! Servers with credentials, and coordinators as processes of their own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use devmesh_bus::client::{Client, Outcome};
use devmesh_bus::connect;
use devmesh_bus::cred::{Account, Role, Trust};
use devmesh_bus::log::nats::NatsOpen;
use devmesh_bus::log::{Log, Open};
use devmesh_bus::provision::{self, Limits};
use devmesh_bus::server::{self, Cluster, Server, ServerOptions};
use devmesh_domain::Reader;
use devmesh_protocol::batch::Batch;
use devmesh_protocol::{ActorId, MeshId, Record, Reply};
use devmesh_testkit::nats::free_port;
use futures::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::it::coordinator_world::ok;
use crate::it::world::options;
use crate::scripts::rig::programs;

/// How long a condition may take to come about on a machine with many other things to do.
pub(super) const WITHIN: Duration = Duration::from_secs(30);

const MESH: &str = "faults";

/// A mesh without processes of devmesh's own, until they are started.
pub(super) struct Mesh {
    pub(super) name: MeshId,
    trust: Trust,
    servers: Vec<Server>,
    options: Vec<ServerOptions>,
    program: PathBuf,
    started: AtomicUsize,
    dir: TempDir,
}

/// A coordinator.
pub(super) struct Process {
    /// What it is called in the terms that it leads, but for an ending of its own choice.
    pub(super) node: String,
    child: Child,
    log: PathBuf,
}

/// Who leads, as the leader says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lead {
    pub(super) epoch: u64,
    pub(super) node: String,
}

/// A message of the log, and whether its records count.
pub(super) struct Message {
    pub(super) batch: Batch,
    pub(super) counts: bool,
}

/// All of the log, read anew.
pub(super) struct Whole {
    pub(super) reader: Reader,
    pub(super) messages: Vec<Message>,
}

impl Whole {
    /// The records that count.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.messages.iter().filter(|it| it.counts).flat_map(|it| &it.batch.records)
    }
}

impl Process {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// SIGKILL; returns when it is gone.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP.
    pub(super) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT.
    pub(super) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    pub(super) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(super) fn leads(&self, lead: &Lead) -> bool {
        lead.node.rsplit_once('-').is_some_and(|(node, _)| node == self.node)
    }

    /// What it logged.
    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Mesh {
    /// One server, or several that keep each stream together.
    pub(super) async fn start(servers: usize) -> Self {
        Self::start_with(servers, |_| ()).await
    }

    /// The same, each server started as said.
    pub(super) async fn start_with(servers: usize, set: impl Fn(&mut ServerOptions)) -> Self {
        let program = programs().await.join("devmesh");
        let dir = tempfile::Builder::new().prefix("devmesh-faults-").tempdir().unwrap();
        let trust = Trust::open_or_create(dir.path(), MESH).unwrap();
        let (servers, options) = start_servers(dir.path(), &trust, servers, set).await;
        let name = MeshId::new(MESH).unwrap();
        let started = AtomicUsize::new(0);
        let mesh = Self { name, trust, servers, options, program, started, dir };
        let (replicas, few) = (mesh.servers.len(), 2 << 20);
        let limits = Limits {
            replicas,
            output_bytes_max: few,
            blob_bytes_max: few,
            mail_bytes_max: few,
            ..Limits::default()
        };
        let admin = mesh.trust.mint("admin", Role::Admin).unwrap();
        for account in [Account::Core, Account::Mesh] {
            let file = admin.file(account);
            let client = connect::connect(&mesh.urls(), file, "admin").await.unwrap();
            match account {
                Account::Core => provision::core(&client, MESH, &limits).await.unwrap(),
                _ => provision::mesh(&client, MESH, &limits).await.unwrap(),
            };
        }
        mesh
    }

    /// All servers, a comma between.
    pub(super) fn urls(&self) -> String {
        self.servers.iter().map(Server::url).collect::<Vec<_>>().join(",")
    }

    /// SIGKILL to the only server.
    pub(super) async fn kill_server(&mut self) {
        self.servers.remove(0).kill().await.unwrap();
    }

    /// Starts the only server again, where it was.
    pub(super) async fn start_server(&mut self) -> Result<(), server::Error> {
        self.servers.push(server::start(&self.options[0]).await?);
        Ok(())
    }

    /// The folder of the only server's store.
    pub(super) fn store(&self) -> PathBuf {
        self.options[0].store_dir()
    }

    /// The process of the only server.
    pub(super) fn server_pid(&self) -> i32 {
        i32::try_from(self.servers[0].pid()).unwrap()
    }

    /// The folder of all of it.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The credential of somebody.
    pub(super) fn creds(&self, name: &str, role: Role, account: Account) -> PathBuf {
        let minted = self.trust.mint(name, role).unwrap();
        minted.file(account).expect("the role has a part in the account").to_owned()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.dir.path()).env("USER", "tester");
        command
    }

    /// One more coordinator, with a folder of its own.
    pub(super) fn coordinator(&self) -> Process {
        let node = format!("c{}", self.started.fetch_add(1, Ordering::Relaxed));
        let log = self.dir.path().join(format!("{node}.log"));
        let mut command = self.command();
        command.args(["coordinator", "--mesh", MESH, "--node", &node]);
        command.args(["--nats-url", &self.urls()]);
        let creds = self.creds("coordinator", Role::Coordinator, Account::Core);
        command.arg("--creds").arg(creds);
        command.arg("--store-dir").arg(self.store());
        let state = self.dir.path().join(&node);
        std::fs::create_dir_all(&state).unwrap();
        command.arg("--state-dir").arg(state);
        command.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        Process { node, child: command.spawn().unwrap(), log }
    }

    /// A connection of a person, or of another role.
    pub(super) async fn client(&self, name: &str, role: Role) -> Client {
        let creds = self.creds(name, role, Account::Mesh);
        let actor = ActorId::new(name).unwrap();
        Client::connect(&self.urls(), Some(&creds), &self.name, &actor).await.unwrap()
    }

    /// A person's connection.
    pub(super) async fn person(&self, name: &str) -> Client {
        self.client(name, Role::Person).await
    }

    /// Names people and a repository.
    pub(super) async fn furnish(&self, people: usize) {
        let admin = self.client("admin", Role::Admin).await;
        for n in 0..people {
            let body = json!({ "actor": format!("p{n}"), "role": "person" });
            ok(&admin, "actor.add", body).await;
        }
        ok(&self.person("p0").await, "repo.add", json!({ "name": "web", "path": "/w" })).await;
    }

    /// The log, read anew.
    pub(super) async fn read(&self) -> Whole {
        let creds = self.creds("replay", Role::Replay, Account::Core);
        let options = connect::Options::default();
        let open = NatsOpen::new(&self.urls(), Some(&creds), &self.name, "replay", options);
        let log = open.open().await.unwrap();
        let last = log.last().await.unwrap();
        let mut whole = Whole { reader: Reader::default(), messages: Vec::new() };
        let mut entries = log.read(1, last);
        while let Some(entry) = entries.next().await {
            let entry = entry.unwrap();
            let records = whole.reader.take(entry.stream_seq, &entry.payload).unwrap();
            let batch = Batch::decode(&entry.payload).unwrap();
            whole.messages.push(Message { batch, counts: !records.is_empty() });
        }
        whole
    }

    /// What `devmesh replay --verify --json` says.
    pub(super) fn verify(&self) -> Value {
        let mut command = self.command();
        command.args(["replay", "--verify", "--json", "--mesh", MESH]);
        command.args(["--nats-url", &self.urls()]);
        command.arg("--creds").arg(self.creds("replay", Role::Replay, Account::Core));
        command.arg("--state-dir").arg(self.dir.path().join("replay"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", output.status);
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

async fn start_servers(
    dir: &Path,
    trust: &Trust,
    count: usize,
    set: impl Fn(&mut ServerOptions),
) -> (Vec<Server>, Vec<ServerOptions>) {
    let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
    let (mut servers, mut all) = (Vec::new(), Vec::new());
    for (i, port) in ports.iter().enumerate() {
        let mut options = options(&dir.join(format!("s{i}")), trust).await;
        options.name = format!("s{i}");
        options.cluster = (count > 1).then(|| Cluster {
            name: MESH.to_owned(),
            host: "127.0.0.1".to_owned(),
            port: *port,
            routes: ports.iter().map(|p| format!("127.0.0.1:{p}")).collect(),
            secret: Some("s3cret".to_owned()),
        });
        set(&mut options);
        let server = server::start(&options).await.unwrap();
        // Whoever is connected comes back to the same port.
        options.port = server.port();
        servers.push(server);
        all.push(options);
    }
    (servers, all)
}

/// The state as the leader shows it.
pub(super) async fn state(client: &Client) -> Value {
    match client.query("state", json!({}), WITHIN).await.unwrap() {
        Outcome::Reply(Reply::Ok { result, .. }) => result,
        other => panic!("the state is not shown: {other:?}"),
    }
}

/// Who leads now.
pub(super) async fn lead(client: &Client) -> Lead {
    let shown = state(client).await;
    let node = shown["leader"].as_str().unwrap().to_owned();
    Lead { epoch: shown["epoch"].as_u64().unwrap(), node }
}

/// Who leads a later term than this.
pub(super) async fn next_lead(client: &Client, before: &Lead) -> Lead {
    let deadline = Instant::now() + WITHIN;
    loop {
        let now = lead(client).await;
        if now.epoch > before.epoch {
            return now;
        }
        assert!(Instant::now() < deadline, "still {now:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
