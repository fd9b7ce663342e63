//! The single writer: takes commands, decides, appends.
//!
//! Commands come in as messages and become [`input::Input`]s, with both clocks read beside them.
//! [`step`] is all there is of judgement: a function of what is known ([`view::View`]) and one
//! input, which says what to do ([`effect::Effect`]). It decides with the domain, folds what was
//! decided into a state that runs ahead, and appends it in batches, one in flight at a time; an
//! answer leaves when the record it depends on is acknowledged. What is acknowledged is folded a
//! second time, into the state that queries see and the next term begins with.
//!
//! A term ends at the first append that is not plainly acknowledged. From then on it answers
//! nothing: whether the append was stored is for a new term to find out, which reads the log over
//! a fresh connection and begins with an append of its own. Commands that were not answered are
//! decided again, under their ids.
//!
//! **Architecture invariant:** [`step`] reads no clock, network, disk or randomness, and is not
//! async. The same inputs lead to the same effects.
//!
//! **Architecture invariant:** nothing that has read the state leaves before the newest record in
//! that state is acknowledged.
//!
//! **Architecture invariant:** one append in flight, ever. A pipelined expected position is no
//! fence.
//!
//! **Architecture invariant:** no heartbeat, bid, sample or progress message is in the state; what
//! follows from them is a decision that carries the measured number.

mod drive;
pub mod effect;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod input;
pub mod step;
mod term;
pub mod view;

use std::path::PathBuf;

use devmesh_protocol::MeshId;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub use error::Error;

/// What a coordinator is told when it starts.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The bus; several servers with a comma between.
    #[arg(long, env = "DEVMESH_NATS_URL", default_value = "nats://127.0.0.1:4222")]
    pub nats_url: String,
    /// The credential of the role coordinator.
    #[arg(long, env = "DEVMESH_CREDS")]
    pub creds: Option<PathBuf>,
    /// The mesh it writes for.
    #[arg(long, env = "DEVMESH_MESH", default_value = "default")]
    pub mesh: MeshId,
    /// Its name in the terms that it leads; the host's where none is given.
    #[arg(long, env = "DEVMESH_NODE")]
    pub node: Option<String>,
    /// Where it keeps how far it has read the log.
    #[arg(long, env = "DEVMESH_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// The folder of the server's store, where it is on this machine: named, with what is free
    /// there, when the store takes nothing.
    #[arg(long, env = "DEVMESH_STORE_DIR")]
    pub store_dir: Option<PathBuf>,
    /// Believe whoever a subject names: for servers without credentials, in tests.
    #[arg(long, hide = true)]
    pub trust_everybody: bool,
}

/// Runs a coordinator: as a standby, and as the leader when no other leads. Ends when `shutdown`
/// is cancelled and everything that was decided is answered; at once, as if it were killed, when
/// this is dropped.
///
/// It has a thread of its own with all that it does in it: a command goes through several tasks
/// and two connections, and between threads each step would cost a wake-up, and each answer a
/// write of its own.
///
/// # Errors
/// Where the bus is not reached at the start, or the log cannot be believed.
pub async fn run(args: Args, shutdown: CancellationToken) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Thread { source })?;
    let (mut outcome, ended) = oneshot::channel();
    let work = move || {
        let ended = runtime.block_on(async {
            tokio::select! {
                biased;
                () = outcome.closed() => None,
                ended = drive::run(args, shutdown) => Some(ended),
            }
        });
        // What decodes a log for a coordinator that has ended is not waited for.
        runtime.shutdown_background();
        if let Some(ended) = ended {
            // Whoever asked may be gone.
            let _ = outcome.send(ended);
        }
    };
    let thread = std::thread::Builder::new().name("coordinator".to_owned());
    let thread = thread.spawn(work).map_err(|source| Error::Thread { source })?;
    match ended.await {
        Ok(ended) => ended,
        Err(_) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("a thread that was not given up tells how it ended"),
        },
    }
}
