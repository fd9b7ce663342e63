//! Reads a range or a tail of the log, in strict order, over as many consumers as it takes.

use std::time::{Duration, Instant};

use async_nats::Client;
use futures::stream::{self, StreamExt};

use super::super::strict::{Strict, Take, beyond_end, made_anew};
use super::super::{Entries, Entry};
use super::NatsLog;
use crate::api::{self, StreamInfo};
use crate::error::{Error, ErrorKind, Result};
use crate::feed::{Delivery, Feed, Source};

/// How long a quiet tail waits before it asks whether the stream is still the one it read.
const CHECK: Duration = Duration::from_secs(5);
/// How long a range may go without a message before it is given up.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a replicated stream may seem shorter than what was read of it: a leader that was
/// deposed, or has not caught up, may answer until its cluster has settled.
const SETTLING: Duration = Duration::from_secs(12);
/// The first and the longest pause before a lost consumer is made again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A reader.
pub(super) struct Follow {
    client: Client,
    stream: String,
    subject: String,
    order: Strict,
    /// The last position of a range; `None` for a tail.
    to: Option<u64>,
    feed: Option<Feed>,
    /// When the stream was made that is being read.
    created: Option<String>,
    /// Since when it seems too short, or is not there.
    suspect: Option<Instant>,
    checked: Instant,
    progress: Instant,
    pause: Duration,
}

impl Follow {
    pub(super) fn range(log: &NatsLog, from: u64, to: u64) -> Self {
        Self { to: Some(to), ..Self::tail(log, from) }
    }

    pub(super) fn tail(log: &NatsLog, from: u64) -> Self {
        let now = Instant::now();
        Self {
            client: log.client.clone(),
            stream: log.stream.clone(),
            subject: log.subject.clone(),
            order: Strict::from(from),
            to: None,
            feed: None,
            created: None,
            suspect: None,
            checked: now,
            progress: now,
            pause: PAUSE.0,
        }
    }

    /// As a stream that ends after its first error.
    pub(super) fn entries(self) -> Entries {
        let entries = stream::unfold(Some(self), |follow| async move {
            let mut follow = follow?;
            if follow.to.is_some_and(|to| follow.order.next() > to) {
                return None;
            }
            let entry = follow.next_entry().await;
            let go_on = entry.is_ok().then_some(follow);
            Some((entry, go_on))
        });
        entries.boxed()
    }

    async fn next_entry(&mut self) -> Result<Entry> {
        loop {
            let Some(feed) = &mut self.feed else {
                self.open().await?;
                continue;
            };
            match feed.receive().await {
                Ok(Some(Delivery { stream_seq, consumer_seq, message, .. })) => {
                    match self.order.take(stream_seq) {
                        Take::Apply => {
                            self.heard();
                            return Ok(Entry { stream_seq, payload: message.payload });
                        }
                        Take::Skip => {}
                        // The first message of a consumer that starts at the missing position:
                        // it is missing in the stream. Any later one may be a lost delivery.
                        Take::Jump if consumer_seq == 1 => return Err(self.order.gap(stream_seq)),
                        Take::Jump => self.feed = None,
                    }
                }
                Ok(None) => self.idle().await?,
                Err(lost) => {
                    tracing::debug!(error = %lost, next = self.order.next(), "reading on");
                    self.feed = None;
                }
            }
        }
    }

    fn heard(&mut self) {
        self.progress = Instant::now();
        self.checked = self.progress;
        self.suspect = None;
        self.pause = PAUSE.0;
    }

    /// Makes the consumer at the next position, once the stream is known to be the right one.
    async fn open(&mut self) -> Result<()> {
        match self.try_open().await {
            Ok(feed) => self.feed = feed,
            Err(error) => self.bear(error)?,
        }
        if self.feed.is_none() {
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(PAUSE.1);
        }
        Ok(())
    }

    async fn try_open(&mut self) -> Result<Option<Feed>> {
        if !self.check().await? {
            return Ok(None);
        }
        let from = self.order.next();
        let want = self.to.map_or(u64::MAX, |to| to + 1 - from);
        let source = Source { stream: &self.stream, filter: &self.subject, from, want };
        Feed::open(&self.client, source).await.map(Some)
    }

    /// Whether an error may pass by itself.
    fn bear(&mut self, error: Error) -> Result<()> {
        let fatal = match error.kind() {
            ErrorKind::Gap | ErrorKind::RolledBack | ErrorKind::BeyondEnd => true,
            ErrorKind::NoStream => self.created.is_none() || self.suspected_for(SETTLING),
            ErrorKind::Denied | ErrorKind::Invalid => true,
            _ => false,
        };
        let out_of_patience = self.to.is_some() && self.progress.elapsed() > PATIENCE;
        if fatal || out_of_patience { Err(error) } else { Ok(()) }
    }

    /// A tail looks at the stream now and then; a range gives up after a while.
    async fn idle(&mut self) -> Result<()> {
        if let Some(to) = self.to {
            if self.progress.elapsed() > PATIENCE {
                let next = self.order.next();
                let what = format!("read the log at {next} on the way to {to}: nothing comes");
                return Err(Error::new(ErrorKind::Timeout, what));
            }
            return Ok(());
        }
        if self.checked.elapsed() < CHECK {
            return Ok(());
        }
        if let Err(error) = self.check().await {
            self.bear(error)?;
        }
        Ok(())
    }

    /// Compares the stream with what was read of it. `Ok(false)`: not good, but it may pass.
    async fn check(&mut self) -> Result<bool> {
        let info = api::stream_info(&self.client, &self.stream).await?;
        self.checked = Instant::now();
        let known = self.created.get_or_insert_with(|| info.created.clone());
        if *known != info.created {
            return Err(made_anew());
        }
        let short = self.shortfall(&info);
        let Some(error) = short else {
            self.suspect = None;
            return Ok(true);
        };
        if info.config.num_replicas <= 1 || self.suspected_for(SETTLING) {
            return Err(error);
        }
        Ok(false)
    }

    fn shortfall(&self, info: &StreamInfo) -> Option<Error> {
        let last = info.state.last_seq;
        match self.to {
            Some(to) => (last < to).then(|| beyond_end(to, last)),
            None => (last + 1 < self.order.next()).then(|| self.order.rolled_back(last)),
        }
    }

    fn suspected_for(&mut self, long: Duration) -> bool {
        self.suspect.get_or_insert_with(Instant::now).elapsed() > long
    }
}
