//! Servers that form one cluster on loopback.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{TestServer, WAIT_MS_MAX, free_port, wire};

/// A cluster; each server is a [`TestServer`] that can be killed and started again.
#[derive(Debug)]
pub struct TestCluster {
    /// The servers, `n1` first.
    pub servers: Vec<TestServer>,
}

impl TestCluster {
    /// Starts `size` servers that know each other and waits until JetStream has a leader; a single
    /// one stands alone.
    /// Clients are not told of the other servers, so that a test decides which one they use.
    pub async fn start(size: usize) -> Self {
        if size == 1 {
            return Self { servers: vec![TestServer::start().await] };
        }
        let ports: Vec<u16> = (0..size).map(|_| free_port()).collect();
        let routes = ports.iter().map(|port| format!("nats://127.0.0.1:{port}"));
        let routes = routes.collect::<Vec<_>>().join(", ");
        let mut servers = Vec::new();
        for (number, port) in (1..).zip(&ports) {
            let extra = format!(
                "cluster {{ name: t, listen: \"127.0.0.1:{port}\", no_advertise: true, \
                 routes: [{routes}] }}"
            );
            servers.push(TestServer::prepare(&format!("n{number}"), extra));
        }
        for server in &mut servers {
            server.run().await;
        }
        let cluster = Self { servers };
        cluster.ready().await;
        cluster
    }

    /// Waits until every running server reaches JetStream's leader.
    pub async fn ready(&self) {
        for server in self.running() {
            server.api("INFO", &Value::Null).await;
        }
    }

    /// The URLs of all servers, separated by commas.
    #[must_use]
    pub fn urls(&self) -> String {
        self.servers.iter().map(TestServer::url).collect::<Vec<_>>().join(",")
    }

    /// The servers that run.
    pub fn running(&self) -> impl Iterator<Item = &TestServer> {
        self.servers.iter().filter(|server| server.is_running())
    }

    /// Makes a stream with a replica on each server and waits until all are current.
    pub async fn stream(&self, name: &str, subjects: &[&str], mut config: Value) {
        config["num_replicas"] = json!(self.servers.len());
        let body = super::stream_config(name, subjects, config);
        let any = self.running().next().expect("a running server");
        any.api(&format!("STREAM.CREATE.{name}"), &body).await;
        self.current(name).await;
    }

    /// Waits until the stream has a leader and every replica has all of it.
    ///
    /// # Panics
    /// If that does not come about within [`WAIT_MS_MAX`].
    pub async fn current(&self, stream: &str) {
        if self.servers.len() == 1 {
            return;
        }
        let deadline = Instant::now() + Duration::from_millis(WAIT_MS_MAX);
        loop {
            let info = self.info(stream).await;
            let replicas = info["cluster"]["replicas"].as_array().cloned().unwrap_or_default();
            let is_current = |replica: &Value| {
                replica["current"] == true && replica["offline"] != true && replica["lag"].is_null()
            };
            if info["cluster"]["leader"].is_string() && replicas.iter().all(is_current) {
                return;
            }
            assert!(Instant::now() < deadline, "{stream} does not settle: {info}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The index of the server that leads `stream`.
    ///
    /// # Panics
    /// If there is no leader within [`WAIT_MS_MAX`].
    pub async fn leader(&self, stream: &str) -> usize {
        let deadline = Instant::now() + Duration::from_millis(WAIT_MS_MAX);
        loop {
            let info = self.info(stream).await;
            let leader = info["cluster"]["leader"].as_str().unwrap_or_default();
            let found = self.servers.iter().position(|server| server.name == leader);
            if let Some(index) = found.filter(|index| self.servers[*index].is_running()) {
                return index;
            }
            assert!(Instant::now() < deadline, "{stream} has no leader: {info}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn info(&self, stream: &str) -> Value {
        for server in self.running() {
            let subject = format!("$JS.API.STREAM.INFO.{stream}");
            let answer = wire::request(&server.url(), &subject, b"").await;
            if let Some(info) = answer.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                return info;
            }
        }
        Value::Null
    }
}
