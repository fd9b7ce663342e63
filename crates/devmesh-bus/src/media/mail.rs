//! Mail: messages from one actor to another that wait until they are read.
//!
//! Each actor's inbox is one durable consumer with its name, which sees only mail to it.

use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use devmesh_protocol::{ActorId, subject};

use crate::api;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::feed::{Delivery, Feed, Source};

/// Bytes of one letter.
pub const LETTER_BYTES_MAX: usize = 256 * 1024;

/// Sends a letter and returns when the stream has it. Under the same `id` it is delivered once,
/// if it is sent again within the stream's duplicate window.
pub async fn send(client: &Client, to: &ActorId, id: &str, body: Bytes) -> Result<()> {
    if body.len() > LETTER_BYTES_MAX {
        let what = format!("mail {} bytes: {LETTER_BYTES_MAX} are allowed", body.len());
        return Err(Error::new(ErrorKind::TooLarge, what));
    }
    let subject = subject::mail(client.mesh(), client.actor(), to);
    let id = format!("{}.{id}", client.actor());
    api::store(client.nats(), &subject, HeaderMap::new(), Some(&id), body).await
}

/// One letter.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Who sent it.
    pub from: ActorId,
    /// What it says.
    pub body: Bytes,
    ack: Option<Subject>,
}

/// An actor's inbox.
pub struct Inbox {
    client: Client,
    feed: Option<Feed>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("actor", self.client.actor()).finish_non_exhaustive()
    }
}

impl Inbox {
    /// The inbox of the connection's actor.
    #[must_use]
    pub fn of(client: &Client) -> Self {
        Self { client: client.clone(), feed: None }
    }

    /// Waits for the next letter. One that is not settled comes again.
    pub async fn next(&mut self) -> Result<Letter> {
        loop {
            match self.step().await {
                Ok(Some(letter)) => return Ok(letter),
                Ok(None) => {}
                Err(error) if matches!(error.kind(), ErrorKind::NoStream | ErrorKind::Denied) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::debug!(%error, "reading the inbox on");
                    self.feed = None;
                    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Letter>> {
        let (mesh, actor) = (self.client.mesh(), self.client.actor());
        let Some(feed) = &mut self.feed else {
            let stream = subject::side_stream(mesh, "MAIL");
            let filter = format!("devmesh.{mesh}.mail.*.{actor}");
            let source = Source { stream: &stream, filter: &filter, from: 1, want: u64::MAX };
            let feed = Feed::durable(self.client.nats(), source, actor.as_str()).await?;
            self.feed = Some(feed);
            return Ok(None);
        };
        let Some(Delivery { message, .. }) = feed.receive().await? else { return Ok(None) };
        let from = message.subject.split('.').nth(3).and_then(|from| ActorId::new(from).ok());
        Ok(from.map(|from| Letter { from, body: message.payload, ack: message.reply }))
    }

    /// A letter is read and need not come again.
    pub async fn settle(&self, letter: &Letter) -> Result<()> {
        let Some(ack) = letter.ack.clone() else { return Ok(()) };
        let sent = self.client.nats().publish(ack, Bytes::from_static(b"+ACK")).await;
        sent.map_err(|error| Error::new(ErrorKind::Connect, "settle a letter").because(error))
    }
}
