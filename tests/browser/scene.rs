//! A mesh at work, with a dashboard on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use devmesh_bus::client::Outcome;
use devmesh_dashboard::effect::Request;
use devmesh_dashboard::{Bound, Parts, Secret, serve};
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::{Bid, Capacity};
use devmesh_protocol::{ActorId, HostId, MeshId, Reply};
use devmesh_testkit::desk::Desk;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A dashboard that listens; it ends when this is dropped.
pub(super) struct Dashboard {
    pub(super) bound: Bound,
    pub(super) address: SocketAddr,
    _shutdown: DropGuard,
}

impl Dashboard {
    pub(super) async fn start(desk: &Desk, at: SocketAddr, secret: &Secret) -> Self {
        let behind = desk.clone();
        let ask = move |request| {
            let desk = behind.clone();
            let answer = async move {
                Ok(Outcome::Reply(match request {
                    Request::Command(command) => desk.submit(&command),
                    Request::Query { what, body } => desk.ask("alice", what, &body),
                }))
            };
            Box::pin(answer) as futures::future::BoxFuture<'static, _>
        };
        let listener = listen(at).await;
        let address = listener.local_addr().unwrap();
        let parts = Parts {
            log: desk.log(),
            ask: Arc::new(ask),
            mesh: MeshId::new("default").unwrap(),
            actor: ActorId::new("alice").unwrap(),
            listener,
            secret: secret.clone(),
            host_names: Vec::new(),
        };
        let shutdown = CancellationToken::new();
        let (tell, bound) = oneshot::channel();
        tokio::spawn(serve(parts, tell, shutdown.clone()));
        Self { bound: bound.await.unwrap(), address, _shutdown: shutdown.drop_guard() }
    }
}

/// The port is free again a moment after the last listener ended.
async fn listen(at: SocketAddr) -> TcpListener {
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        match TcpListener::bind(at).await {
            Ok(listener) => return listener,
            Err(error) if tokio::time::Instant::now() > until => panic!("{error}"),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    }
}

pub(super) fn say(desk: &Desk, actor: &str, verb: &str, body: Value) -> Value {
    match desk.say(actor, verb, body.clone()) {
        Reply::Ok { result, .. } => result,
        Reply::Err { error, .. } => panic!("{actor} {verb} {body}: {error}"),
    }
}

/// Two hosts, three agents, and tasks in every state that a person meets.
pub(super) fn play(desk: &Desk) {
    let verify = json!(["cargo test --workspace", "cargo clippy"]);
    let repo = json!({ "name": "parser", "path": "/home/alice/parser", "verify": verify });
    say(desk, "alice", "repo.add", repo);
    for (host, ram_mb, vram_mb) in [("laptop", 32_768, vec![]), ("tower", 131_072, vec![24_576])] {
        let capacity = Capacity { ram_mb, vram_mb, slots: 4 };
        let host = HostId::new(host).unwrap();
        desk.put_in(Internal::HostMeasured { host, capacity, report: None });
    }
    for (agent, tool, host) in [
        ("codex-1", "codex", "laptop"),
        ("claude-1", "claude", "laptop"),
        ("gemini-1", "gemini", "tower"),
    ] {
        let needs = json!({ "ram_mb": 2048, "slots": 1 });
        let body =
            json!({ "tool": tool, "host": host, "session": format!("s-{agent}"), "needs": needs });
        say(desk, agent, "agent.join", body);
    }
    work(desk);
    for (title, body) in [
        ("Explain the grammar in the README", json!({ "paths": ["README.md"], "priority": 3 })),
        ("Bench the lexer against the old one", json!({ "depends_on": ["t-1"], "priority": 4 })),
        ("Release notes for 0.4", json!({ "depends_on": ["t-2", "t-5"] })),
    ] {
        add(desk, title, body);
    }
    say(desk, "alice", "task.cancel", json!({ "task": "t-6", "reason": "not now" }));
}

/// One task in review, one that asks, one at work; a lease and somebody who waits for it.
fn work(desk: &Desk) {
    let task = add(
        desk,
        "Accept tabs between tokens",
        json!({
            "paths": ["src/lexer/"], "review": "person", "priority": 1,
            "prompt": "The lexer refuses tabs.\nMake it treat them as spaces, and add a test.",
        }),
    );
    let token = award(desk, &task, "codex-1");
    step(
        desk,
        "codex-1",
        "task.start",
        &task,
        token,
        json!({ "base_commit": "4f1c0de9a2b7".to_owned() + &"0".repeat(28) }),
    );
    let receipt = json!({ "tree": "9d2f1c77aa01".to_owned() + &"0".repeat(28), "verdict": "passed", "host": "laptop", "steps": [
        { "name": "test", "command": "cargo test --workspace", "exit": 0, "ms": 8123,
          "output": "0".repeat(64) }] });
    let verified =
        json!({ "receipt": receipt, "commit": "77aa01b3c4d5".to_owned() + &"0".repeat(28) });
    step(desk, "codex-1", "task.verified", &task, token, verified);
    let task = add(desk, "Recover from a missing brace", json!({ "paths": ["src/parser/"] }));
    let token = award(desk, &task, "claude-1");
    step(desk, "claude-1", "task.start", &task, token, json!({}));
    let body = json!({ "task": task, "question": "Warn, or fail?", "options": ["warn", "fail"], "session": "s-claude-1" });
    say(desk, "claude-1", "task.ask", body);
    let task = add(
        desk,
        "Name the token in every error",
        json!({ "paths": ["src/error.rs"], "priority": 0 }),
    );
    let token = award(desk, &task, "gemini-1");
    step(desk, "gemini-1", "task.start", &task, token, json!({}));
    let lock = json!({ "paths": ["docs/"], "mode": "write", "reason": "I edit this by hand" });
    say(desk, "alice", "lock.acquire", lock);
    let wait = json!({ "paths": ["docs/errors.md"], "mode": "write", "wait_ms": 600_000,
        "session": "s-gemini-1", "task": task });
    desk.say("gemini-1", "lock.acquire", wait);
}

fn add(desk: &Desk, title: &str, mut body: Value) -> String {
    body["title"] = title.into();
    let result = say(desk, "alice", "task.add", body);
    let task = result["task"]["task"].as_str().or(result["task"].as_str());
    task.unwrap_or_else(|| panic!("{result}")).to_owned()
}

/// Closes the auction of a task with one bid, and returns the attempt's token.
fn award(desk: &Desk, task: &str, agent: &str) -> u64 {
    let actor = ActorId::new(agent).unwrap();
    let score = BTreeMap::from([("fit".to_owned(), 7)]);
    let bids = vec![Bid { actor, score, total: 7, declined: None }];
    desk.put_in(Internal::AuctionClose { task: task.parse().unwrap(), bids });
    let Reply::Ok { result, .. } = desk.ask("alice", "task", &json!({ "task": task })) else {
        panic!("{task} is gone")
    };
    let attempt = &result["attempt"];
    assert_eq!(attempt["actor"], agent, "{result}");
    attempt["token"].as_u64().unwrap()
}

fn step(desk: &Desk, agent: &str, verb: &str, task: &str, token: u64, mut body: Value) {
    body["task"] = task.into();
    body["attempt"] = 1.into();
    body["token"] = token.into();
    body["session"] = format!("s-{agent}").into();
    say(desk, agent, verb, body);
}
