//! The JetStream API as requests and JSON, with deadlines of our own.
//!
//! Reading a stream needs publish rights on `$JS.API.STREAM.INFO.<stream>`,
//! `$JS.API.CONSUMER.CREATE.<stream>.<name>.<filter>` and
//! `$JS.API.CONSUMER.MSG.NEXT.<stream>.<name>`; a single message needs
//! `$JS.API.DIRECT.GET.<stream>.<subject>`.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Request, RequestError, RequestErrorKind, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};

/// How long the API may take to answer.
pub(crate) const ANSWER_MS_MAX: u64 = 2_000;

/// The server's code for a stream that does not exist.
const STREAM_NOT_FOUND: u32 = 10059;
/// The server's code for a message that does not exist.
const MESSAGE_NOT_FOUND: u32 = 10037;

/// An error that the server answers with.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ApiError {
    #[serde(default)]
    pub(crate) err_code: u32,
    #[serde(default)]
    pub(crate) description: String,
}

#[derive(Deserialize)]
struct Failed {
    error: Option<ApiError>,
}

/// What is read of a stream's info.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StreamInfo {
    /// When it was made, as text: another value is another stream.
    #[serde(default)]
    pub(crate) created: String,
    pub(crate) config: StreamShape,
    pub(crate) state: StreamState,
}

/// What is read of a stream's configuration.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StreamShape {
    #[serde(default)]
    pub(crate) num_replicas: u32,
}

/// What is read of a stream's state.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StreamState {
    pub(crate) last_seq: u64,
}

/// The stream's info, from its leader.
pub(crate) async fn stream_info(client: &Client, stream: &str) -> Result<StreamInfo> {
    call(client, &format!("STREAM.INFO.{stream}"), Bytes::new()).await
}

/// What is read of a consumer's info.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ConsumerInfo {
    /// How many messages there are for it.
    #[serde(default)]
    pub(crate) num_pending: u64,
}

/// Makes a consumer of `config` and returns when the server has it.
pub(crate) async fn create_consumer(
    client: &Client,
    stream: &str,
    name: &str,
    filter: &str,
    config: &Value,
) -> Result<ConsumerInfo> {
    let request = json!({ "stream_name": stream, "config": config });
    let subject = format!("CONSUMER.CREATE.{stream}.{name}.{filter}");
    call(client, &subject, request.to_string().into()).await
}

/// The last message on `subject`, by direct get; `None` where there is none. A replica may not have
/// it yet: only for what is checked by its digest.
pub(crate) async fn last_message(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<Option<Message>> {
    let message = ask(client, &format!("DIRECT.GET.{stream}.{subject}"), Bytes::new()).await?;
    match message.status {
        None | Some(StatusCode::OK) => Ok(Some(message)),
        Some(StatusCode::NOT_FOUND) => Ok(None),
        Some(status) => {
            let text = message.description.unwrap_or_default();
            let what = format!("get the last message on {subject}: {status} {text}");
            Err(Error::new(ErrorKind::Answer, what))
        }
    }
}

/// Removes every message on `subject`.
pub(crate) async fn purge(client: &Client, stream: &str, subject: &str) -> Result<u64> {
    #[derive(Deserialize)]
    struct Purged {
        #[serde(default)]
        purged: u64,
    }
    let body = json!({ "filter": subject }).to_string();
    let purged: Purged = call(client, &format!("STREAM.PURGE.{stream}"), body.into()).await?;
    Ok(purged.purged)
}

/// Publishes to a stream beside the log and waits for its acknowledgement. With an `id` the stream
/// takes it once within its duplicate window, so that sending again is safe.
pub(crate) async fn store(
    client: &Client,
    subject: &str,
    mut headers: HeaderMap,
    id: Option<&str>,
    payload: Bytes,
) -> Result<()> {
    #[derive(Deserialize)]
    struct Stored {
        error: Option<ApiError>,
        seq: Option<u64>,
    }
    if let Some(id) = id {
        headers.insert("Nats-Msg-Id", id);
    }
    let request = Request::new().headers(headers).payload(payload).timeout(None);
    let message = send(client, subject.to_owned(), request, "publish to").await?;
    let stored: Option<Stored> = serde_json::from_slice(&message.payload).ok();
    match stored {
        Some(Stored { error: None, seq: Some(_) }) => Ok(()),
        Some(Stored { error: Some(error), .. }) => {
            let what = format!("publish to {subject}: {} ({})", error.description, error.err_code);
            Err(Error::new(ErrorKind::Answer, what))
        }
        Some(Stored { error: None, seq: None }) | None => {
            let what = format!("publish to {subject}: the answer is no acknowledgement");
            Err(Error::new(ErrorKind::Corrupt, what))
        }
    }
}

/// One request to the API.
pub(crate) async fn call<T: DeserializeOwned>(
    client: &Client,
    subject: &str,
    body: Bytes,
) -> Result<T> {
    let message = ask(client, subject, body).await?;
    let what = || format!("ask JetStream for {subject}");
    let failed: Option<Failed> = serde_json::from_slice(&message.payload).ok();
    if let Some(error) = failed.and_then(|failed| failed.error) {
        let kind = match error.err_code {
            STREAM_NOT_FOUND => ErrorKind::NoStream,
            MESSAGE_NOT_FOUND => ErrorKind::NotFound,
            _ => ErrorKind::Answer,
        };
        let what = format!("{}: {} ({})", what(), error.description, error.err_code);
        return Err(Error::new(kind, what));
    }
    let answer = serde_json::from_slice(&message.payload);
    answer.map_err(|error| Error::new(ErrorKind::Corrupt, what()).because(error))
}

async fn ask(client: &Client, subject: &str, body: Bytes) -> Result<Message> {
    let request = Request::new().payload(body).timeout(None);
    send(client, format!("$JS.API.{subject}"), request, "ask JetStream through").await
}

/// One request with our own deadline, counted from here.
async fn send(client: &Client, subject: String, request: Request, what: &str) -> Result<Message> {
    let what = format!("{what} {subject}");
    let timeout = Duration::from_millis(ANSWER_MS_MAX);
    match tokio::time::timeout(timeout, client.send_request(subject, request)).await {
        Err(_) => {
            let what = format!("{what}: no answer in {ANSWER_MS_MAX} ms");
            Err(Error::new(ErrorKind::Timeout, what))
        }
        Ok(Err(error)) => Err(Error::new(kind_of(&error), what).because(error)),
        Ok(Ok(message)) => Ok(message),
    }
}

/// The kind of a failed request.
pub(crate) fn kind_of(error: &RequestError) -> ErrorKind {
    match error.kind() {
        RequestErrorKind::NoResponders => ErrorKind::NoResponders,
        RequestErrorKind::TimedOut => ErrorKind::Timeout,
        RequestErrorKind::InvalidSubject => ErrorKind::Invalid,
        RequestErrorKind::MaxPayloadExceeded => ErrorKind::TooLarge,
        RequestErrorKind::Other => ErrorKind::Connect,
    }
}
