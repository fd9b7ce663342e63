//! Runs a coding CLI on a task in a worktree, proves the work, lands it, and reports facts.
//!
//! One process is one agent. It joins, beats, bids in auctions, and for each task it wins goes one
//! straight way: look up, start, slot, run, capture, lease, verify, take a turn, land, complete.
//! `input` is all that it reacts to, `step` decides without touching anything, `effect` does.
//!
//! **Architecture invariant:** the log is the truth. Nothing here writes it; what this process
//! knows it knows from answers, notices and git, and a restart finds all of it again.
//!
//! **Architecture invariant:** no file of a user's checkout is touched but by `git merge
//! --ff-only` on a branch that was chosen to land on; no hook, no configuration, no home.
//!
//! **Architecture invariant:** nothing that a task says is run but by its tool: setup and verify
//! commands come from the repository's configuration or a person, never from the worktree.
//!
//! **Architecture invariant:** a process that has lost its attempt lands nothing: each landing is
//! fenced by the turn ref, and each command by the attempt's token.

pub mod believe;
pub mod builds;
pub mod classify;
pub mod clock;
pub mod config;
pub mod dialect;
pub mod effect;
pub mod error;
mod file;
#[cfg(test)]
mod fixture;
pub mod git;
pub mod guard;
mod id;
pub mod input;
pub mod keeper;
pub mod land;
pub mod mask;
pub mod origin;
pub mod outbox;
pub mod process;
pub mod profile;
pub mod prompt;
pub mod save;
mod shell;
pub mod slot;
mod state;
pub mod step;
#[cfg(test)]
mod tests;
mod text;
pub mod verify;
pub mod view;

pub use config::{Args, Config};
pub use error::{Error, Result};

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use devmesh_bus::client::Client;
use devmesh_bus::notice::{Filter, Notices};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::effect::{Performer, World};
use crate::input::Inputs;
use crate::outbox::Outbox;
use crate::view::View;

/// Results of effects that wait to be taken up.
const INPUTS_WAITING_MAX: usize = 1_024;
/// Between the polite signal and the killing one to runs of an earlier process.
const FENCE_GRACE: Duration = Duration::from_secs(2);
/// A shutdown that takes longer than this leaves the rest to the next process.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);

/// Runs the agent until `shutdown`, or until its actor is ended.
///
/// # Errors
/// When its tool, its state or the bus is not there at the start.
pub async fn run(args: Args, client: Client, shutdown: CancellationToken) -> Result<()> {
    process::become_subreaper();
    let config = Arc::new(Config::resolve(args, &client).await?);
    let _alone = state::lock(&config.state, config.actor.as_str())?;
    process::fence(&config.state.join("runs"), FENCE_GRACE).await?;
    let session = state::session(&config.state).await;
    let outbox = Outbox::open(&config.state, &config.actor).await?;
    let notices = Notices::subscribe(&client, &Filter::All).await;
    let notices = notices.map_err(|source| Error::Bus {
        doing: "hear the mesh's notices".into(),
        source: Box::new(source),
    })?;
    let clock = Clock::start();
    let (sender, results) = mpsc::channel(INPUTS_WAITING_MAX);
    let mut view = View::new(config.me.clone(), session);
    let world = World {
        config,
        post: keeper::Post::new(&client),
        reached: Arc::default(),
        client: client.clone(),
        outbox: Arc::new(Mutex::new(outbox)),
        inputs: sender,
        clock,
    };
    let mut performer = Performer::new(world);
    let mut inputs = Inputs::new(clock, results, notices, shutdown.clone());
    let work = async {
        loop {
            let timed = inputs.next().await;
            for effect in step::step(&mut view, timed) {
                if performer.perform(effect) == ControlFlow::Break(()) {
                    return;
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = async {
            shutdown.cancelled().await;
            tokio::time::sleep(SHUTDOWN_LIMIT).await;
        } => tracing::warn!("the shutdown took too long; the rest is the next process's"),
    }
    // What was sent last is still in the client's queue.
    if let Err(error) = client.flush().await {
        tracing::debug!(%error, "the bus went first");
    }
    Ok(())
}
