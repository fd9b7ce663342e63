//! What reaches a coordinator: commands, queries, heartbeats, reports.
//!
//! Read eagerly into bounded queues, one an actor, and handed out in turns, so that an actor that
//! floods fills its own queue and disturbs nobody. Nothing is answered here: what is over the bound
//! is handed out as such, at once, and the coordinator says `LIMIT_EXCEEDED`.
//!
//! **Trust.** A message is somebody's only if its subject parses exactly and, where the accounts
//! rule holds, it came through the import: the server's own header names the actor in the subject
//! as its sender, and the reply subject starts `_R_.` (a report expects no answer and needs none).
//! What a server publishes because a client told it to has neither. Anything else is counted and
//! dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_nats::{Client, Subject, Subscriber};
use bytes::Bytes;
use devmesh_protocol::command::Encoding;
use devmesh_protocol::subject::Incoming;
use devmesh_protocol::{ActorId, MeshId};
use futures::StreamExt;
use tokio::task::JoinHandle;

use self::queues::Queues;
use crate::client;
use crate::connect;
use crate::error::{Error, ErrorKind, Result};

mod admit;
mod queues;

pub use queues::Bounds;

/// Messages taken from a subscription at a time.
const CHUNK: usize = 256;

/// Who may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// What came through the import from the actor that the subject names.
    Accounts,
    /// Everybody: for test servers without credentials.
    Everybody,
}

/// One message to the coordinator.
#[derive(Debug, Clone)]
pub struct Message {
    /// What it is and whose, from its subject.
    pub incoming: Incoming,
    /// How the body is written.
    pub encoding: Encoding,
    /// The body; empty where it is over the bound.
    pub payload: Bytes,
    /// Where the answer goes.
    pub reply: ReplyTo,
    /// Its actor's queue was full: it is refused, not executed.
    pub is_over_bound: bool,
}

/// Where an answer goes; nowhere for a report, to which an answer is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo(Subject);

impl ReplyTo {
    /// An address of one's own making: for a coordinator that is driven without a bus.
    #[must_use]
    pub fn to_subject(subject: &str) -> Self {
        Self(Subject::from(subject))
    }

    /// Of what expects no answer.
    fn nowhere() -> Self {
        Self(Subject::from_static(""))
    }

    /// The subject; empty where no answer is expected.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Receives for one coordinator. Heartbeats and reports are heard from the start, commands and
/// queries while it leads.
#[derive(Debug)]
pub struct Intake {
    client: Client,
    mesh: MeshId,
    trust: Trust,
    queues: Arc<Queues>,
    soft: JoinHandle<()>,
    requests: Option<JoinHandle<()>>,
}

/// Sends answers; cheap to clone, and each answer is one entry in the connection's queue.
#[derive(Debug, Clone)]
pub struct Replies {
    client: Client,
}

impl Intake {
    /// Takes over a connection of the coordinator.
    pub async fn start(connection: &client::Client, trust: Trust, bounds: Bounds) -> Result<Self> {
        let (client, mesh) = (connection.nats().clone(), connection.mesh().clone());
        let queues = Arc::new(Queues::new(bounds));
        let subscribers = subscribe(&client, &mesh, ["beat.*", "report.*"]).await?;
        let soft = receive(subscribers, mesh.clone(), trust, &queues);
        Ok(Self { client, mesh, trust, queues, soft, requests: None })
    }

    /// How a coordinator's connection is made: its one subscription per kind must hold what comes
    /// while it is busy, because the client drops what does not fit, for everybody.
    #[must_use]
    pub fn options() -> connect::Options {
        connect::Options { subscription_capacity: 512 * 1024, ..connect::Options::default() }
    }

    /// From now on commands and queries are heard: a term has begun. Returns when the subscriptions
    /// are sent; for the server to know them takes a moment more.
    pub async fn open_requests(&mut self) -> Result<()> {
        if self.requests.is_none() {
            let subscribers = subscribe(&self.client, &self.mesh, ["cmd.*.>", "query.*.>"]).await?;
            let task = receive(subscribers, self.mesh.clone(), self.trust, &self.queues);
            self.requests = Some(task);
        }
        Ok(())
    }

    /// Commands and queries are no longer heard, so that their callers learn at once that nobody
    /// leads. What was received stays until it is taken or discarded.
    pub fn close_requests(&mut self) {
        if let Some(task) = self.requests.take() {
            task.abort();
        }
    }

    /// Forgets the commands and queries that were received and not taken; their callers send them
    /// again. Returns how many there were.
    #[must_use]
    pub fn discard_requests(&self) -> usize {
        self.queues.discard_requests()
    }

    /// Waits for messages and adds up to `limit` of them: first what is over a bound, then
    /// heartbeats and reports, then one command or query of each actor in turns. Nothing is lost
    /// if the wait is given up.
    pub async fn recv_many(&self, into: &mut Vec<Message>, limit: usize) -> usize {
        loop {
            let arrived = self.queues.arrived();
            let count = self.queues.take(into, limit);
            if count > 0 || limit == 0 {
                return count;
            }
            arrived.await;
        }
    }

    /// As [`Intake::recv_many`], without waiting.
    pub fn try_recv_many(&self, into: &mut Vec<Message>, limit: usize) -> usize {
        self.queues.take(into, limit)
    }

    /// What was dropped, by reason, since the start.
    #[must_use]
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        self.queues.dropped()
    }

    /// What sends the answers.
    #[must_use]
    pub fn replies(&self) -> Replies {
        Replies { client: self.client.clone() }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.soft.abort();
        self.close_requests();
    }
}

impl Replies {
    /// Sends one answer. It is with the server some time later; nobody learns if it is lost.
    pub async fn send(&self, to: &ReplyTo, payload: Bytes) -> Result<()> {
        if to.0.is_empty() {
            return Ok(());
        }
        let sent = self.client.publish(to.0.clone(), payload).await;
        sent.map_err(|error| Error::new(ErrorKind::Connect, "send an answer").because(error))
    }

    /// Sends many; they go out together.
    pub async fn send_all(
        &self,
        answers: impl IntoIterator<Item = (ReplyTo, Bytes)>,
    ) -> Result<()> {
        for (to, payload) in answers {
            self.send(&to, payload).await?;
        }
        Ok(())
    }

    /// Returns when everything sent so far is with the server.
    pub async fn flush(&self) -> Result<()> {
        let flushed = self.client.flush().await;
        flushed.map_err(|error| Error::new(ErrorKind::Connect, "flush answers").because(error))
    }
}

async fn subscribe(client: &Client, mesh: &MeshId, subjects: [&str; 2]) -> Result<[Subscriber; 2]> {
    let subscribe = async |tail: &str| {
        let subject = format!("devmesh.{mesh}.{tail}");
        client.subscribe(subject.clone()).await.map_err(|error| {
            Error::new(ErrorKind::Connect, format!("subscribe to {subject}")).because(error)
        })
    };
    let subscribers = [subscribe(subjects[0]).await?, subscribe(subjects[1]).await?];
    client.flush().await.map_err(|error| {
        Error::new(ErrorKind::Connect, "make subscriptions known").because(error)
    })?;
    Ok(subscribers)
}

/// One task reads both subscriptions as fast as they fill and sorts into the queues.
fn receive(
    subscribers: [Subscriber; 2],
    mesh: MeshId,
    trust: Trust,
    queues: &Arc<Queues>,
) -> JoinHandle<()> {
    let queues = Arc::clone(queues);
    tokio::spawn(async move {
        let [first, second] = subscribers;
        let mut chunks = futures::stream::select(first, second).ready_chunks(CHUNK);
        while let Some(chunk) = chunks.next().await {
            let admitted = chunk.into_iter().map(|message| admit::admit(&mesh, trust, message));
            queues.put(admitted);
        }
    })
}

/// The actor whose queue a message stands in.
fn actor_of(incoming: &Incoming) -> Option<&ActorId> {
    match incoming {
        Incoming::Command { actor, .. }
        | Incoming::Query { actor, .. }
        | Incoming::Beat { actor } => Some(actor),
        Incoming::Report { .. } => None,
    }
}

#[cfg(test)]
mod tests;
