//! A mesh with its server, keys and streams, and connections that remember what was refused.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Client, Event};
use devmesh_bus::cred::{Account, Minted, Role, Trust};
use devmesh_bus::server::{self, Server, ServerOptions};
use devmesh_bus::{connect, provision};
use tempfile::TempDir;
use tokio::sync::Notify;

/// How long a condition may take to come about.
pub(crate) const WITHIN: Duration = Duration::from_secs(10);
/// Long enough for a message on loopback that is not meant to come.
pub(crate) const QUIET: Duration = Duration::from_millis(300);
/// What nobody may publish to; its refusal marks the end of a batch of attempts.
const SENTINEL: &str = "sentinel";

pub(crate) const MESH: &str = "my-mesh";

pub(crate) struct World {
    pub(crate) trust: Trust,
    pub(crate) server: Server,
    pub(crate) dir: TempDir,
}

/// The options of this world's server, for a start on the same store.
pub(crate) async fn options(dir: &Path, trust: &Trust) -> ServerOptions {
    let binary = server::fetch().await.unwrap();
    ServerOptions::new(binary, dir.join("nats"), trust.auth().unwrap())
}

impl World {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let trust = Trust::open_or_create(dir.path(), MESH).unwrap();
        let server = server::start(&options(dir.path(), &trust).await).await.unwrap();
        let world = Self { trust, server, dir };
        let limits = provision::Limits::default();
        let core = world.connect("admin", Role::Admin, Account::Core).await;
        provision::core(&core, MESH, &limits).await.unwrap();
        let side = world.connect("admin", Role::Admin, Account::Mesh).await;
        provision::mesh(&side, MESH, &limits).await.unwrap();
        world
    }

    pub(crate) fn mint(&self, name: &str, role: Role) -> Minted {
        self.trust.mint(name, role).unwrap()
    }

    pub(crate) async fn connect(&self, name: &str, role: Role, account: Account) -> Client {
        let minted = self.mint(name, role);
        connect::connect(self.server.url(), minted.file(account), name).await.unwrap()
    }

    pub(crate) async fn coordinator(&self) -> Client {
        self.connect("coordinator", Role::Coordinator, Account::Core).await
    }

    pub(crate) async fn agent(&self, name: &str) -> Client {
        self.connect(name, Role::Agent, Account::Mesh).await
    }

    pub(crate) async fn watched(&self, name: &str, role: Role, account: Account) -> Watched {
        let minted = self.mint(name, role);
        Watched::connect(self.server.url(), minted.file(account).unwrap(), name).await
    }
}

/// A connection that remembers what the server refused it.
pub(crate) struct Watched {
    pub(crate) client: Client,
    refused: Arc<Mutex<Vec<String>>>,
    news: Arc<Notify>,
}

impl Watched {
    pub(crate) async fn connect(url: &str, creds: &Path, name: &str) -> Self {
        let refused = Arc::new(Mutex::new(Vec::new()));
        let news = Arc::new(Notify::new());
        let (seen, bell) = (Arc::clone(&refused), Arc::clone(&news));
        let client = async_nats::ConnectOptions::with_credentials_file(creds)
            .await
            .unwrap()
            .custom_inbox_prefix(format!("_INBOX.{name}"))
            .event_callback(move |event| {
                if let Event::ServerError(error) = &event {
                    seen.lock().unwrap().push(error.to_string());
                    bell.notify_one();
                }
                async {}
            })
            .connect(url)
            .await
            .unwrap();
        Self { client, refused, news }
    }

    /// What the server refuses of a publish to each subject.
    pub(crate) async fn refused_publish(&self, subjects: &[String]) -> Vec<String> {
        for subject in subjects {
            self.client.publish(subject.clone(), "{}".into()).await.unwrap();
        }
        self.named("publish to", subjects).await
    }

    /// What the server refuses of a subscription to each subject.
    pub(crate) async fn refused_subscribe(&self, subjects: &[String]) -> Vec<String> {
        let mut open = Vec::new();
        for subject in subjects {
            open.push(self.client.subscribe(subject.clone()).await.unwrap());
        }
        self.named("subscription to", subjects).await
    }

    /// The server answers in order: once it has refused the sentinel it has judged all before it.
    async fn named(&self, what: &str, subjects: &[String]) -> Vec<String> {
        self.client.publish(SENTINEL, "".into()).await.unwrap();
        self.client.flush().await.unwrap();
        let judged = async {
            while !self.has("publish to", SENTINEL) {
                self.news.notified().await;
            }
        };
        tokio::time::timeout(WITHIN, judged).await.expect("the sentinel is refused");
        let refused = subjects.iter().filter(|s| self.has(what, s)).cloned().collect();
        self.refused.lock().unwrap().clear();
        refused
    }

    fn has(&self, what: &str, subject: &str) -> bool {
        let end = format!("{what} \"{subject}\"");
        self.refused
            .lock()
            .unwrap()
            .iter()
            .any(|text| text.to_lowercase().contains(&end.to_lowercase()))
    }
}

/// Asks until the answer is yes, or fails the test.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let asked = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(WITHIN, asked).await.is_ok(), "{what}: not within {WITHIN:?}");
}
