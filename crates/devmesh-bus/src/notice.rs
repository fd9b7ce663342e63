//! Live notices, and the leader's signs of life: core NATS, best effort.
//!
//! A notice wakes readers and is never the truth: one that sees a gap in `seq` reads the log. The
//! leader's beat is a hint for standbys and never the fence; it goes on `devmesh.<mesh>.leader`,
//! inside the coordinator's account, every [`LEADER_BEAT_MS`].

use std::time::{Duration, Instant};

use async_nats::Subscriber;
use devmesh_protocol::event::Notice;
use devmesh_protocol::report::LeaderBeat;
use devmesh_protocol::{ActorId, At, Event, MeshId, Record, subject};
use futures::StreamExt;
use tokio::time::timeout;

use crate::client::{Client, to_json};
use crate::error::{Error, ErrorKind, Result};

/// How often a leader says that it lives.
pub const LEADER_BEAT_MS: u64 = 100;
/// How long a leader may be silent before a standby claims; the standby adds jitter, and doubles
/// it when terms flap.
pub const LEADER_SILENT_MS: u64 = 500;

/// Sends notices and beats.
#[derive(Debug, Clone)]
pub struct Announcer {
    nats: async_nats::Client,
    mesh: MeshId,
}

impl Announcer {
    /// Speaks on a connection of the coordinator.
    #[must_use]
    pub fn new(connection: &Client) -> Self {
        Self { nats: connection.nats().clone(), mesh: connection.mesh().clone() }
    }

    /// Tells what an acknowledged record says, one notice an event.
    pub async fn announce(&self, record: &Record) -> Result<()> {
        for event in &record.events {
            let Record { seq, at, actor, .. } = record;
            let notice = Told { seq: *seq, at: *at, actor, event };
            let body = to_json(&notice, "a notice")?;
            let sent = self.nats.publish(subject::notice(&self.mesh, event), body).await;
            sent.map_err(|error| Error::new(ErrorKind::Connect, "tell a notice").because(error))?;
        }
        Ok(())
    }

    /// One beat of the leader.
    pub async fn beat(&self, beat: &LeaderBeat) -> Result<()> {
        let body = to_json(beat, "a leader's beat")?;
        let sent = self.nats.publish(subject::leader(&self.mesh), body).await;
        sent.map_err(|error| Error::new(ErrorKind::Connect, "send a leader's beat").because(error))
    }
}

/// A [`Notice`] of what is not one's own.
#[derive(serde::Serialize)]
struct Told<'a> {
    seq: u64,
    at: At,
    actor: &'a ActorId,
    event: &'a Event,
}

/// Which notices are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter<'a> {
    /// All.
    All,
    /// Those of one kind, `task_added` for instance.
    Kind(&'a str),
    /// Those about one thing, `t-17` for instance.
    Key(&'a str),
}

/// Hears notices.
#[derive(Debug)]
pub struct Notices {
    subscriber: Subscriber,
}

impl Notices {
    /// Begins to listen. Returns when the subscription is sent; what is asked on the same
    /// connection afterwards is answered after the server knows it: subscribe first, then read.
    pub async fn subscribe(connection: &Client, filter: &Filter<'_>) -> Result<Self> {
        let mesh = connection.mesh();
        let subject = match filter {
            Filter::All => subject::notices(mesh),
            Filter::Kind(kind) => format!("devmesh.{mesh}.event.{}.*", token(kind)?),
            Filter::Key(key) => format!("devmesh.{mesh}.event.*.{}", token(key)?),
        };
        Ok(Self { subscriber: listen(connection, subject).await? })
    }

    /// The next notice; `None` when the connection is closed for good. What cannot be read, a
    /// newer leader's kind of event for instance, is passed over: the log has it.
    pub async fn next(&mut self) -> Option<Notice> {
        while let Some(message) = self.subscriber.next().await {
            match serde_json::from_slice(&message.payload) {
                Ok(notice) => return Some(notice),
                Err(error) => tracing::debug!(%error, subject = %message.subject, "unread notice"),
            }
        }
        None
    }
}

/// Hears the leader's beats.
#[derive(Debug)]
pub struct LeaderWatch {
    subscriber: Subscriber,
    heard: Instant,
    last: Option<LeaderBeat>,
}

impl LeaderWatch {
    /// Begins to listen. Silence counts from here.
    pub async fn subscribe(connection: &Client) -> Result<Self> {
        let subscriber = listen(connection, subject::leader(connection.mesh())).await?;
        Ok(Self { subscriber, heard: Instant::now(), last: None })
    }

    /// Waits for a beat, or until the leader has been silent for `patience`: then `None`.
    pub async fn next(&mut self, patience: Duration) -> Option<LeaderBeat> {
        loop {
            // What arrived while nobody looked was heard, however long ago that was.
            let left = patience.saturating_sub(self.heard.elapsed());
            let message = timeout(left, self.subscriber.next()).await.ok()??;
            if let Ok(beat) = serde_json::from_slice::<LeaderBeat>(&message.payload) {
                self.heard = Instant::now();
                self.last = Some(beat.clone());
                return Some(beat);
            }
        }
    }

    /// How long the leader has been silent.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.heard.elapsed()
    }

    /// The last beat heard.
    #[must_use]
    pub fn last(&self) -> Option<&LeaderBeat> {
        self.last.as_ref()
    }

    /// Counts silence from now: after a pause of this process, for instance, or a lost claim.
    pub fn restart(&mut self) {
        self.heard = Instant::now();
    }
}

async fn listen(connection: &Client, subject: String) -> Result<Subscriber> {
    let nats = connection.nats();
    let subscriber = nats.subscribe(subject.clone()).await.map_err(|error| {
        Error::new(ErrorKind::Connect, format!("subscribe to {subject}")).because(error)
    })?;
    nats.flush().await.map_err(|error| {
        Error::new(ErrorKind::Connect, "make a subscription known").because(error)
    })?;
    Ok(subscriber)
}

/// One token of a subject, with nothing in it that would widen the filter.
fn token(text: &str) -> Result<&str> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    if text.is_empty() || text.len() > 128 || !text.bytes().all(plain) {
        return Err(Error::new(ErrorKind::Invalid, format!("filter notices by {text:?}")));
    }
    Ok(text)
}
