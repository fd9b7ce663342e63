//! People and leases: every way in which a request can end.

use std::time::Duration;

use devmesh_bus::client::{Client, Outcome};
use devmesh_protocol::{ActorId, MeshId, Reply};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::demo::mesh::Mesh;
use crate::error::{Error, Result};

/// How long one answer may take, waits included.
const WITHIN: Duration = Duration::from_secs(30);

/// Somebody at the door.
#[derive(Clone)]
struct Person(std::sync::Arc<Client>);

pub(super) async fn play(mesh: &Mesh<'_>) -> Result<()> {
    let (ann, bob, cy) =
        (person(mesh, "ann").await?, person(mesh, "bob").await?, person(mesh, "cy").await?);
    waits(&ann, &bob, &cy).await?;
    conversions(&ann, &bob).await?;
    deadlock(&ann, &bob).await?;
    expiry(&ann, &bob).await?;
    ended_by_others(mesh, &ann, &bob).await
}

/// A refusal, then a queue of two behind a folder that is given back.
async fn waits(ann: &Person, bob: &Person, cy: &Person) -> Result<()> {
    let folder = ann.ok("lock.acquire", write(&["src/"])).await?;
    bob.refused("lock.acquire", write(&["src/money.sh"]), "LOCK_CONFLICT").await?;
    bob.refused("lock.acquire", waiting(&["src/money.sh"], 300), "LOCK_TIMEOUT").await?;
    let second = bob.spawn("lock.acquire", waiting(&["src/money.sh", "fruit.txt"], 20_000));
    ann.until_waiting(1).await?;
    let third = cy.spawn("lock.acquire", waiting(&["src/money.sh"], 20_000));
    ann.until_waiting(2).await?;
    ann.ok("lock.release", json!({ "leases": [lease(&folder)] })).await?;
    granted(second).await?;
    bob.ok("lock.release", json!({ "paths": ["src/money.sh", "fruit.txt"] })).await?;
    granted(third).await?;
    cy.ok("lock.release", json!({ "paths": ["src/money.sh"] })).await.map(drop)
}

/// A reader becomes a writer once the other reader is gone, and a reader again.
async fn conversions(ann: &Person, bob: &Person) -> Result<()> {
    let read = json!({ "paths": ["docs/"], "mode": "read", "reason": "a look around" });
    let own = ann.ok("lock.acquire", read.clone()).await?;
    bob.ok("lock.acquire", read).await?;
    let own = lease(&own);
    let convert = json!({ "lease": own, "mode": "write" });
    ann.refused("lock.convert", convert, "LOCK_CONFLICT").await?;
    let convert = json!({ "lease": own, "mode": "write", "wait_ms": 20_000 });
    let converted = ann.spawn("lock.convert", convert);
    bob.until_waiting(1).await?;
    bob.ok("lock.release", json!({ "paths": ["docs/"] })).await?;
    granted(converted).await?;
    ann.ok("lock.renew", json!({ "ttl_ms": 60_000 })).await?;
    ann.ok("lock.release", json!({ "paths": ["docs/"] })).await.map(drop)
}

/// Each holds what the other asks for: the second of them is refused.
async fn deadlock(ann: &Person, bob: &Person) -> Result<()> {
    ann.ok("lock.acquire", write(&["a.txt"])).await?;
    bob.ok("lock.acquire", write(&["b.txt"])).await?;
    let waits = ann.spawn("lock.acquire", waiting(&["b.txt"], 20_000));
    bob.until_waiting(1).await?;
    bob.refused("lock.acquire", waiting(&["a.txt"], 20_000), "LOCK_DEADLOCK").await?;
    bob.ok("lock.release", json!({ "paths": ["b.txt"] })).await?;
    granted(waits).await?;
    ann.ok("lock.release", json!({ "paths": ["a.txt", "b.txt"] })).await.map(drop)
}

/// A lease that nobody renews ends by itself, and whoever waited has it.
async fn expiry(ann: &Person, bob: &Person) -> Result<()> {
    let short = json!({ "paths": ["CHANGELOG.md"], "mode": "write", "ttl_ms": 800 });
    ann.ok("lock.acquire", short).await?;
    granted(bob.spawn("lock.acquire", waiting(&["CHANGELOG.md"], 20_000))).await
}

/// A lease that an administrator ends, and a wait that is withdrawn.
async fn ended_by_others(mesh: &Mesh<'_>, ann: &Person, bob: &Person) -> Result<()> {
    let owner = connected(mesh, "visitor").await?;
    let id = devmesh_bus::client::mint();
    let mut body = waiting(&["CHANGELOG.md"], 20_000);
    body["id"] = json!(id);
    let waits = ann.spawn("lock.acquire", body);
    bob.until_waiting(1).await?;
    ann.ok("lock.release", json!({ "ids": [id] })).await?;
    drop(waits.await);
    let held = bob.ok("lock.acquire", write(&["README.md"])).await?;
    let body = json!({ "lease": lease(&held), "reason": "its holder went home" });
    owner.ok("lock.break", body).await?;
    bob.refused("lock.release", json!({ "leases": [lease(&held)] }), "").await
}

fn write(paths: &[&str]) -> Value {
    json!({ "paths": paths, "mode": "write" })
}

fn waiting(paths: &[&str], ms: u64) -> Value {
    json!({ "paths": paths, "mode": "write", "wait_ms": ms })
}

fn lease(answer: &Value) -> Value {
    answer["leases"][0]["lease"].clone()
}

async fn granted(waits: JoinHandle<Result<Value>>) -> Result<()> {
    waits.await.map_err(|error| unexpected("wait", &error.to_string()))?.map(drop)
}

async fn person(mesh: &Mesh<'_>, name: &str) -> Result<Person> {
    mesh.folder.devmesh(&["cred", "mint", name, "--role", "person"]).await?.succeeded()?;
    connected(mesh, name).await
}

async fn connected(mesh: &Mesh<'_>, name: &str) -> Result<Person> {
    let status: Value = mesh.json(&["status"]).await?;
    let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
    let bad = |why: &dyn std::fmt::Display| unexpected("connect", &why.to_string());
    let id = MeshId::new(&text("mesh")).map_err(|why| bad(&why))?;
    let actor = ActorId::new(name).map_err(|why| bad(&why))?;
    let creds = mesh.folder.repo().join(format!(".devmesh/creds/{name}.creds"));
    let client = Client::connect(&text("nats_url"), Some(&creds), &id, &actor).await;
    Ok(Person(std::sync::Arc::new(client.map_err(|why| bad(&why))?)))
}

fn unexpected(doing: &str, evidence: &str) -> Error {
    Error::Demo { doing: doing.to_owned(), evidence: evidence.to_owned() }
}

impl Person {
    async fn ask(&self, verb: &str, body: Value) -> Result<Reply> {
        let answer = self.0.submit_body(verb, body, WITHIN).await;
        match answer.map_err(|error| unexpected(verb, &error.to_string()))? {
            Outcome::Reply(reply) => Ok(reply),
            Outcome::Unknown { why } => Err(unexpected(verb, &why.to_string())),
        }
    }

    async fn ok(&self, verb: &str, body: Value) -> Result<Value> {
        match self.ask(verb, body).await? {
            Reply::Ok { result, .. } => Ok(result),
            Reply::Err { error, .. } => Err(unexpected(verb, &error.to_string())),
        }
    }

    /// Does what must be refused, with this code or any.
    async fn refused(&self, verb: &str, body: Value, code: &str) -> Result<()> {
        match self.ask(verb, body).await? {
            Reply::Err { error, .. } if error.to_string().contains(code) => Ok(()),
            other => Err(unexpected(verb, &format!("{code} was expected: {other:?}"))),
        }
    }

    fn spawn(&self, verb: &'static str, body: Value) -> JoinHandle<Result<Value>> {
        let own = self.clone();
        tokio::spawn(async move { own.ok(verb, body).await })
    }

    /// Waits until so many requests wait.
    async fn until_waiting(&self, count: usize) -> Result<()> {
        let deadline = std::time::Instant::now() + WITHIN;
        while std::time::Instant::now() < deadline {
            let answer = self.0.query("state", json!({}), WITHIN).await;
            if let Ok(Outcome::Reply(Reply::Ok { result, .. })) = answer
                && result["waiters"] == count
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(unexpected("see requests wait", &format!("{count} were expected")))
    }
}
