//! A dashboard that listens on a free port, a mesh behind it, and a client that is no browser.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use devmesh_bus::client::Outcome;
use devmesh_dashboard::effect::{Ask, Request};
use devmesh_dashboard::{Bound, Parts, Secret, serve};
use devmesh_protocol::{ActorId, MeshId};
use devmesh_testkit::desk::Desk;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::Request as Handshake;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::{CancellationToken, DropGuard};

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) desk: Desk,
    pub(crate) address: SocketAddr,
    pub(crate) bound: Bound,
    pub(crate) cookie: String,
    _shutdown: DropGuard,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A way to the desk: what a coordinator would answer.
pub(crate) fn over(desk: &Desk) -> Ask {
    let desk = desk.clone();
    Arc::new(move |request| {
        let desk = desk.clone();
        Box::pin(async move {
            Ok(Outcome::Reply(match request {
                Request::Command(command) => desk.submit(&command),
                Request::Query { what, body } => desk.ask("alice", what, &body),
            }))
        })
    })
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_on(Desk::new()).await
    }

    pub(crate) async fn start_on(desk: Desk) -> Self {
        let ask = over(&desk);
        Self::start_with(desk, ask).await
    }

    pub(crate) async fn start_with(desk: Desk, ask: Ask) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let parts = Parts {
            log: desk.log(),
            ask,
            mesh: MeshId::new("default").unwrap(),
            actor: ActorId::new("alice").unwrap(),
            listener,
            secret: Secret::random().unwrap(),
            host_names: Vec::new(),
        };
        let shutdown = CancellationToken::new();
        let (tell, bound) = oneshot::channel();
        tokio::spawn(serve(parts, tell, shutdown.clone()));
        let bound = bound.await.unwrap();
        let mut world =
            Self { desk, address, bound, cookie: String::new(), _shutdown: shutdown.drop_guard() };
        let link = world.bound.sign_in.clone();
        let path = link.strip_prefix(world.bound.url.as_str()).unwrap();
        let answer = world.get(&format!("/{path}")).await;
        assert_eq!(answer.status, 303, "{}", answer.head);
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        world.cookie = cookie.split(';').next().unwrap().to_owned();
        world
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// A request, byte by byte as given, on a connection of its own.
    pub(crate) async fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        let _ = read.expect("an answer in time");
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// A request with these headers and no others but `Connection`.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.raw(&format!("{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let (host, cookie) = (self.host(), self.cookie.clone());
        self.send("GET", path, &[("Host", &host), ("Cookie", &cookie)]).await
    }

    /// Opens a socket as a page of ours does; `change` makes it another's.
    pub(crate) async fn dial(
        &self,
        change: impl FnOnce(&mut Handshake),
    ) -> Result<Socket, StatusCode> {
        let host = self.host();
        let mut request = Handshake::builder()
            .uri(format!("ws://{host}/ws"))
            .header("Host", &host)
            .header("Origin", format!("http://{host}"))
            .header("Cookie", &self.cookie)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(())
            .unwrap();
        change(&mut request);
        let stream = TcpStream::connect(self.address).await.unwrap();
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let dialed =
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
        match dialed {
            Ok((stream, _)) => Ok(Socket { stream, held: VecDeque::new() }),
            Err(tungstenite::Error::Http(answer)) => Err(answer.status()),
            Err(error) => panic!("{error}"),
        }
    }

    /// A page that said hello and has its snapshot.
    pub(crate) async fn page(&self) -> (Socket, Value) {
        let mut socket = self.dial(|_| {}).await.unwrap();
        socket.say(&json!({ "t": "hello" })).await;
        let snapshot = socket.until("snapshot").await;
        (socket, snapshot)
    }
}

pub(crate) struct Socket {
    pub(crate) stream: WebSocketStream<TcpStream>,
    /// Frames that came before an answer that was waited for.
    held: VecDeque<Value>,
}

impl Socket {
    pub(crate) async fn say(&mut self, value: &Value) {
        self.text(&value.to_string()).await;
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// The next frame; the close where that came.
    pub(crate) async fn next(&mut self) -> Result<Value, Option<CloseFrame>> {
        match self.held.pop_front() {
            Some(frame) => Ok(frame),
            None => timeout(PATIENCE, self.read()).await.expect("a frame in time"),
        }
    }

    async fn read(&mut self) -> Result<Value, Option<CloseFrame>> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The next frame of that kind; others are passed over.
    pub(crate) async fn until(&mut self, kind: &str) -> Value {
        self.find(|frame| frame["t"] == kind).await
    }

    /// The next frame that is wanted.
    pub(crate) async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let frame = self.next().await.expect("the socket stays open");
                if wanted(&frame) {
                    return frame;
                }
            }
        };
        timeout(PATIENCE, found).await.expect("the frame in time")
    }

    /// Reads to the end; the close frame, where one came.
    pub(crate) async fn end(&mut self) -> Option<CloseFrame> {
        loop {
            if let Err(close) = self.next().await {
                return close;
            }
        }
    }

    /// Sends a command and waits for what becomes of it; what comes before that is kept.
    pub(crate) async fn command(&mut self, n: u64, verb: &str, body: Value) -> Value {
        self.say(&json!({ "t": "do", "n": n, "verb": verb, "body": body })).await;
        let mut before = VecDeque::new();
        let reply = loop {
            let frame = self.next().await.expect("the socket stays open");
            if frame["t"] == "reply" && frame["n"] == n {
                break frame;
            }
            before.push_back(frame);
        };
        before.append(&mut self.held);
        self.held = before;
        reply
    }
}

/// The rows of a part that a frame brings.
pub(crate) fn rows<'f>(frame: &'f Value, part: &str) -> &'f [Value] {
    frame["put"][part].as_array().map_or(&[], Vec::as_slice)
}
