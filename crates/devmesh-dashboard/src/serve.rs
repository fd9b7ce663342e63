//! The loop around [`step`](crate::step): waits for something to happen, takes the step, and has
//! its effects performed; and the web server beside it. The log is NATS's or the one in memory.

use std::time::{Duration, Instant};

use devmesh_bus::log::Log;
use devmesh_protocol::{ActorId, MeshId};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::effect::{Ask, Effect, Performer, Queues};
use crate::input::{Input, Inputs};
use crate::step::step;
use crate::view::{View, Vital};
use crate::web::{self, Ways, Web};
use crate::{Bound, Error, Result, Secret};

/// Inputs that wait; who brings more waits with them.
const DOOR: usize = 1_024;
/// How long connections may take to end.
const STOP: Duration = Duration::from_secs(2);

/// What a dashboard is made of.
pub struct Parts<L> {
    /// The log to show.
    pub log: L,
    /// The way to the coordinator.
    pub ask: Ask,
    /// The mesh's name.
    pub mesh: MeshId,
    /// Who sends the commands that people click.
    pub actor: ActorId,
    /// Where browsers connect.
    pub listener: TcpListener,
    /// What browsers are known by.
    pub secret: Secret,
    /// Names and addresses that browsers may reach it by, beside the one it listens on.
    pub host_names: Vec<String>,
}

/// Serves until `shutdown`.
///
/// # Errors
/// Where the web server ends by itself.
pub async fn serve<L: Log>(
    parts: Parts<L>,
    bound: oneshot::Sender<Bound>,
    shutdown: CancellationToken,
) -> Result<()> {
    let address = parts.listener.local_addr().map_err(Error::Serve)?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "the dashboard is open to the network, without encryption");
    }
    let (door, inputs) = mpsc::channel(DOOR);
    let queues = Queues::default();
    let (vital, vitals) = watch::channel(Vital::default());
    // The web side ends with the loop, whichever way that ends.
    let stop = shutdown.child_token();
    let web = Web::new(
        address,
        &parts.host_names,
        &parts.mesh,
        parts.secret,
        Ways { door: door.clone(), queues: queues.clone(), vitals },
        stop.clone(),
    );
    let here = Bound { url: web.url(), sign_in: web.sign_in()? };
    let mut served = tokio::spawn(web::serve(parts.listener, web, stop.clone()));
    // Whoever started this may not want to know.
    let _ = bound.send(here);
    let boot = Secret::random()?.cookie()[..16].to_owned();
    let view = View::new(boot, parts.mesh, parts.actor);
    let performer = Performer { queues, ask: parts.ask, door };
    let inputs = Inputs::new(parts.log, inputs, stop.clone());
    tokio::select! {
        () = drive(view, inputs, performer, &vital) => {}
        ended = &mut served => return ended.unwrap_or_else(|error| Err(Error::Serve(error.into()))),
    }
    stop.cancel();
    match tokio::time::timeout(STOP, &mut served).await {
        Ok(ended) => ended.unwrap_or_else(|error| Err(Error::Serve(error.into()))),
        Err(_) => {
            served.abort();
            Ok(())
        }
    }
}

async fn drive<L: Log>(
    mut view: View,
    mut inputs: Inputs<L>,
    performer: Performer,
    vital: &watch::Sender<Vital>,
) {
    while let Some(input) = inputs.next(view.read(), view.is_stale()).await {
        let began = matches!(input, Input::Push).then(Instant::now);
        for effect in step(&mut view, input) {
            if effect == Effect::StopReading {
                inputs.stop_reading();
            }
            performer.perform(effect);
        }
        if let Some(began) = began {
            inputs.cost(began.elapsed());
        }
        vital.send_if_modified(|told| std::mem::replace(told, view.vital()) != *told);
    }
}
