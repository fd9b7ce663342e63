//! The web side: who may come in, the page's own files, and the sockets.
//!
//! **Architecture invariant:** nothing here knows what a frame says.

mod gate;
mod health;
pub mod listen;
mod page;
pub mod secret;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::middleware;
use axum::routing::get;
use devmesh_protocol::MeshId;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::effect::Queues;
use crate::input::Input;
use crate::view::Vital;
use crate::{Error, Result, Secret};
use gate::Gate;

/// Browsers that may look on at once.
const BROWSERS_MAX: usize = 512;

/// What all requests share.
#[derive(Clone, Debug)]
pub(crate) struct Web(Arc<Shared>);

/// The ways to the loop and back.
#[derive(Debug)]
pub(crate) struct Ways {
    /// What happened goes in here.
    pub(crate) door: mpsc::Sender<Input>,
    /// What browsers are told comes out here.
    pub(crate) queues: Queues,
    /// And here how it goes.
    pub(crate) vitals: watch::Receiver<Vital>,
}

#[derive(Debug)]
struct Shared {
    gate: Gate,
    ways: Ways,
    seats: Arc<Semaphore>,
    browsers: AtomicU64,
    stop: CancellationToken,
}

impl Web {
    pub(crate) fn new(
        address: SocketAddr,
        host_names: &[String],
        mesh: &MeshId,
        secret: Secret,
        ways: Ways,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Shared {
            gate: Gate::new(address, host_names, mesh, secret),
            ways,
            seats: Arc::new(Semaphore::new(BROWSERS_MAX)),
            browsers: AtomicU64::new(1),
            stop,
        }))
    }

    /// The address of the page.
    pub(crate) fn url(&self) -> String {
        self.0.gate.url()
    }

    /// A link that signs one browser in.
    pub(crate) fn sign_in(&self) -> Result<String> {
        self.0.gate.secret().link(&self.url())
    }

    fn next_browser(&self) -> u64 {
        self.0.browsers.fetch_add(1, Ordering::Relaxed)
    }
}

/// Serves until `stop`. Sockets end by themselves then.
pub(crate) async fn serve(listener: TcpListener, web: Web, stop: CancellationToken) -> Result<()> {
    let files = page::FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.path, get(move || async move { page::answer(file) }))
    });
    let router = files
        .route("/", get(page::index))
        .route("/health", get(health::answer))
        .route("/ws", get(socket::upgrade))
        .fallback(page::nowhere)
        .method_not_allowed_fallback(page::wrong_method)
        .layer(middleware::from_fn_with_state(web.clone(), gate::pass))
        .with_state(web);
    let listener = listen::Bounded::new(listener);
    let served = axum::serve(listener, router);
    served.with_graceful_shutdown(stop.cancelled_owned()).await.map_err(Error::Serve)
}
