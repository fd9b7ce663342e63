//! Output as lines, each and all of them within bounds, whatever the CLI writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::RunEvent;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// What the tool has to say; its JSON where it has some.
    Stdout,
    /// Noise, and the reason of a refused flag.
    Stderr,
}

/// A line of output without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it came from.
    pub stream: Stream,
    /// What it says; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// It was longer than the bound.
    pub cut: bool,
}

/// What both outputs of a run have brought so far.
#[derive(Debug)]
pub(super) struct Flow {
    started: Instant,
    last_ms: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
    line_bytes: usize,
    total_bytes: u64,
}

impl Flow {
    pub(super) fn new(line_bytes: usize, total_bytes: u64) -> Self {
        Self {
            started: Instant::now(),
            last_ms: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            line_bytes,
            total_bytes,
        }
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn last_ms(&self) -> u64 {
        self.last_ms.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn saw(&self, bytes: usize) {
        self.last_ms.store(self.now_ms(), Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.total_bytes
    }
}

/// Reads to the end of the output and sends its lines on. It goes on reading when nobody listens
/// or the bound is reached: a CLI must never block on its own chatter.
pub(super) async fn forward(
    output: impl AsyncRead + Unpin,
    stream: Stream,
    events: mpsc::Sender<RunEvent>,
    flow: Arc<Flow>,
) {
    let mut reader = BufReader::with_capacity(32 << 10, output);
    let (mut line, mut cut) = (Vec::new(), false);
    loop {
        let chunk = match reader.fill_buf().await {
            Ok(chunk) if !chunk.is_empty() => chunk,
            Ok(_) | Err(_) => break,
        };
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = flow.line_bytes.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        cut |= part.len() > room;
        let used = part.len() + usize::from(end.is_some());
        flow.saw(used);
        reader.consume(used);
        if end.is_some() {
            send(&mut line, &mut cut, stream, &events, &flow).await;
        }
    }
    if !line.is_empty() || cut {
        send(&mut line, &mut cut, stream, &events, &flow).await;
    }
}

async fn send(
    line: &mut Vec<u8>,
    cut: &mut bool,
    stream: Stream,
    events: &mpsc::Sender<RunEvent>,
    flow: &Flow,
) {
    let (bytes, was_cut) = (std::mem::take(line), std::mem::take(cut));
    if flow.is_full() {
        flow.dropped.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let text = String::from_utf8_lossy(&bytes).trim_end_matches('\r').to_owned();
    let _ = events.send(RunEvent::Line(Line { stream, text, cut: was_cut })).await;
}
