//! The JetStream API as requests and JSON, with deadlines of our own.
//!
//! Needs publish rights on `$JS.API.STREAM.INFO.<stream>`, `$JS.API.CONSUMER.CREATE.<stream>.>` and
//! `$JS.API.CONSUMER.MSG.NEXT.<stream>.>`; `$JS.API.STREAM.MSG.GET.<stream>` for single messages.

use std::time::Duration;

use async_nats::{Client, Request, RequestErrorKind};
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

/// Makes a consumer of `config` and returns when the server has it.
pub(crate) async fn create_consumer(
    client: &Client,
    stream: &str,
    name: &str,
    filter: Option<&str>,
    mut config: Value,
) -> Result<()> {
    config["name"] = json!(name);
    let mut subject = format!("CONSUMER.CREATE.{stream}.{name}");
    if let Some(filter) = filter {
        config["filter_subject"] = json!(filter);
        subject = format!("{subject}.{filter}");
    }
    let request = json!({ "stream_name": stream, "config": config });
    let _: Value = call(client, &subject, request.to_string().into()).await?;
    Ok(())
}

/// One request to the API.
pub(crate) async fn call<T: DeserializeOwned>(
    client: &Client,
    subject: &str,
    body: Bytes,
) -> Result<T> {
    let timeout = Duration::from_millis(ANSWER_MS_MAX);
    let request = Request::new().payload(body).timeout(None);
    let sent = client.send_request(format!("$JS.API.{subject}"), request);
    let what = || format!("ask JetStream for {subject}");
    let message = match tokio::time::timeout(timeout, sent).await {
        Err(_) => {
            let what = format!("{}: no answer in {ANSWER_MS_MAX} ms", what());
            return Err(Error::new(ErrorKind::Timeout, what));
        }
        Ok(Err(error)) => {
            let kind = match error.kind() {
                RequestErrorKind::NoResponders => ErrorKind::NoResponders,
                RequestErrorKind::TimedOut => ErrorKind::Timeout,
                RequestErrorKind::InvalidSubject => ErrorKind::Invalid,
                RequestErrorKind::MaxPayloadExceeded => ErrorKind::TooLarge,
                RequestErrorKind::Other => ErrorKind::Connect,
            };
            return Err(Error::new(kind, what()).because(error));
        }
        Ok(Ok(message)) => message,
    };
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
