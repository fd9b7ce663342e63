//! A pull consumer read by hand: where it starts and what it delivered is always known.
//!
//! The client library's ordered consumer begins again at 1 when its consumer is lost before the
//! first message, and waits in silence for a stream that was made anew; this one reports a loss and
//! leaves the decision to the reader.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::{Client, Message, StatusCode, Subscriber};
use futures::StreamExt;
use serde_json::json;

use crate::api::{self, ConsumerInfo};
use crate::error::{Error, ErrorKind, Result};

/// Messages asked for at a time; more are asked for when half have come.
const BATCH: u64 = 1_000;
/// The same where each message is settled one by one.
const BATCH_DURABLE: u64 = 16;
/// Bytes a batch may have: what one slow reader can make its client hold, twice.
const BATCH_BYTES: u64 = 16 * 1024 * 1024;
/// How long a request for messages stands.
const EXPIRES: Duration = Duration::from_secs(10);
/// How often the server says that an idle request still stands.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Silence, heartbeats included, after which the consumer counts as lost.
const SILENCE: Duration = Duration::from_millis(2_500);
/// How often a waiting reader looks whether its connection was replaced.
const LOOK: Duration = Duration::from_millis(250);
/// How long a message of a durable consumer may stay unsettled before it is delivered again.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// How long the server keeps a consumer that nobody asks.
const INACTIVE: Duration = Duration::from_secs(5);

/// One consumer and what was asked of it.
pub(crate) struct Feed {
    client: Client,
    inbox: Subscriber,
    reply: String,
    next: String,
    /// How many messages are asked for at a time.
    batch: u64,
    /// How many messages are still to be asked for.
    want: u64,
    /// How many are asked for and not here yet.
    outstanding: u64,
    connects: u64,
    heard: Instant,
    waiting: u64,
}

/// What a feed delivers.
pub(crate) struct Delivery {
    /// Position in the stream.
    pub(crate) stream_seq: u64,
    /// 1 for the first that this consumer delivered.
    pub(crate) consumer_seq: u64,
    /// How many more there were when it was sent.
    pub(crate) pending: u64,
    /// The message.
    pub(crate) message: Message,
}

/// What a feed reads.
pub(crate) struct Source<'a> {
    /// The stream's name.
    pub(crate) stream: &'a str,
    /// The subjects: one filter, because only then it stands in a subject that a permission holds.
    pub(crate) filter: &'a str,
    /// The first position.
    pub(crate) from: u64,
    /// The most messages, `u64::MAX` for a tail.
    pub(crate) want: u64,
}

impl Feed {
    /// Makes an ephemeral consumer. It lives while it is read and 5 s longer.
    pub(crate) async fn open(client: &Client, source: Source<'_>) -> Result<Self> {
        let name = format!("r{}", name()?);
        let config = json!({
            "name": name,
            "filter_subject": source.filter,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": source.from,
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": true,
            "num_replicas": 1,
            "inactive_threshold": nanos(INACTIVE),
        });
        Self::on(client, &source, BATCH, &name, config).await
    }

    /// Makes, or finds again, the durable consumer `name`, whose messages are settled one by one.
    pub(crate) async fn durable(client: &Client, source: Source<'_>, name: &str) -> Result<Self> {
        let config = json!({
            "name": name,
            "durable_name": name,
            "filter_subject": source.filter,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": nanos(ACK_WAIT),
            "max_ack_pending": 1_000,
            "replay_policy": "instant",
        });
        Self::on(client, &source, BATCH_DURABLE, name, config).await
    }

    async fn on(
        client: &Client,
        source: &Source<'_>,
        batch: u64,
        name: &str,
        config: serde_json::Value,
    ) -> Result<Self> {
        let connects = connects(client);
        let reply = client.new_inbox();
        let inbox = client.subscribe(reply.clone()).await.map_err(|error| {
            Error::new(ErrorKind::Connect, "subscribe to an inbox").because(error)
        })?;
        let ConsumerInfo { num_pending } =
            api::create_consumer(client, source.stream, name, source.filter, &config).await?;
        Ok(Self {
            client: client.clone(),
            inbox,
            reply,
            next: format!("$JS.API.CONSUMER.MSG.NEXT.{}.{name}", source.stream),
            batch,
            want: source.want,
            outstanding: 0,
            connects,
            heard: Instant::now(),
            waiting: num_pending,
        })
    }

    /// How many messages there were for it when it was opened.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// The next message, or none after a quiet moment; an error where the consumer or the
    /// connection it stood on is lost.
    pub(crate) async fn receive(&mut self) -> Result<Option<Delivery>> {
        loop {
            self.pull().await?;
            let Ok(message) = tokio::time::timeout(LOOK, self.inbox.next()).await else {
                self.look()?;
                return Ok(None);
            };
            let Some(message) = message else {
                return Err(Error::new(ErrorKind::Connect, "read a consumer: connection closed"));
            };
            self.heard = Instant::now();
            match message.status {
                None | Some(StatusCode::OK) => return self.message(message).map(Some),
                Some(StatusCode::IDLE_HEARTBEAT) => return Ok(None),
                Some(status) => self.status(status, &message)?,
            }
        }
    }

    fn message(&mut self, message: Message) -> Result<Delivery> {
        self.outstanding = self.outstanding.saturating_sub(1);
        let seqs = message.reply.as_deref().and_then(delivery);
        let Some((stream_seq, consumer_seq, pending)) = seqs else {
            return Err(Error::new(ErrorKind::Corrupt, "read a delivery: no position in it"));
        };
        Ok(Delivery { stream_seq, consumer_seq, pending, message })
    }

    /// A request ended: what it left open is asked for again.
    fn status(&mut self, status: StatusCode, message: &Message) -> Result<()> {
        let text = message.description.as_deref().unwrap_or_default();
        let pending = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get("Nats-Pending-Messages"))
            .and_then(|value| value.as_str().parse::<u64>().ok());
        match pending {
            Some(pending) => {
                let pending = pending.min(self.outstanding);
                self.outstanding -= pending;
                self.want = self.want.saturating_add(pending);
                Ok(())
            }
            None => {
                let what = format!("read a consumer: {status} {text}");
                Err(Error::new(ErrorKind::Answer, what))
            }
        }
    }

    /// Whether the consumer is still there, as far as silence tells.
    fn look(&self) -> Result<()> {
        if connects(&self.client) != self.connects {
            return Err(Error::new(ErrorKind::Connect, "read a consumer: connection replaced"));
        }
        if self.outstanding > 0 && self.heard.elapsed() > SILENCE {
            return Err(Error::new(ErrorKind::Timeout, "read a consumer: it is silent"));
        }
        Ok(())
    }

    async fn pull(&mut self) -> Result<()> {
        if self.want == 0 || self.outstanding > self.batch / 2 {
            return Ok(());
        }
        let batch = self.want.min(self.batch - self.outstanding);
        let request = json!({
            "batch": batch,
            "max_bytes": BATCH_BYTES,
            "expires": nanos(EXPIRES),
            "idle_heartbeat": nanos(HEARTBEAT),
        });
        if self.outstanding == 0 {
            self.heard = Instant::now();
        }
        let (next, reply) = (self.next.clone(), self.reply.clone());
        let sent = self.client.publish_with_reply(next, reply, request.to_string().into());
        sent.await.map_err(|error| {
            Error::new(ErrorKind::Connect, "ask a consumer for messages").because(error)
        })?;
        self.outstanding += batch;
        if self.want != u64::MAX {
            self.want -= batch;
        }
        Ok(())
    }
}

fn connects(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

/// A name that no other consumer has.
fn name() -> Result<String> {
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Io, "draw random bytes").because(error.to_string())
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The stream's and the consumer's sequence, and how many more there are, in the reply subject of a
/// delivery, `$JS.ACK.[domain.account.]stream.consumer.delivered.streamseq.consumerseq.time.more`.
fn delivery(reply: &str) -> Option<(u64, u64, u64)> {
    let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let skip = if tokens.len() >= 9 { 2 } else { 0 };
    let number = |index: usize| tokens.get(skip + index)?.parse().ok();
    Some((number(3)?, number(4)?, number(6)?))
}

#[cfg(test)]
mod tests;
