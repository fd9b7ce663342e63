//! The same bytes again and again until they are answered.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::{Client, Message, Request, RequestError, RequestErrorKind};
use bytes::Bytes;
use futures::future::Future;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};

use crate::error::{Error, ErrorKind, Result};

/// How often a waiting request is sent again: its newest reply subject is the one that counts.
const AGAIN_WAITING: Duration = Duration::from_secs(5);
/// How long the first sending of a prompt request waits before the second; then it doubles, up to
/// [`AGAIN_WAITING`]. Longer than a leader takes to be followed by the next.
const AGAIN_PROMPT: Duration = Duration::from_secs(1);
/// The shortest and the longest pause after "no responders", which comes at once.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// How often a waiting caller looks whether its connection was replaced.
const LOOK: Duration = Duration::from_millis(200);
/// Sendings whose answers are still taken.
const SENDINGS_MAX: usize = 8;

/// How soon an answer is to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// At once.
    Prompt,
    /// When it comes; the request itself waits.
    Waiting,
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The answer.
    Bytes(Bytes),
    /// None in time.
    Unknown {
        /// What was seen last.
        why: String,
    },
}

type Sending = Pin<Box<dyn Future<Output = std::result::Result<Message, RequestError>> + Send>>;

/// The state of one request.
struct Persist<'a> {
    client: &'a Client,
    subject: &'a str,
    payload: Bytes,
    sendings: FuturesUnordered<Sending>,
    connects: u64,
    again: Duration,
    again_at: Instant,
    pause: Duration,
    why: String,
}

pub(super) async fn request(
    client: &Client,
    subject: &str,
    payload: Bytes,
    pace: Pace,
    within: Duration,
) -> Result<Answer> {
    let now = Instant::now();
    let again = if pace == Pace::Waiting { AGAIN_WAITING } else { AGAIN_PROMPT };
    let persist = Persist {
        client,
        subject,
        payload,
        sendings: FuturesUnordered::new(),
        connects: connects(client),
        again,
        again_at: now,
        pause: PAUSE.0,
        why: format!("no answer in {} ms", within.as_millis()),
    };
    // A deadline beyond what the clock can say is none that anybody meets.
    let deadline = now.checked_add(within).unwrap_or(now + Duration::from_secs(86_400 * 365));
    persist.run(deadline).await
}

impl Persist<'_> {
    async fn run(mut self, deadline: Instant) -> Result<Answer> {
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Ok(Answer::Unknown { why: self.why });
            }
            if now >= self.again_at {
                self.send();
            }
            let wake = deadline.min(self.again_at).min(now + LOOK);
            tokio::select! {
                biased;
                Some(answer) = self.sendings.next() => match answer {
                    Ok(message) => return Ok(Answer::Bytes(message.payload)),
                    Err(error) => self.failed(error)?,
                },
                () = sleep_until(wake) => self.look(),
            }
        }
    }

    fn send(&mut self) {
        if self.sendings.len() >= SENDINGS_MAX {
            // Their reply subjects no longer count.
            self.sendings = FuturesUnordered::new();
        }
        let (client, subject) = (self.client.clone(), self.subject.to_owned());
        let request = Request::new().payload(self.payload.clone()).timeout(None);
        self.sendings.push(Box::pin(async move { client.send_request(subject, request).await }));
        self.again_at = Instant::now() + self.again;
        self.again = (self.again * 2).min(AGAIN_WAITING);
    }

    fn failed(&mut self, error: RequestError) -> Result<()> {
        let fatal = match error.kind() {
            RequestErrorKind::InvalidSubject => Some(ErrorKind::Invalid),
            RequestErrorKind::MaxPayloadExceeded => Some(ErrorKind::TooLarge),
            RequestErrorKind::NoResponders
            | RequestErrorKind::TimedOut
            | RequestErrorKind::Other => None,
        };
        if let Some(kind) = fatal {
            return Err(Error::new(kind, format!("send {}", self.subject)).because(error));
        }
        self.why = match error.kind() {
            RequestErrorKind::NoResponders => "nobody leads the mesh now".into(),
            _ => error.to_string(),
        };
        // Full jitter, so that callers do not come back together.
        self.again_at = Instant::now() + PAUSE.0 + jitter(self.pause);
        self.pause = (self.pause * 2).min(PAUSE.1);
        Ok(())
    }

    /// What was in flight on a connection that was lost will never be answered.
    fn look(&mut self) {
        let connects = connects(self.client);
        if connects != self.connects {
            self.connects = connects;
            self.again_at = Instant::now();
        }
    }
}

fn connects(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

/// Some part of `pause`. Not reproducible, and nothing depends on it.
fn jitter(pause: Duration) -> Duration {
    let mut byte = [128_u8];
    // Without randomness every caller waits the same half.
    let _ = getrandom::fill(&mut byte);
    pause * u32::from(byte[0]) / 256
}
