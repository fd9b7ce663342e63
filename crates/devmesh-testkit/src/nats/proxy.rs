//! A TCP proxy before a server: where a test loses acknowledgements and cuts connections.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does with what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Carries both ways.
    Open,
    /// Carries requests; what the server says is read and thrown away.
    Deaf,
    /// No connections: those that exist are closed, new ones too.
    Cut,
}

/// A proxy on a free port of loopback; gone when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Carries connections to `port` of loopback.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let mode = watch::Sender::new(Mode::Open);
        let accepting = tokio::spawn(accept(listener, port, mode.clone()));
        Self { address, mode, accepting }
    }

    /// `nats://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// From now on nothing that the server says arrives, on the connections there are.
    pub fn lose_answers(&self) {
        self.mode.send_replace(Mode::Deaf);
    }

    /// Closes all connections and refuses new ones.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Carries again. Connections from which answers were lost are closed: their bytes are no
    /// longer whole messages.
    pub fn heal(&self) {
        self.mode.send_replace(Mode::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.mode.send_replace(Mode::Cut);
    }
}

async fn accept(listener: TcpListener, port: u16, mode: watch::Sender<Mode>) {
    while let Ok((client, _)) = listener.accept().await {
        if *mode.borrow() == Mode::Cut {
            continue;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
        // Small messages, each waited for: no Nagle on either leg.
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let (client_read, client_write) = client.into_split();
        let (server_read, server_write) = server.into_split();
        tokio::spawn(carry(client_read, server_write, mode.subscribe(), false));
        tokio::spawn(carry(server_read, client_write, mode.subscribe(), true));
    }
}

/// Carries one direction until an end closes or the proxy is cut.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    is_answers: bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    let mut has_lost = false;
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Cut || (now == Mode::Open && has_lost) {
            return;
        }
        tokio::select! {
            changed = mode.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer) => {
                let Ok(count @ 1..) = read else { return };
                if is_answers && now == Mode::Deaf {
                    has_lost = true;
                } else if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
