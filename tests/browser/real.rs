//! The dashboard as `devmesh up` runs it: its own credential's two halves, a person's for what is
//! clicked, a real server and coordinator; and the bus away for a while.

use std::time::Duration;

use devmesh_bus::client::{Client, Outcome};
use devmesh_bus::cred::{Account, Role, Trust};
use devmesh_bus::server::{self, ServerOptions};
use devmesh_bus::{connect, provision};
use devmesh_protocol::{ActorId, MeshId, Reply};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_util::sync::CancellationToken;

const WITHIN: Duration = Duration::from_secs(30);
const MESH: &str = "my-mesh";

type Socket = WebSocketStream<TcpStream>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_a_real_mesh_through_a_restart_of_its_bus() {
    let dir = tempfile::tempdir().unwrap();
    let trust = Trust::open_or_create(dir.path(), MESH).unwrap();
    let binary = server::fetch().await.unwrap();
    let mut options = ServerOptions::new(binary, dir.path().join("nats"), trust.auth().unwrap());
    options.port = devmesh_testkit::nats::free_port();
    let bus = server::start(&options).await.unwrap();
    let url = bus.url().to_owned();
    prepare(&trust, &url).await;
    let stop = CancellationToken::new();
    let mesh = MeshId::new(MESH).unwrap();
    let creds = |name: &str, role, account| {
        trust.mint(name, role).unwrap().file(account).unwrap().to_owned()
    };
    let coordinator = tokio::spawn(devmesh_coordinator::run(
        devmesh_coordinator::Args {
            nats_url: url.clone(),
            creds: Some(creds("coordinator", Role::Coordinator, Account::Core)),
            mesh: mesh.clone(),
            node: Some("here".to_owned()),
            state_dir: Some(dir.path().join("coordinator")),
            store_dir: None,
            trust_everybody: false,
        },
        stop.clone(),
    ));
    let admin = ActorId::admin();
    let file = creds("admin", Role::Admin, Account::Mesh);
    let admin = Client::connect(&url, Some(&file), &mesh, &admin).await.unwrap();
    ok(&admin, "actor.add", json!({ "actor": "alice", "role": "person" })).await;

    let (tell, bound) = oneshot::channel();
    let args = args(&url, &creds);
    let token_file = dir.path().join("dashboard.secret");
    let args = devmesh_dashboard::Args { token_file: Some(token_file.clone()), ..args };
    let dashboard = tokio::spawn(devmesh_dashboard::run(args, tell, stop.clone()));
    let bound = timeout(WITHIN, bound).await.unwrap().unwrap();
    let link = devmesh_dashboard::sign_in_link(&bound.url, &token_file).unwrap();
    let mut page = open(&bound.url, &link).await;
    page.send(Message::text(json!({ "t": "hello" }).to_string())).await.unwrap();
    find(&mut page, |frame| frame["t"] == "snapshot").await;

    let reply = click(&mut page, 1, "repo.add", json!({ "name": "app", "path": "/a" })).await;
    assert_eq!(reply["error"]["code"], "UNKNOWN_VERB", "{reply}");
    ok(&admin, "repo.add", json!({ "name": "app", "path": "/srv/app" })).await;
    let body = json!({ "title": "tabs", "prompt": "All of them.\nEverywhere." });
    let reply = click(&mut page, 2, "task.add", body).await;
    assert_eq!(reply["ok"], true, "{reply}");
    let row = task(&mut page, "tabs").await;
    assert_eq!((&row["by"], &row["state"]), (&json!("alice"), &json!("queued")));
    let ask = json!({ "t": "ask", "n": 3, "what": "task", "body": { "task": "t-1" } });
    page.send(Message::text(ask.to_string())).await.unwrap();
    let full = find(&mut page, |frame| frame["n"] == 3).await;
    assert_eq!(full["reply"]["result"]["prompt"], "All of them.\nEverywhere.");

    bus.stop().await.unwrap();
    let bus = server::start(&options).await.unwrap();
    assert_eq!(bus.url(), url);
    ok(&admin, "task.add", json!({ "title": "after" })).await;
    task(&mut page, "after").await;

    stop.cancel();
    timeout(WITHIN, dashboard).await.unwrap().unwrap().unwrap();
    timeout(WITHIN, coordinator).await.unwrap().unwrap().unwrap();
    bus.stop().await.unwrap();
}

/// What `devmesh up` starts it with, but for the port.
fn args(
    url: &str,
    creds: &impl Fn(&str, Role, Account) -> std::path::PathBuf,
) -> devmesh_dashboard::Args {
    devmesh_dashboard::Args {
        nats_url: url.to_owned(),
        creds: Some(creds("dashboard", Role::Dashboard, Account::Mesh)),
        actor: ActorId::new("dashboard").unwrap(),
        person_creds: Some(creds("alice", Role::Person, Account::Mesh)),
        person: Some(ActorId::new("alice").unwrap()),
        mesh: MeshId::new(MESH).unwrap(),
        listen: Some("127.0.0.1:0".parse().unwrap()),
        host_names: Vec::new(),
        token_file: None,
    }
}

async fn prepare(trust: &Trust, url: &str) {
    let minted = trust.mint("admin", Role::Admin).unwrap();
    let limits = provision::Limits::default();
    let core = connect::connect(url, minted.file(Account::Core), "admin").await.unwrap();
    provision::core(&core, MESH, &limits).await.unwrap();
    let side = connect::connect(url, minted.file(Account::Mesh), "admin").await.unwrap();
    provision::mesh(&side, MESH, &limits).await.unwrap();
}

async fn ok(client: &Client, verb: &str, body: Value) {
    let outcome = client.submit_body(verb, body, WITHIN).await.unwrap();
    assert!(matches!(outcome, Outcome::Reply(Reply::Ok { .. })), "{outcome:?}");
}

/// Signs in with a link and opens a socket.
async fn open(url: &str, link: &str) -> Socket {
    let host = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let path = link.strip_prefix(url).unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let request = Request::builder()
        .uri(format!("ws://{host}/ws"))
        .header("Host", host)
        .header("Origin", format!("http://{host}"))
        .header("Cookie", cookie.split(';').next().unwrap())
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap();
    let stream = TcpStream::connect(host).await.unwrap();
    tokio_tungstenite::client_async(request, stream).await.unwrap().0
}

async fn find(page: &mut Socket, wanted: impl Fn(&Value) -> bool) -> Value {
    let found = async {
        loop {
            if let Message::Text(text) = page.next().await.unwrap().unwrap() {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if wanted(&frame) {
                    return frame;
                }
            }
        }
    };
    timeout(WITHIN, found).await.expect("the frame in time")
}

/// Sends a command, and returns its answer. The row it leads to comes after it or is asked for.
async fn click(page: &mut Socket, n: u64, verb: &str, body: Value) -> Value {
    let said = json!({ "t": "do", "n": n, "verb": verb, "body": body });
    page.send(Message::text(said.to_string())).await.unwrap();
    find(page, |frame| frame["n"] == n).await["reply"].clone()
}

/// The row of a task by its title, as a page that asks anew has it.
async fn task(page: &mut Socket, title: &str) -> Value {
    let has = |frame: &Value| {
        let rows = frame["put"]["tasks"].as_array().into_iter().flatten();
        rows.into_iter().find(|row| row["title"] == title).cloned()
    };
    page.send(Message::text(json!({ "t": "hello" }).to_string())).await.unwrap();
    has(&find(page, |frame| has(frame).is_some()).await).unwrap()
}
