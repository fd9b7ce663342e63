//! What a step leads to, and its performing. No `if` on state here: an effect says all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use devmesh_bus::chain;
use devmesh_bus::client::Outcome;
use devmesh_protocol::{Command, Reply};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::input::{Heard, Input};

/// Frames that wait for one browser. They are shared between browsers: what a slow one holds up
/// is paid for once, whatever the number of slow ones.
const WAITING_MAX: usize = 256;

/// What is asked of the coordinator.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A command.
    Command(Box<Command>),
    /// A query.
    Query {
        /// Which.
        what: &'static str,
        /// Its body.
        body: Value,
    },
}

/// Sends a request to the coordinator.
pub type Ask =
    Arc<dyn Fn(Request) -> BoxFuture<'static, devmesh_bus::Result<Outcome>> + Send + Sync>;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Sends a browser a frame.
    Send {
        /// Which.
        browser: u64,
        /// What.
        frame: Utf8Bytes,
    },
    /// Lets a browser go.
    Close {
        /// Which.
        browser: u64,
    },
    /// Sends a browser's request to the coordinator.
    Ask {
        /// Whose.
        browser: u64,
        /// The number that the browser gave it.
        n: u64,
        /// What.
        request: Request,
    },
    /// Asks the coordinator for what its memory holds beside the log.
    Listen,
    /// Reads the log no further.
    StopReading,
}

/// The ends of the queues to the browsers' sockets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queues(Arc<Mutex<BTreeMap<u64, Queue>>>);

/// The way to one socket.
#[derive(Debug)]
struct Queue {
    frames: mpsc::Sender<Utf8Bytes>,
    /// Cancelled when the browser is let go, so that a socket stuck in sending ends too.
    gone: CancellationToken,
}

impl Queues {
    /// A queue for a new browser.
    pub(crate) fn open(&self, browser: u64) -> (mpsc::Receiver<Utf8Bytes>, CancellationToken) {
        let (frames, waiting) = mpsc::channel(WAITING_MAX);
        let gone = CancellationToken::new();
        self.lock().insert(browser, Queue { frames, gone: gone.clone() });
        (waiting, gone)
    }

    /// Ends it.
    pub(crate) fn close(&self, browser: u64) {
        if let Some(queue) = self.lock().remove(&browser) {
            queue.gone.cancel();
        }
    }

    fn send(&self, browser: u64, frame: Utf8Bytes) {
        let mut queues = self.lock();
        let Some(queue) = queues.get(&browser) else { return };
        if queue.frames.try_send(frame).is_err() {
            tracing::debug!(browser, "let go of a browser that does not keep up");
            queue.gone.cancel();
            queues.remove(&browser);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Performs effects. Answers come back as inputs through the door.
pub(crate) struct Performer {
    pub(crate) queues: Queues,
    pub(crate) ask: Ask,
    pub(crate) door: mpsc::Sender<Input>,
}

impl Performer {
    /// Performs one effect; [`Effect::StopReading`] is the inputs' own.
    pub(crate) fn perform(&self, effect: Effect) {
        match effect {
            Effect::Send { browser, frame } => self.queues.send(browser, frame),
            Effect::Close { browser } => self.queues.close(browser),
            Effect::Ask { browser, n, request } => {
                let (asked, door) = ((self.ask)(request), self.door.clone());
                tokio::spawn(async move {
                    let outcome = asked.await.map_err(|error| chain(&error));
                    // The loop may have ended meanwhile.
                    let _ = door.send(Input::Answered { browser, n, outcome }).await;
                });
            }
            Effect::Listen => {
                let (ask, door) = (Arc::clone(&self.ask), self.door.clone());
                tokio::spawn(async move {
                    let heard = listen(&ask).await;
                    let _ = door.send(Input::Heard(heard)).await;
                });
            }
            Effect::StopReading => {}
        }
    }
}

async fn listen(ask: &Ask) -> Option<Heard> {
    let query = |what, body| async move {
        match ask(Request::Query { what, body }).await {
            Ok(Outcome::Reply(Reply::Ok { result, .. })) => Some(result),
            // A refusal is an answer too: somebody leads.
            Ok(Outcome::Reply(Reply::Err { .. })) => Some(Value::Null),
            Ok(Outcome::Unknown { .. }) | Err(_) => None,
        }
    };
    let state = query("state", json!({})).await?;
    Some(Heard {
        stale: state["stale"].as_str().map(str::to_owned),
        hosts: query("hosts", json!({})).await?,
        agents: query("agents", json!({})).await?,
        tasks: query("tasks", json!({ "state": "working" })).await?,
    })
}

#[cfg(test)]
mod tests;
