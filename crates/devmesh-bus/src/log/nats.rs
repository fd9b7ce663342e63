//! The log over JetStream.
//!
//! An append is a plain request with headers and our own deadline: the client library's
//! acknowledgement future starts its clock when it is awaited and takes a duplicate for a success.
//! No `Nats-Msg-Id` and no `Nats-Expected-Last-Msg-Id`: on three servers the first acknowledges to
//! two rivals what one of them stored, and one wrong value of the second stops the stream for good.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_nats::{Client, HeaderMap, Request, RequestErrorKind};
use bytes::Bytes;
use devmesh_protocol::{MeshId, subject};
use futures::future::BoxFuture;

use self::follow::Follow;
use super::{APPEND_MS_MAX, AppendError, Entries, Log, Open, PAYLOAD_BYTES_MAX};
use crate::api;
use crate::connect;
use crate::error::{Error, ErrorKind, Result};

mod ack;
mod follow;

/// Makes a connection of its own at each call.
type Dial = Arc<dyn Fn() -> BoxFuture<'static, Result<Client>> + Send + Sync>;

/// Opens handles on the log of one mesh, each on a fresh connection.
#[derive(Clone)]
pub struct NatsOpen {
    dial: Dial,
    stream: String,
    subject: String,
}

/// A handle on the log of one mesh.
#[derive(Debug, Clone)]
pub struct NatsLog {
    client: Client,
    stream: String,
    subject: String,
    /// 0 for as long as nobody has asked.
    replicas: Arc<AtomicU32>,
}

impl std::fmt::Debug for NatsOpen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsOpen").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl NatsOpen {
    /// Opens the log of `mesh` at `url` as `actor`, with the credential in `creds`; how else to
    /// connect is in `options`.
    #[must_use]
    pub fn new(
        url: &str,
        creds: Option<&Path>,
        mesh: &MeshId,
        actor: &str,
        options: connect::Options,
    ) -> Self {
        let (url, actor) = (url.to_owned(), actor.to_owned());
        let creds = creds.map(Path::to_owned);
        let dial = move || -> BoxFuture<'static, Result<Client>> {
            let (url, actor, creds) = (url.clone(), actor.clone(), creds.clone());
            let options = options.clone();
            Box::pin(async move {
                let client = connect::connect_with(&url, creds.as_deref(), &actor, &options).await;
                client.map_err(|error| crate::client::not_connected(&url, error))
            })
        };
        Self::dialing(Arc::new(dial), mesh)
    }

    /// Opens the log of `mesh` at `url`, or at one of several parted by commas, without a
    /// credential: for servers that ask for none.
    #[must_use]
    pub fn plain(url: &str, mesh: &MeshId) -> Self {
        let url = url.to_owned();
        let dial = move || -> BoxFuture<'static, Result<Client>> {
            let url = url.clone();
            Box::pin(async move {
                let urls: Vec<&str> = url.split(',').collect();
                async_nats::connect(&urls[..]).await.map_err(|error| {
                    Error::new(ErrorKind::Connect, format!("connect to {url}")).because(error)
                })
            })
        };
        Self::dialing(Arc::new(dial), mesh)
    }

    fn dialing(dial: Dial, mesh: &MeshId) -> Self {
        Self { dial, stream: subject::log_stream(mesh), subject: subject::log(mesh) }
    }
}

impl NatsLog {
    /// Whether its connection stands now. What is appended while it does not may be sent later.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// How many servers keep the stream, as the last answer to [`Log::last`] said.
    #[must_use]
    pub fn replicas(&self) -> Option<u32> {
        Some(self.replicas.load(Ordering::Relaxed)).filter(|replicas| *replicas > 0)
    }
}

impl Open for NatsOpen {
    type Log = NatsLog;

    async fn open(&self) -> Result<NatsLog> {
        let client = (self.dial)().await?;
        let (stream, subject) = (self.stream.clone(), self.subject.clone());
        Ok(NatsLog { client, stream, subject, replicas: Arc::default() })
    }
}

impl Log for NatsLog {
    async fn append(
        &self,
        expected_last: u64,
        epoch: u64,
        payload: Bytes,
    ) -> std::result::Result<u64, AppendError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            let what = format!("{} bytes, {PAYLOAD_BYTES_MAX} are allowed", payload.len());
            return Err(AppendError::NotStored(what));
        }
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Sequence", expected_last.to_string());
        headers.insert("Devmesh-Epoch", epoch.to_string());
        headers.insert("content-type", "application/cbor");
        let request = Request::new().headers(headers).payload(payload).timeout(None);
        let sent = self.client.send_request(self.subject.clone(), request);
        let deadline = Duration::from_millis(APPEND_MS_MAX);
        match tokio::time::timeout(deadline, sent).await {
            Err(_) => Err(AppendError::unknown(format!("no answer in {APPEND_MS_MAX} ms"))),
            Ok(Ok(answer)) => ack::judge(&answer.payload, &self.stream, expected_last),
            Ok(Err(error)) => Err(match error.kind() {
                RequestErrorKind::NoResponders
                | RequestErrorKind::InvalidSubject
                | RequestErrorKind::MaxPayloadExceeded => AppendError::NotStored(error.to_string()),
                RequestErrorKind::TimedOut | RequestErrorKind::Other => {
                    AppendError::unknown(error.to_string())
                }
            }),
        }
    }

    async fn last(&self) -> Result<u64> {
        let info = api::stream_info(&self.client, &self.stream).await?;
        self.replicas.store(info.config.num_replicas, Ordering::Relaxed);
        Ok(info.state.last_seq)
    }

    fn read(&self, from: u64, to: u64) -> Entries {
        Follow::range(self, from, to).entries()
    }

    fn tail(&self, from: u64) -> Entries {
        Follow::tail(self, from).entries()
    }
}
