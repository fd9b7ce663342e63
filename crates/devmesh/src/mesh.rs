//! A running mesh on this machine: started, watched, ended. Each process is a real child of its
//! own, in a process group of its own, so that a Ctrl-C reaches devmesh first and the bus goes
//! last.

mod add;
mod begun;
mod bus;
mod checkout;
mod child;
mod detach;
mod end;
mod gate;
mod keeper;
mod plan;
mod signals;
mod start;
mod store;
mod watch;

pub(crate) use add::add;
pub(crate) use begun::begun;
pub(crate) use child::{Kind, last_words};
pub(crate) use detach::{READY, TAKEN, detach};
pub(crate) use end::{AGENT_WITHIN, end_all};
pub(crate) use plan::{Membership, Plan};
pub(crate) use signals::shutdown;

use crate::error::Result;
use crate::state_dir::{RunFile, StateDir};

/// Starts all that the plan says, tells `ready` when it serves, and watches it until it is told to
/// end. Nothing is left running, however it goes. False where another process supervises the mesh:
/// then nothing was done.
pub(crate) async fn supervise(
    state: &StateDir,
    plan: Plan,
    ready: impl FnOnce(&RunFile),
) -> Result<bool> {
    let mut signals = signals::Signals::listen()?;
    let Some(mut mesh) = watch::Mesh::new(state.clone(), plan)? else { return Ok(false) };
    end::end_left(state).await?;
    let started = tokio::select! {
        started = mesh.start() => started,
        () = signals.end() => Err(signals::interrupted()),
    };
    let link = match &started {
        Ok(()) => Some(mesh.person().await),
        Err(_) => None,
    };
    // Ends with this process's watch, never before it.
    let checkouts = async {
        match link {
            Some(Ok(link)) => checkout::watch(state.clone(), link).await,
            Some(Err(error)) => tracing::warn!(error = error.lines().join(" "), "unwatched"),
            None => {}
        }
        std::future::pending::<()>().await;
    };
    let outcome = match started {
        Ok(()) => {
            ready(mesh.run());
            tokio::select! {
                ended = mesh.watch(&mut signals) => ended,
                () = checkouts => Ok(()),
            }
        }
        Err(error) => Err(error),
    };
    mesh.stop(&mut signals).await;
    outcome.map(|()| true)
}
