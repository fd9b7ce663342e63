//! Performs effects, each as it says. What takes time goes on beside the loop and comes back as an
//! input.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use devmesh_bus::client::Client;
use devmesh_bus::intake::{Intake, Replies};
use devmesh_bus::log::nats::{NatsLog, NatsOpen};
use devmesh_bus::log::{Log, Open};
use devmesh_bus::media::text;
use devmesh_bus::notice::Announcer;
use devmesh_bus::server;
use devmesh_protocol::{Digest, Record};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered};
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use super::HeadFile;
use super::head;
use super::reading;
use crate::effect::Effect;
use crate::error::Error;
use crate::input::{Input, Now};
use crate::view::store::Room;

/// Batches whose notices are still to be told; beyond it they are dropped, and readers that see
/// the gap read the log.
const ANNOUNCE_MAX: usize = 4_096;
/// Tries of a store beside the log.
const TRIES: u32 = 3;
/// The first and the longest pause between two tries to connect.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// What goes on beside the loop.
pub(super) struct Work {
    link: u64,
    log: Option<NatsLog>,
    /// Belongs to the connection, and is dropped with it.
    on_link: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Belongs to the process.
    beside: FuturesUnordered<BoxFuture<'static, Input>>,
    reading: Option<BoxStream<'static, Vec<Input>>>,
}

enum Done {
    Input(Input),
    Opened(u64, NatsLog),
}

/// Everything that effects are performed with.
pub(super) struct Hands {
    pub(super) intake: Intake,
    pub(super) work: Work,
    client: Client,
    announcer: Announcer,
    announcements: mpsc::Sender<Vec<Arc<Record>>>,
    replies: Replies,
    open: NatsOpen,
    head: HeadFile,
    /// The folder of the store, where it is on this machine.
    store: Option<PathBuf>,
}

impl Hands {
    pub(super) fn new(
        client: Client,
        announcer: Announcer,
        intake: Intake,
        open: NatsOpen,
        (head, store): (HeadFile, Option<PathBuf>),
    ) -> Hands {
        let (announcements, heard) = mpsc::channel(ANNOUNCE_MAX);
        tokio::spawn(announce(announcer.clone(), heard));
        let work = Work {
            link: 0,
            log: None,
            on_link: FuturesUnordered::new(),
            beside: FuturesUnordered::new(),
            reading: None,
        };
        let replies = intake.replies();
        Hands { intake, work, client, announcer, announcements, replies, open, head, store }
    }

    pub(super) fn dropped(&self) -> std::collections::BTreeMap<String, u64> {
        self.intake.dropped()
    }

    pub(super) async fn flush(&mut self) {
        if let Err(error) = self.replies.flush().await {
            tracing::debug!(%error, "the last answers may be lost");
        }
    }

    /// Performs one effect. `Some`: the process ends.
    pub(super) async fn perform(&mut self, effect: Effect, now: Now) -> Option<Result<(), Error>> {
        match effect {
            Effect::Reply { to, bytes } => {
                if let Err(error) = self.replies.send(&to, bytes).await {
                    tracing::debug!(%error, "an answer is lost; its caller asks again");
                }
            }
            Effect::Announce(records) => {
                if self.announcements.try_send(records).is_err() {
                    tracing::warn!("notices are dropped: they are told more slowly than made");
                }
            }
            Effect::Lead(beat) => {
                if let Err(error) = self.announcer.beat(&beat).await {
                    tracing::debug!(%error, "a leader's beat is lost");
                }
            }
            Effect::HearRequests => {
                if let Err(error) = self.intake.open_requests().await {
                    let (link, why) = (self.work.link, devmesh_bus::chain(&error));
                    let lost = Input::Lost { link, why };
                    self.work.beside.push(Box::pin(std::future::ready(lost)));
                }
            }
            Effect::IgnoreRequests { forget } => {
                self.intake.close_requests();
                if forget {
                    let n = self.intake.discard_requests();
                    tracing::debug!(n, "requests are left to whoever leads");
                }
            }
            Effect::StoreText { .. } | Effect::ReadText { .. } | Effect::DeleteText { .. } => {
                self.beside_the_log(effect);
            }
            Effect::Remember(chain) => {
                if let Some(path) = &self.head
                    && let Err(error) = head::write(path, &chain)
                {
                    tracing::warn!(error = devmesh_bus::chain(&error), "the head is not kept");
                }
            }
            Effect::WeighStore => {
                let weigh = |dir: PathBuf| Room { free: server::free(&dir).ok(), dir };
                let weighed = Input::Weighed(self.store.clone().map(weigh));
                self.work.beside.push(Box::pin(std::future::ready(weighed)));
            }
            Effect::Reopen { link, after_ms } => self.reopen(link, after_ms),
            Effect::Halt(error) => return Some(Err(error)),
            Effect::Done => return Some(Ok(())),
            effect => self.work.on_log(effect, now),
        }
        None
    }

    fn reopen(&mut self, link: u64, after_ms: u64) {
        let work = &mut self.work;
        (work.link, work.log, work.reading) = (link, None, None);
        // Dropping what is under way drops the last handles on the connection.
        work.on_link = FuturesUnordered::new();
        let open = self.open.clone();
        work.on_link.push(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            let mut pause = PAUSE.0;
            loop {
                match open.open().await {
                    Ok(log) => return Done::Opened(link, log),
                    Err(error) => {
                        tracing::debug!(error = devmesh_bus::chain(&error), "not connected yet")
                    }
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }));
    }

    fn beside_the_log(&mut self, effect: Effect) {
        let client = self.client.clone();
        let work: BoxFuture<'static, Input> = match effect {
            Effect::StoreText { digest, text } => Box::pin(async move {
                let stored = tries(|| text::put(&client, &text)).await.map(drop);
                Input::TextStored { digest, stored }
            }),
            Effect::ReadText { digest } => Box::pin(async move {
                Input::TextRead { digest, text: read_text(&client, &digest).await }
            }),
            Effect::DeleteText { digest } => Box::pin(async move {
                let deleted = tries(|| text::delete(&client, &digest)).await.map(drop);
                Input::TextDeleted { digest, deleted }
            }),
            _ => return,
        };
        self.work.beside.push(work);
    }
}

async fn read_text(client: &Client, digest: &Digest) -> Result<Option<String>, String> {
    text::get(client, digest).await.map_err(|error| devmesh_bus::chain(&error))
}

/// Tries a few times; a store that restarts is back within a second or two.
async fn tries<T, F>(attempt: impl Fn() -> F) -> Result<T, String>
where
    F: Future<Output = devmesh_bus::Result<T>>,
{
    let mut tried = 0;
    loop {
        tried += 1;
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) if tried == TRIES => return Err(devmesh_bus::chain(&error)),
            Err(_) => tokio::time::sleep(PAUSE.1 * tried).await,
        }
    }
}

async fn announce(announcer: Announcer, mut heard: mpsc::Receiver<Vec<Arc<Record>>>) {
    while let Some(records) = heard.recv().await {
        for record in records {
            if let Err(error) = announcer.announce(&record).await {
                tracing::debug!(%error, seq = record.seq, "a notice is lost");
            }
        }
    }
}

impl Work {
    /// What is asked of the log. Without a connection nothing is: the step hears of its loss.
    fn on_log(&mut self, effect: Effect, now: Now) {
        if matches!(effect, Effect::StopReading) {
            self.reading = None;
            return;
        }
        let Some(log) = self.log.clone() else { return };
        match effect {
            Effect::AskLast { link } => self.on_link.push(Box::pin(async move {
                let last = log.last().await.map_err(|error| devmesh_bus::chain(&error));
                let replicas = log.replicas();
                Done::Input(Input::Last { link, asked_at: now.mono_ms, last, replicas })
            })),
            Effect::Append { link, expected_last, epoch, payload } => {
                let mut append: BoxFuture<'static, Done> = Box::pin(async move {
                    let outcome = log.append(expected_last, epoch, payload).await;
                    Done::Input(Input::Appended { link, outcome })
                });
                // It is sent now, ahead of the answers that follow; the disk is what takes time.
                self.on_link.push(match (&mut append).now_or_never() {
                    Some(done) => Box::pin(std::future::ready(done)),
                    None => append,
                });
            }
            Effect::Read { link, from, to } => {
                self.reading = Some(reading::inputs(link, log.read(from, to)));
            }
            Effect::Follow { link, from } => {
                self.reading = Some(reading::inputs(link, log.tail(from)));
            }
            Effect::ReadRecord { ticket, after, to, seq } => {
                self.beside.push(Box::pin(async move {
                    let record = reading::record(&log, after, to, seq).await;
                    Input::RecordRead { ticket, record }
                }));
            }
            _ => {}
        }
    }

    /// Waits until something has come of it. Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self, inputs: &mut Vec<Input>) {
        let Work { on_link, beside, reading, .. } = self;
        let read = async {
            match reading {
                Some(reading) => reading.next().await,
                None => std::future::pending().await,
            }
        };
        let done = tokio::select! {
            biased;
            Some(done) = on_link.next(), if !on_link.is_empty() => done,
            Some(input) = beside.next(), if !beside.is_empty() => Done::Input(input),
            read = read => {
                match read {
                    Some(read) => inputs.extend(read),
                    None => *reading = None,
                }
                return;
            }
        };
        match done {
            Done::Input(input) => inputs.push(input),
            Done::Opened(link, log) => {
                self.log = Some(log);
                inputs.push(Input::Opened { link });
            }
        }
    }

    /// Whether the connection is gone.
    pub(super) fn lost(&mut self) -> Option<Input> {
        let is_lost = self.log.as_ref().is_some_and(|log| !log.is_connected());
        is_lost.then(|| Input::Lost { link: self.link, why: "the connection is gone".to_owned() })
    }
}
