//! The gate: the one door through which other hosts reach a mesh, TLS with an authority of its own.
//!
//! The bus itself listens on loopback, as it always does. What comes through the gate is decrypted
//! here: a NATS client is handed on to the bus, which asks it for its credential as it asks
//! everybody; a host of devmesh (told by ALPN) sends one line of JSON and is answered by whoever
//! opened the gate. Both ends of that second kind are here, so that nothing else knows TLS.
//!
//! **Architecture invariant:** the gate trusts nobody: what a connection may do follows from the
//! credential that the bus checks, or from the secret in the line, which the answer checks.

mod authority;
mod listen;
mod pinned;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::error::{Error, ErrorKind, Result};

pub use authority::{Authority, pin_of};
pub use listen::{Gate, Place, open};
pub use pinned::Trusted;
pub(crate) use pinned::client_config;

/// What a host of devmesh offers by ALPN; whoever offers nothing is a NATS client.
const ALPN: &[u8] = b"devmesh/1";
/// The name that every gate's certificate is of: hosts know the authority, not the address.
const NAME: &str = "gate.devmesh.internal";
/// A line is a request or an answer; the longest carries a few credentials.
const LINE_BYTES_MAX: u64 = 256 << 10;

/// A connection of the gate's end.
pub type Served = BufReader<tokio_rustls::server::TlsStream<TcpStream>>;
/// A connection of the other host's end.
pub type Dialed = BufReader<tokio_rustls::client::TlsStream<TcpStream>>;

/// What both ends do with a connection.
pub trait Lines {
    /// Reads one line of JSON; none where the other end has ended.
    fn hear<T: DeserializeOwned>(&mut self) -> impl Future<Output = Result<Option<T>>> + Send;
    /// Writes one line of JSON.
    fn say<T: Serialize + Sync>(&mut self, value: &T) -> impl Future<Output = Result<()>> + Send;
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Lines for BufReader<S> {
    async fn hear<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let failed = |kind| Error::new(kind, "read what the other host says");
        let mut line = Vec::new();
        let read = self.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
        if read.map_err(|error| failed(ErrorKind::Connect).because(error))? == 0 {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') {
            return Err(failed(ErrorKind::TooLarge));
        }
        let value = serde_json::from_slice(&line);
        value.map(Some).map_err(|error| failed(ErrorKind::Corrupt).because(error))
    }

    async fn say<T: Serialize + Sync>(&mut self, value: &T) -> Result<()> {
        let failed = || Error::new(ErrorKind::Connect, "speak to the other host");
        let mut line = serde_json::to_vec(value).map_err(|error| failed().because(error))?;
        line.push(b'\n');
        self.write_all(&line).await.map_err(|error| failed().because(error))?;
        self.flush().await.map_err(|error| failed().because(error))
    }
}

/// Connects to the gate at `address` (`HOST:PORT`) as a host of devmesh.
///
/// # Errors
/// [`ErrorKind::Connect`] where nobody answers there, [`ErrorKind::Denied`] where it is not the
/// gate of the authority that is trusted.
pub async fn dial(address: &str, trusted: &Trusted) -> Result<Dialed> {
    let failed = |kind| Error::new(kind, format!("reach the gate at {address}"));
    let connecting = tokio::time::timeout(listen::HANDSHAKE_MAX, TcpStream::connect(address));
    let stream = connecting
        .await
        .map_err(|_| failed(ErrorKind::Timeout).because("nobody answers there"))?
        .map_err(|error| failed(ErrorKind::Connect).because(error))?;
    let _ = stream.set_nodelay(true);
    let mut config = client_config(trusted)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let name = tokio_rustls::rustls::pki_types::ServerName::try_from(NAME)
        .expect("a plain name names a server");
    let shaking = tokio::time::timeout(listen::HANDSHAKE_MAX, connector.connect(name, stream));
    let stream = shaking
        .await
        .map_err(|_| failed(ErrorKind::Timeout).because("it does not speak TLS"))?
        .map_err(|error| match pinned::is_mistrust(&error) {
            true => failed(ErrorKind::Denied)
                .because("what answers there does not belong to the authority that is named"),
            false => failed(ErrorKind::Connect).because(error),
        })?;
    Ok(BufReader::new(stream))
}
