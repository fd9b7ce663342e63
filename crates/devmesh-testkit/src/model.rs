//! A scripted model server: what a real coding CLI talks to when no model may be asked.
//!
//! It listens on loopback only and speaks OpenAI Responses (`…/responses`) and chat completions
//! (`…/chat/completions`), Anthropic Messages (`…/messages`) and Gemini
//! (`…/models/NAME:generateContent` and `:streamGenerateContent`), streamed or whole, with
//! `…/messages/count_tokens`, `…:countTokens` and `…/models` beside them. A script is chosen by a
//! directive in the prompt,
//!
//! ```text
//! [[model {"steps":[{"write":{"path":"a.txt","content":"hi\n"}},{"shell":"make"}],
//!          "final":"done","key":"t1"}]]
//! ```
//!
//! else by the base URL (`/s/NAME` or `/s/NAME/k/KEY` before `/v1`), else by the default.
//! The server keeps no conversation: the step is the number of tool results since the newest
//! prompt, so retries, resumed sessions and a whole fleet at once need nothing more.
//!
//! Each dialect is one file with `parse`, `render`, `events`, `opening` and `error`, joined in
//! [`dialect`].

pub mod answer;
pub mod blocks;
pub mod call;
pub mod chat;
pub mod dialect;
pub mod gemini;
pub mod messages;
pub mod record;
pub mod request;
pub mod responses;
pub mod script;
mod serve;
mod shut;
mod wire;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::record::{Seen, Stats};
pub use self::script::{Edit, Fault, FaultKind, Script, Step, Usage, Write};
pub use self::shut::Shut;

use self::serve::Shared;
use self::wire::{Cut, CutListener};

#[cfg(test)]
mod tests;

/// How long a stopping server waits for its connections to end.
const STOP_MS_MAX: u64 = 2000;

/// How to start a server.
#[derive(Debug, Default)]
pub struct Options {
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Scripts by name, besides the built-in ones.
    pub scenarios: BTreeMap<String, Script>,
    /// The scenario of a request that names none. Without it such a request is refused.
    pub default: Option<String>,
    /// Where each request goes as a line of JSON.
    pub log: Option<PathBuf>,
}

/// A running server. It ends when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Server {
    /// Starts a server on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// Starts a server as told.
    ///
    /// # Errors
    /// When the port cannot be bound or the log cannot be opened.
    pub async fn start_with(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let log = match &options.log {
            Some(path) => Some(OpenOptions::new().create(true).append(true).open(path)?),
            None => None,
        };
        let mut scenarios = script::built_in();
        scenarios.extend(options.scenarios);
        let shared = Arc::new(Shared {
            recorder: record::Recorder::default(),
            scenarios: Mutex::new(scenarios),
            default: options.default,
            log: log.map(Mutex::new),
            stop: CancellationToken::new(),
        });
        let service = serve::router(shared.clone()).into_make_service_with_connect_info::<Cut>();
        let stop = shared.stop.clone().cancelled_owned();
        let serving = axum::serve(CutListener(listener), service).with_graceful_shutdown(stop);
        let running = Some(tokio::spawn(async move { serving.await }));
        Ok(Self { address, shared, running })
    }

    /// The server's root, without a slash at the end: Anthropic's base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds or replaces a named scenario.
    pub fn script(&self, name: &str, script: Script) {
        let mut known = self.shared.scenarios.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.to_owned(), script);
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.shared.recorder.stats()
    }

    /// The newest requests, oldest first, [`record::SEEN_MAX`] at most.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.recorder.seen()
    }

    /// Forgets counters and requests.
    pub fn reset(&self) {
        self.shared.recorder.reset();
    }

    /// Waits until this many requests have come; false when the time is up first.
    pub async fn wait_for_requests(&self, requests: u64, limit: Duration) -> bool {
        let mut count = self.shared.recorder.follow();
        let enough = count.wait_for(|seen| *seen >= requests);
        matches!(tokio::time::timeout(limit, enough).await, Ok(Ok(_)))
    }

    /// Stops the server and ends what hangs.
    pub async fn stop(mut self) {
        self.shared.stop.cancel();
        if let Some(running) = self.running.take() {
            let abort = running.abort_handle();
            if tokio::time::timeout(Duration::from_millis(STOP_MS_MAX), running).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
