//! A connection of one actor in one mesh: commands, queries, heartbeats, reports.
//!
//! A command goes out with its id, the same bytes again and again, until it is answered or the
//! caller's time is over. No responders, a timeout, a lost connection: all mean *unknown*, because
//! each may have been executed; none is ever told as a failure. So does a store that takes nothing
//! (`STORE_REFUSES`): the caller learns why, and that it is not known.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use devmesh_protocol::reply::Reply;
use devmesh_protocol::report::{Beat, BeatReply, HostReport};
use devmesh_protocol::{ActorId, Code, Command, CommandId, MeshId, SessionId, limits, subject};
use serde_json::{Value, json};

use crate::connect;
use crate::error::{Error, ErrorKind, Result};

mod persist;

pub use persist::Answer;

/// How long a heartbeat may take to be answered: the next one follows 4 s after it was sent.
const BEAT_ANSWER: Duration = Duration::from_secs(2);

/// The longest pause before a command is sent again to a store that takes nothing.
const REFUSED: Duration = Duration::from_secs(1);

/// What became of a command or a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The coordinator's answer: a result or a refusal.
    Reply(Reply),
    /// No answer within the caller's time. It may have been executed, or be executed later; the
    /// same id asks again.
    Unknown {
        /// What was seen last.
        why: String,
    },
}

/// One actor's connection.
#[derive(Debug, Clone)]
pub struct Client {
    nats: async_nats::Client,
    mesh: MeshId,
    actor: ActorId,
}

/// The error of this crate for a connection that could not be made.
pub(crate) fn not_connected(url: &str, error: connect::Error) -> Error {
    let kind = if error.is_denied() { ErrorKind::Denied } else { ErrorKind::Connect };
    Error::new(kind, format!("reach the bus at {url}")).because(error)
}

impl Client {
    /// Connects as `actor` with the credential in `creds`.
    pub async fn connect(
        url: &str,
        creds: Option<&Path>,
        mesh: &MeshId,
        actor: &ActorId,
    ) -> Result<Self> {
        Self::connect_with(url, creds, mesh, actor, &connect::Options::default()).await
    }

    /// As [`Client::connect`], with options.
    pub async fn connect_with(
        url: &str,
        creds: Option<&Path>,
        mesh: &MeshId,
        actor: &ActorId,
        options: &connect::Options,
    ) -> Result<Self> {
        let nats = connect::connect_with(url, creds, actor.as_str(), options).await;
        let nats = nats.map_err(|error| not_connected(url, error))?;
        Ok(Self { nats, mesh: mesh.clone(), actor: actor.clone() })
    }

    /// The mesh it is in.
    #[must_use]
    pub fn mesh(&self) -> &MeshId {
        &self.mesh
    }

    /// Who it speaks for.
    #[must_use]
    pub fn actor(&self) -> &ActorId {
        &self.actor
    }

    pub(crate) fn nats(&self) -> &async_nats::Client {
        &self.nats
    }

    /// Sends a command until it is answered, for at most `within`. A command that waits
    /// (`wait_ms`) needs a `within` that is longer.
    pub async fn submit(&self, command: &Command, within: Duration) -> Result<Outcome> {
        if command.actor != self.actor {
            let what = format!("send a command of {} as {}", command.actor, self.actor);
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        let body = command.to_body().map_err(|error| {
            Error::new(ErrorKind::Invalid, "write the command as JSON").because(error)
        })?;
        self.submit_body(command.verb.name(), body, within).await
    }

    /// As [`Client::submit`], for a verb by name and a body as JSON. A body without an `id` gets
    /// one: sending it again must not execute it twice.
    pub async fn submit_body(
        &self,
        verb: &str,
        mut body: Value,
        within: Duration,
    ) -> Result<Outcome> {
        let Value::Object(fields) = &mut body else {
            return Err(Error::new(ErrorKind::Invalid, format!("send {verb}: no object as body")));
        };
        if fields.get("id").is_none_or(Value::is_null) {
            fields.insert("id".into(), json!(mint()));
        }
        let waits = fields.get("wait_ms").and_then(Value::as_u64).is_some_and(|ms| ms > 0);
        let subject = subject::command(&self.mesh, &self.actor, verb);
        let patience = if waits { persist::Pace::Waiting } else { persist::Pace::Prompt };
        self.exchange(subject, body.to_string().into(), patience, within).await
    }

    /// Asks a query until it is answered, for at most `within`.
    pub async fn query(&self, what: &str, body: Value, within: Duration) -> Result<Outcome> {
        let subject = subject::query(&self.mesh, &self.actor, what);
        let body = if body.is_null() { json!({}) } else { body };
        self.exchange(subject, body.to_string().into(), persist::Pace::Prompt, within).await
    }

    /// Sends `payload` on `subject`, the same bytes again and again, until it is answered, for at
    /// most `within`.
    pub async fn request(&self, subject: &str, payload: Bytes, within: Duration) -> Result<Answer> {
        check_size(payload.len())?;
        persist::request(&self.nats, subject, payload, persist::Pace::Prompt, within).await
    }

    async fn exchange(
        &self,
        subject: String,
        payload: Bytes,
        pace: persist::Pace,
        within: Duration,
    ) -> Result<Outcome> {
        check_size(payload.len())?;
        let began = Instant::now();
        let mut refused: Option<String> = None;
        loop {
            let spent = refused.as_ref().map_or(Duration::ZERO, |_| began.elapsed());
            let left = within.saturating_sub(spent);
            let sent = payload.clone();
            let answer = persist::request(&self.nats, &subject, sent, pace, left).await?;
            let reply = match answer {
                Answer::Unknown { why } => {
                    return Ok(Outcome::Unknown { why: refused.unwrap_or(why) });
                }
                Answer::Bytes(bytes) => Reply::from_slice(&bytes).map_err(|error| {
                    let what = format!("read the answer to {subject}");
                    Error::new(ErrorKind::Corrupt, what).because(error)
                })?,
            };
            match reply {
                // It is not known whether it was recorded, so this is no answer yet.
                Reply::Err { error, .. } if error.code == Code::StoreRefuses => {
                    let pause = error.retry_after_ms.map_or(REFUSED, Duration::from_millis);
                    let left = within.saturating_sub(began.elapsed());
                    tokio::time::sleep(pause.min(REFUSED).min(left)).await;
                    refused = Some(error.message);
                }
                reply => return Ok(Outcome::Reply(reply)),
            }
        }
    }

    /// One heartbeat. `seen` is the highest `seq` the caller knows of. Leases may be believed from
    /// the moment *before* this call, if it is answered.
    pub async fn beat(&self, session: &SessionId, seen: u64) -> Result<BeatReply> {
        let beat = Beat { session: session.clone(), seen };
        let body = to_json(&beat, "a heartbeat")?;
        let subject = subject::beat(&self.mesh, &self.actor);
        let request = async_nats::Request::new().payload(body).timeout(None);
        let sent = self.nats.send_request(subject, request);
        let answer = match tokio::time::timeout(BEAT_ANSWER, sent).await {
            Err(_) => return Err(Error::new(ErrorKind::Timeout, "get a heartbeat answered")),
            Ok(Err(error)) => {
                let kind = crate::api::kind_of(&error);
                return Err(Error::new(kind, "get a heartbeat answered").because(error));
            }
            Ok(Ok(answer)) => answer.payload,
        };
        serde_json::from_slice(&answer).map_err(|error| {
            match Reply::from_slice(&answer).map(Reply::into_result) {
                Ok(Err(rejection)) => {
                    Error::new(ErrorKind::Answer, "get a heartbeat accepted").because(rejection)
                }
                _ => Error::new(ErrorKind::Corrupt, "read a heartbeat's answer").because(error),
            }
        })
    }

    /// Tells what a host measures. Nobody answers.
    pub async fn report(&self, report: &HostReport) -> Result<()> {
        let body = to_json(report, "a report")?;
        let subject = subject::report(&self.mesh, &report.host);
        self.nats
            .publish(subject, body)
            .await
            .map_err(|error| Error::new(ErrorKind::Connect, "send a report").because(error))
    }

    /// Returns when everything sent so far is with the server. Call it before the process ends:
    /// what is still in the client's queue is lost with it.
    pub async fn flush(&self) -> Result<()> {
        self.nats
            .flush()
            .await
            .map_err(|error| Error::new(ErrorKind::Connect, "flush to the bus").because(error))
    }
}

/// A new id of a command.
#[must_use]
pub fn mint() -> CommandId {
    CommandId::new(&uuid::Uuid::now_v7().to_string()).expect("a UUID is a command id")
}

fn check_size(bytes: usize) -> Result<()> {
    let max = limits::REQUEST_BYTES_MAX;
    if bytes > max {
        let what = format!("send a request of {bytes} bytes: {max} are allowed");
        return Err(Error::new(ErrorKind::TooLarge, what));
    }
    Ok(())
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T, what: &str) -> Result<Bytes> {
    let bytes = serde_json::to_vec(value).map_err(|error| {
        Error::new(ErrorKind::Invalid, format!("write {what} as JSON")).because(error)
    })?;
    Ok(bytes.into())
}
