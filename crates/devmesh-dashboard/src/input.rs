//! What can happen to a dashboard: one closed enum, gathered by one `select!`.

use std::future::pending;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use devmesh_bus::client::Outcome;
use devmesh_bus::log::{Entry, Log};
use devmesh_bus::{Error, ErrorKind, chain};
use futures::StreamExt;
use futures::stream::{BoxStream, ReadyChunks};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

/// Messages of the log taken at a time.
const ENTRIES: usize = 64;
/// The pause before the log is read on after its connection was lost.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// The shortest time between two pushes to the browsers.
const PACE_MIN: Duration = Duration::from_millis(25);
/// Of the time there is, at most one part in so many goes into pushes.
const PACE_SHARE: u32 = 4;
/// Between two looks at what the log does not hold.
const LISTEN: Duration = Duration::from_secs(3);

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The log's last message when reading began: what is before it is history.
    Ends {
        /// Its position.
        stream_seq: u64,
    },
    /// Messages of the log, in order.
    Entries(Vec<Entry>),
    /// The log cannot be read now, or ever again.
    Unreadable {
        /// What was said.
        what: String,
        /// It is not whole; nothing after this can be believed.
        broken: bool,
    },
    /// A browser connected.
    Joined {
        /// Which.
        browser: u64,
    },
    /// A browser said something.
    Said {
        /// Which.
        browser: u64,
        /// What.
        text: Utf8Bytes,
    },
    /// A browser is gone.
    Left {
        /// Which.
        browser: u64,
    },
    /// The coordinator answered a browser's request, or did not.
    Answered {
        /// Whose.
        browser: u64,
        /// The number that the browser gave it.
        n: u64,
        /// What came of it; an error is one of sending.
        outcome: Result<Outcome, String>,
    },
    /// What the coordinator's memory holds beside the log; none where it did not answer.
    Heard(Option<Heard>),
    /// It is time to send what has changed.
    Push,
    /// It is time to ask for what the log does not hold.
    Listen,
    /// Somebody asks how it goes, who need not look on.
    Wanted,
}

/// What the coordinator's memory holds beside the log.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The answer to `hosts`.
    pub hosts: Value,
    /// The answer to `agents`.
    pub agents: Value,
    /// The answer to `tasks` that are being worked on.
    pub tasks: Value,
    /// Where the coordinator answers and can decide nothing: why, and what to do.
    pub stale: Option<String>,
}

type Chunks = ReadyChunks<BoxStream<'static, devmesh_bus::Result<Entry>>>;

/// Where inputs come from.
pub(crate) struct Inputs<L> {
    log: L,
    state: Reading,
    door: mpsc::Receiver<Input>,
    listen: tokio::time::Interval,
    pushed: Instant,
    pace: Duration,
    held: Option<Input>,
    shutdown: CancellationToken,
}

enum Reading {
    /// Not begun.
    Begin,
    Tail(Chunks),
    /// Again at that time.
    Pause(Instant),
    Never,
}

impl<L: Log> Inputs<L> {
    pub(crate) fn new(log: L, door: mpsc::Receiver<Input>, shutdown: CancellationToken) -> Self {
        let mut listen = interval(LISTEN);
        listen.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            log,
            state: Reading::Begin,
            door,
            listen,
            pushed: Instant::now(),
            pace: PACE_MIN,
            held: None,
            shutdown,
        }
    }

    /// The next input; none when the end was asked for. `read` is the last message that was
    /// taken, `stale` whether there is something to push.
    pub(crate) async fn next(&mut self, read: u64, stale: bool) -> Option<Input> {
        if let Some(input) = self.held.take() {
            return Some(input);
        }
        let push_at = stale.then_some(self.pushed + self.pace);
        tokio::select! {
            () = self.shutdown.cancelled() => None,
            () = at(push_at) => {
                self.pushed = Instant::now();
                Some(Input::Push)
            }
            Some(input) = self.door.recv() => Some(input),
            _ = self.listen.tick() => Some(Input::Listen),
            input = Self::read(&self.log, &mut self.state, &mut self.held, read) => Some(input),
        }
    }

    /// What a push cost; the next one comes accordingly later.
    pub(crate) fn cost(&mut self, cost: Duration) {
        self.pace = PACE_MIN.max(cost * PACE_SHARE);
        self.pushed = Instant::now();
    }

    /// Reads on. Can be cancelled at any await: what was taken is in the state or returned.
    async fn read(log: &L, state: &mut Reading, held: &mut Option<Input>, read: u64) -> Input {
        loop {
            match state {
                Reading::Never => pending().await,
                Reading::Pause(until) => {
                    sleep_until(*until).await;
                    *state = Reading::Begin;
                }
                Reading::Begin => match log.last().await {
                    Ok(stream_seq) => {
                        *state = Reading::Tail(log.tail(read + 1).ready_chunks(ENTRIES));
                        return Input::Ends { stream_seq };
                    }
                    Err(error) => return Self::failed(state, &error),
                },
                Reading::Tail(chunks) => {
                    let Some(chunk) = chunks.next().await else {
                        let error = Error::new(ErrorKind::Connect, "read the log: it ended");
                        return Self::failed(state, &error);
                    };
                    let mut entries = Vec::with_capacity(chunk.len());
                    let mut failed = None;
                    for entry in chunk {
                        match entry {
                            Ok(entry) => entries.push(entry),
                            Err(error) => failed = Some(Self::failed(state, &error)),
                        }
                    }
                    match failed {
                        Some(failed) if entries.is_empty() => return failed,
                        failed => *held = failed,
                    }
                    return Input::Entries(entries);
                }
            }
        }
    }

    fn failed(state: &mut Reading, error: &Error) -> Input {
        let broken = matches!(error.kind(), ErrorKind::Gap | ErrorKind::RolledBack);
        *state = if broken { Reading::Never } else { Reading::Pause(Instant::now() + READ_AGAIN) };
        Input::Unreadable { what: chain(error), broken }
    }

    /// Nothing of the log is read any more.
    pub(crate) fn stop_reading(&mut self) {
        self.state = Reading::Never;
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
