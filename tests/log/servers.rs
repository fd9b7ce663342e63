//! The worlds of real servers: one, and a cluster of three.

use std::time::Duration;

use async_nats::Client;
use devmesh_bus::log::Open;
use devmesh_bus::log::nats::{NatsLog, NatsOpen};
use devmesh_protocol::{MeshId, subject};
use devmesh_testkit::nats::{Proxy, TestCluster, TestServer, stream_config};
use futures::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::world::{Cluster, RealServer, World};

const SUBJECT: &str = "devmesh.t.log";

/// Clusters at a time: each is three processes that vote against deadlines.
static CLUSTERS: Semaphore = Semaphore::const_new(2);
/// Single servers at a time.
static SERVERS: Semaphore = Semaphore::const_new(6);

/// One server, R1.
pub(super) type One = Servers<1>;
/// Three servers, R3.
pub(super) type Three = Servers<3>;

fn mesh(name: &str) -> MeshId {
    MeshId::new(name).expect("a mesh's name")
}

/// `N` servers; handles reach the first of them through a proxy.
pub(super) struct Servers<const N: usize> {
    cluster: TestCluster,
    proxy: Proxy,
    kept: Vec<TempDir>,
    follower: usize,
    clients: Vec<Client>,
    _turn: SemaphorePermit<'static>,
}

impl<const N: usize> Servers<N> {
    fn name() -> String {
        subject::log_stream(&mesh("t"))
    }

    fn at(&self, index: usize) -> NatsOpen {
        NatsOpen::plain(&self.cluster.servers[index].url(), &mesh("t"))
    }

    async fn api(&self, subject: &str, body: &Value) -> Value {
        let server = self.cluster.running().next().expect("a running server");
        server.api(&format!("{subject}.{}", Self::name()), body).await
    }

    async fn update(&self, config: Value) {
        let mut body = stream_config(&Self::name(), &[SUBJECT], config);
        body["num_replicas"] = json!(N);
        self.api("STREAM.UPDATE", &body).await;
    }

    /// Stops all, does something to each store, starts all.
    async fn while_stopped(&mut self, mut act: impl FnMut(usize, &mut TestServer)) {
        self.cluster.servers.iter_mut().for_each(TestServer::kill);
        for (index, server) in self.cluster.servers.iter_mut().enumerate() {
            act(index, server);
        }
        for server in &mut self.cluster.servers {
            server.run().await;
        }
        self.cluster.ready().await;
        self.cluster.current(&Self::name()).await;
    }
}

impl<const N: usize> World for Servers<N> {
    type Open = NatsOpen;
    type Log = NatsLog;

    async fn start() -> Self {
        let turns = if N == 1 { &SERVERS } else { &CLUSTERS };
        let turn = turns.acquire().await.expect("never closed");
        let cluster = TestCluster::start(N).await;
        cluster.stream(&Self::name(), &[SUBJECT], json!({})).await;
        let proxy = Proxy::start(cluster.servers[0].port()).await;
        let (kept, clients) = (Vec::new(), Vec::new());
        Self { cluster, proxy, kept, follower: 0, clients, _turn: turn }
    }

    fn opener(&self) -> NatsOpen {
        NatsOpen::plain(&self.proxy.url(), &mesh("t"))
    }

    async fn open_beside(&self) -> NatsLog {
        self.at(N - 1).open().await.unwrap()
    }

    async fn lose_answers(&mut self) {
        self.proxy.lose_answers();
    }

    async fn hold_appends(&mut self, log: &NatsLog) {
        self.proxy.cut();
        // Only what is appended after the client noticed waits in its queue; what was written to
        // the dead connection is lost.
        let gone = async {
            while log.is_connected() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(10), gone).await.expect("the client notices");
    }

    async fn heal(&mut self) {
        self.proxy.heal();
    }

    async fn restart(&mut self) {
        self.cluster.servers[0].restart().await;
        self.cluster.ready().await;
        self.cluster.current(&Self::name()).await;
    }

    async fn lose_consumers(&mut self) {
        let names = self.api("CONSUMER.NAMES", &json!({})).await;
        for name in names["consumers"].as_array().into_iter().flatten() {
            let name = name.as_str().expect("a name");
            let server = self.cluster.running().next().expect("a running server");
            let subject = format!("CONSUMER.DELETE.{}.{name}", Self::name());
            server.api(&subject, &json!({})).await;
        }
    }

    async fn keep(&mut self) {
        let mut kept = Vec::new();
        self.while_stopped(|_, server| kept.push(server.copy_store())).await;
        self.kept = kept;
    }

    async fn roll_back(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        self.while_stopped(|index, server| server.put_store(&kept[index])).await;
    }

    async fn make_anew(&mut self) {
        self.api("STREAM.DELETE", &json!({})).await;
        self.cluster.stream(&Self::name(), &[SUBJECT], json!({})).await;
    }

    async fn remove(&mut self, stream_seq: u64) {
        self.api("STREAM.MSG.DELETE", &json!({ "seq": stream_seq })).await;
        self.cluster.current(&Self::name()).await;
    }

    async fn fill(&mut self, is_full: bool) {
        let max = if is_full { json!(2) } else { json!(-1) };
        self.update(json!({ "max_msgs": max, "discard": "new" })).await;
    }

    async fn without_stream(&mut self) -> NatsLog {
        NatsOpen::plain(&self.proxy.url(), &mesh("nowhere")).open().await.unwrap()
    }

    async fn forged(&mut self, seq: u64, is_duplicate: bool) -> NatsLog {
        let client = async_nats::connect(self.cluster.servers[0].url()).await.unwrap();
        let mut appends = client.subscribe("devmesh.forged.log").await.unwrap();
        client.flush().await.unwrap();
        let forger = client.clone();
        tokio::spawn(async move {
            while let Some(append) = appends.next().await {
                let stream = subject::log_stream(&mesh("forged"));
                let ack = json!({ "stream": stream, "seq": seq, "duplicate": is_duplicate });
                let reply = append.reply.expect("a reply subject");
                forger.publish(reply, ack.to_string().into()).await.unwrap();
            }
        });
        self.clients.push(client);
        NatsOpen::plain(&self.proxy.url(), &mesh("forged")).open().await.unwrap()
    }
}

impl<const N: usize> RealServer for Servers<N> {
    async fn kill_all(&mut self) {
        self.while_stopped(|_, _| {}).await;
    }
}

impl Cluster for Three {
    async fn open_any(&self) -> NatsLog {
        NatsOpen::plain(&self.cluster.urls(), &mesh("t")).open().await.unwrap()
    }

    async fn kill_leader(&mut self) {
        let leader = self.cluster.leader(&Self::name()).await;
        self.cluster.servers[leader].kill();
    }

    async fn open_at_follower(&mut self) -> NatsLog {
        self.follower = (self.cluster.leader(&Self::name()).await + 1) % 3;
        self.at(self.follower).open().await.unwrap()
    }

    async fn open_at_leader(&mut self) -> NatsLog {
        let leader = self.cluster.leader(&Self::name()).await;
        self.at(leader).open().await.unwrap()
    }

    async fn freeze_follower(&mut self) {
        self.cluster.servers[self.follower].freeze();
    }

    async fn thaw_follower(&mut self) {
        self.cluster.servers[self.follower].thaw();
    }
}
