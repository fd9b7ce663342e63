//! A real nats-server for a test: free port, own store, ended when the value is dropped.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use devmesh_bus::server::find;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

mod cluster;
pub mod proxy;
pub mod wire;

pub use cluster::TestCluster;
pub use proxy::Proxy;

/// How long a server may take to start.
const START_MS_MAX: u64 = 10_000;
/// How long a test waits for a state of the server to come about.
pub const WAIT_MS_MAX: u64 = 30_000;

/// One nats-server with JetStream, without credentials, its store in a temporary folder.
#[derive(Debug)]
pub struct TestServer {
    dir: TempDir,
    name: String,
    /// Lines of the configuration that differ from server to server.
    extra: String,
    port: Option<u16>,
    child: Option<Child>,
}

/// The nats-server binary that devmesh itself would run.
///
/// # Panics
/// If there is none: without it none of these tests means anything.
pub async fn binary() -> PathBuf {
    find(None).await.expect("a nats-server: `cargo xtask setup` fetches one").path
}

impl TestServer {
    /// Starts one server. An acknowledged message is on disk.
    pub async fn start() -> Self {
        let mut server = Self::prepare("n1", String::new());
        server.run().await;
        server
    }

    fn prepare(name: &str, extra: String) -> Self {
        let dir = tempfile::Builder::new().prefix("devmesh-nats-").tempdir().expect("a folder");
        Self { dir, name: name.to_owned(), extra, port: None, child: None }
    }

    /// `nats://127.0.0.1:PORT`; the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }

    /// The port that clients connect to.
    ///
    /// # Panics
    /// If the server was never started.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.expect("a started server")
    }

    /// Its process id.
    ///
    /// # Panics
    /// If the server is stopped.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running server").id()
    }

    /// Whether it was started and not stopped.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// The folder of its store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Ends it with SIGKILL, as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends it with SIGTERM and waits until it is gone.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(&child, Signal::SIGTERM);
            let _ = child.wait();
        }
    }

    /// Starts it again on the same store and port.
    pub async fn run(&mut self) {
        self.kill();
        let ports = self.dir.path().join("ports");
        let _ = fs::remove_dir_all(&ports);
        fs::create_dir_all(&ports).expect("a folder for the ports file");
        let config = self.dir.path().join("nats.conf");
        fs::write(&config, self.config(&ports)).expect("the configuration written");
        let log = fs::File::create(self.dir.path().join("nats.log")).expect("a log file");
        let child = Command::new(binary().await)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log file twice"))
            .stderr(log)
            .spawn()
            .expect("nats-server started");
        self.child = Some(child);
        self.port = Some(self.wait_for_port(&ports).await);
    }

    /// SIGKILL and start again.
    pub async fn restart(&mut self) {
        self.kill();
        self.run().await;
    }

    /// Stops the process where it stands (SIGSTOP).
    pub fn freeze(&self) {
        signal(self.child.as_ref().expect("a running server"), Signal::SIGSTOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        signal(self.child.as_ref().expect("a running server"), Signal::SIGCONT);
    }

    /// What it logged since its last start.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("nats.log")).unwrap_or_default()
    }

    /// Copies its store; stop it first.
    #[must_use]
    pub fn copy_store(&self) -> TempDir {
        let copy = tempfile::tempdir().expect("a folder");
        copy_tree(&self.store(), copy.path());
        copy
    }

    /// Puts a copied store in the place of its own; stop it first.
    pub fn put_store(&self, copy: &TempDir) {
        fs::remove_dir_all(self.store()).expect("the store removed");
        copy_tree(copy.path(), &self.store());
    }

    /// One request of the JetStream API, retried until it is answered without an error.
    pub async fn api(&self, subject: &str, body: &Value) -> Value {
        wire::api(&self.url(), subject, body).await
    }

    /// Makes a stream that holds `subjects`, with the rest of the configuration from `config`.
    pub async fn stream(&self, name: &str, subjects: &[&str], config: Value) -> Value {
        let body = stream_config(name, subjects, config);
        self.api(&format!("STREAM.CREATE.{name}"), &body).await
    }

    fn config(&self, ports: &Path) -> String {
        let port = self.port.map_or(-1, i32::from);
        let (name, extra) = (&self.name, &self.extra);
        let (ports, store) = (ports.display(), self.store());
        let store = store.display();
        format!(
            "listen: \"127.0.0.1:{port}\"\nserver_name: {name}\nports_file_dir: \"{ports}\"\n\
             jetstream {{ store_dir: \"{store}\", sync_interval: always, max_file_store: 4G }}\n\
             {extra}\n"
        )
    }

    async fn wait_for_port(&mut self, ports: &Path) -> u16 {
        for _ in 0..START_MS_MAX / 5 {
            if let Some(port) = port_in(ports) {
                return port;
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "nats-server ended ({ended:?}):\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nats-server did not start in {START_MS_MAX} ms:\n{}", self.log());
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A stream's configuration: file storage, no limits, and what `config` adds or replaces.
#[must_use]
pub fn stream_config(name: &str, subjects: &[&str], config: Value) -> Value {
    let mut body = json!({
        "name": name, "subjects": subjects, "storage": "file", "retention": "limits",
        "discard": "old", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0,
        "max_msg_size": 1024 * 1024, "num_replicas": 1, "duplicate_window": 100_000_000,
    });
    if let (Value::Object(body), Value::Object(config)) = (&mut body, config) {
        body.extend(config);
    }
    body
}

/// Ports that no system gives out by itself: neither to a listener that takes any, nor to the
/// near end of a connection.
const PORTS: std::ops::Range<u32> = 20_000..32_000;

/// A port that was free a moment ago, for what cannot choose its own; another one each time.
///
/// # Panics
/// If this host has none.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let places = PORTS.end - PORTS.start;
    // Each test is a process of its own and begins elsewhere.
    let begin = std::process::id().wrapping_mul(97);
    for _ in 0..places {
        let place = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % places;
        let port = u16::try_from(PORTS.start + place).expect("the range is one of ports");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {} to {} is free", PORTS.start, PORTS.end);
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a process id");
    // It may be gone already; then the test that sent the signal sees that soon enough.
    let _ = kill(Pid::from_raw(pid), signal);
}

/// The client port in the ports file, once it is written whole.
fn port_in(ports: &Path) -> Option<u16> {
    let file = fs::read_dir(ports).ok()?.flatten().next()?.path();
    let ports: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let url = ports["nats"][0].as_str()?;
    url.rsplit(':').next()?.parse().ok()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder to copy").flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &target);
        } else {
            fs::copy(&source, &target).expect("a file copied");
        }
    }
}
