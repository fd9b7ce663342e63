//! The listening end: handshakes, tells NATS clients from hosts, hands the former on to the bus.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use super::{ALPN, Authority, Served};
use crate::error::{Error, ErrorKind, Result};

/// How long the other end may take to reach us and to speak TLS.
pub(super) const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Connections at once, of all kinds.
const CONNECTIONS_MAX: usize = 4_096;
/// A pause where the system gives no connection, out of files for instance.
const PAUSE: Duration = Duration::from_millis(200);

/// Where a gate listens and what lies behind it.
#[derive(Debug, Clone)]
pub struct Place {
    /// The address to listen on, without brackets.
    pub host: String,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// `HOST:PORT` of the bus, on loopback.
    pub bus: String,
}

/// A gate that listens, and is not served yet.
pub struct Gate {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    bus: Arc<str>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("bus", &self.bus).finish_non_exhaustive()
    }
}

/// Listens with a fresh certificate of the authority.
///
/// # Errors
/// Where the address cannot be listened on.
pub async fn open(place: &Place, authority: &Authority) -> Result<Gate> {
    let address = format!("{}:{}", crate::server::bracket(&place.host), place.port);
    let failed = |kind| Error::new(kind, format!("listen on {address}"));
    let shown = authority.issue(&place.host)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(ErrorKind::Credential).because(error))?
        .with_no_client_auth()
        .with_single_cert(shown.chain, shown.key)
        .map_err(|error| failed(ErrorKind::Credential).because(error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    let listener = TcpListener::bind(&address).await;
    let listener = listener.map_err(|error| failed(ErrorKind::Io).because(error))?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Ok(Gate { listener, acceptor, bus: place.bus.as_str().into() })
}

impl Gate {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves until dropped; `answer` has each connection of a host to itself.
    pub async fn serve<A, F>(self, answer: A)
    where
        A: Fn(Served) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut open = tokio::task::JoinSet::new();
        loop {
            while open.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "the gate has no connection to take");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let (acceptor, bus, answer) =
                (self.acceptor.clone(), Arc::clone(&self.bus), answer.clone());
            open.spawn(async move {
                let _place = place;
                one(stream, acceptor, &bus, answer).await;
            });
        }
    }
}

async fn one<A, F>(stream: TcpStream, acceptor: TlsAcceptor, bus: &str, answer: A)
where
    A: Fn(Served) -> F,
    F: Future<Output = ()>,
{
    let _ = stream.set_nodelay(true);
    let shaking = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await;
    let Ok(Ok(mut stream)) = shaking else { return };
    if stream.get_ref().1.alpn_protocol() == Some(ALPN) {
        answer(BufReader::new(stream)).await;
        return;
    }
    match TcpStream::connect(bus).await {
        Ok(mut inner) => {
            let _ = inner.set_nodelay(true);
            // Either end going away ends both; the client library connects again.
            let _ = copy_bidirectional(&mut stream, &mut inner).await;
        }
        Err(error) => tracing::warn!(%error, bus, "the gate does not reach the bus"),
    }
}
