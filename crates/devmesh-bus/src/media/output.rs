//! What attempts print: one message holds one or more lines, each a line of JSON.

use async_nats::HeaderMap;
use devmesh_protocol::report::OutputLine;
use devmesh_protocol::{MeshId, TaskId, subject};

use crate::api;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::feed::{Delivery, Feed, Source};

/// Bytes of one message of lines.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Stores lines of one attempt and returns when the stream has them.
pub async fn append(
    client: &Client,
    task: TaskId,
    attempt: u32,
    lines: &[OutputLine],
) -> Result<()> {
    let subject = subject::output(client.mesh(), client.actor(), task, attempt);
    let mut body = Vec::new();
    for line in lines {
        let mut text = serde_json::to_vec(line).map_err(|error| {
            Error::new(ErrorKind::Invalid, "write an output line as JSON").because(error)
        })?;
        text.push(b'\n');
        if text.len() > MESSAGE_BYTES_MAX {
            let what = format!("store an output line of {} bytes", text.len());
            return Err(Error::new(ErrorKind::TooLarge, what));
        }
        if body.len() + text.len() > MESSAGE_BYTES_MAX {
            let full = std::mem::take(&mut body);
            api::store(client.nats(), &subject, HeaderMap::new(), None, full.into()).await?;
        }
        body.append(&mut text);
    }
    if body.is_empty() {
        return Ok(());
    }
    api::store(client.nats(), &subject, HeaderMap::new(), None, body.into()).await
}

/// Which output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Of {
    /// The task.
    pub task: TaskId,
    /// The attempt, all where none.
    pub attempt: Option<u32>,
}

/// Reads the output of a task.
pub struct Output {
    client: Client,
    subject: String,
    next: u64,
    follow: bool,
    feed: Option<Feed>,
    /// How many messages there are still, as far as is known; then a reader that does not follow
    /// is done.
    left: Option<u64>,
    lines: std::vec::IntoIter<OutputLine>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl Output {
    /// Reads what there is, oldest first; with `follow` also what comes.
    #[must_use]
    pub fn of(client: &Client, of: Of, follow: bool) -> Self {
        let attempt = of.attempt.map_or("*".to_owned(), |attempt| attempt.to_string());
        let subject = format!("devmesh.{}.output.*.{}.{attempt}", client.mesh(), of.task);
        Self {
            client: client.clone(),
            subject,
            next: 1,
            follow,
            feed: None,
            left: None,
            lines: Vec::new().into_iter(),
        }
    }

    /// The next line; `None` at the end, which one that follows never reaches.
    pub async fn next(&mut self) -> Result<Option<OutputLine>> {
        let mut failures = 0;
        loop {
            if let Some(line) = self.lines.next() {
                return Ok(Some(line));
            }
            if !self.follow && self.left == Some(0) {
                return Ok(None);
            }
            match self.step().await {
                Ok(()) => failures = 0,
                Err(error) if failures >= 5 && !self.follow => return Err(error),
                Err(error) if matches!(error.kind(), ErrorKind::NoStream | ErrorKind::Denied) => {
                    return Err(error);
                }
                Err(_) => {
                    self.feed = None;
                    failures += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<()> {
        let Some(feed) = &mut self.feed else {
            let stream = stream(self.client.mesh());
            let (filter, from) = (self.subject.as_str(), self.next);
            let source = Source { stream: &stream, filter, from, want: u64::MAX };
            let feed = Feed::open(self.client.nats(), source).await?;
            self.left = Some(feed.waiting());
            self.feed = Some(feed);
            return Ok(());
        };
        if let Some(Delivery { stream_seq, pending, message, .. }) = feed.receive().await? {
            self.left = Some(pending);
            if stream_seq >= self.next {
                self.next = stream_seq + 1;
                self.lines = lines(&message.payload).into_iter();
            }
        }
        Ok(())
    }
}

/// What cannot be read is no line: an agent's output is data, not to be trusted.
fn lines(payload: &[u8]) -> Vec<OutputLine> {
    let texts = payload.split(|byte| *byte == b'\n');
    texts.filter_map(|text| serde_json::from_slice(text).ok()).collect()
}

fn stream(mesh: &MeshId) -> String {
    subject::side_stream(mesh, "OUTPUT")
}
