//! The run: all are started, then measured in turn, round by round.

use super::super::load::{self, Keys, Load, Locker, Series};
use super::super::lock::{self, CLIENTS};
use super::super::world::{self, Responder, World};
use super::programs::Programs;
use super::{LOADS, Measured, Run, etcd, postgres, redis};
use crate::error::Result;

/// Another system that gives out locks.
pub(super) trait Peer {
    type Client: Locker;

    /// A client over a connection of its own, for keys that are used like that.
    async fn client(&self, n: usize, keys: Keys) -> Result<Self::Client>;
}

/// Installs what is missing, starts everything and measures it.
pub(in super::super) fn measure(rounds: usize) -> Result<Run> {
    // Within, so that what an interrupted installation put up is taken down.
    world::measured(async { rounds_of(&Programs::find_or_install()?, rounds).await })
}

async fn rounds_of(programs: &Programs, rounds: usize) -> Result<Run> {
    let etcd = etcd::Etcd::start(&programs.etcd).await?;
    let postgres = postgres::Postgres::start(&programs.postgres).await?;
    let redis = redis::Redis::start(&programs.redis).await?;
    let bare = World::start().await?;
    let null = bare.respond(Responder::Null).await?;
    let world = World::start().await?;
    let most = LOADS.iter().map(|(clients, _)| *clients).max().unwrap_or(1);
    let coordinator = world.coordinator(most).await?;

    let mut run = Run {
        devmesh: Measured {
            name: format!("devmesh {}", env!("CARGO_PKG_VERSION")),
            means: DEVMESH.to_owned(),
            series: Series::default(),
        },
        etcd: etcd.measured(),
        postgres: postgres.measured(),
        redis: redis.measured(),
        null: Series::default(),
    };
    for round in 1..=rounds {
        eprintln!("  round {round} of {rounds}");
        run.null.0.push(lock::loads(&bare, CLIENTS, Keys::Own).await?);
        run.devmesh.series.0.push(devmesh(&world).await?);
        run.etcd.series.0.push(loads(&etcd).await?);
        run.postgres.series.0.push(loads(&postgres).await?);
        run.redis.series.0.push(loads(&redis).await?);
    }
    null.stop().await;
    coordinator.stop().await;
    etcd.stop().await;
    postgres.stop().await;
    redis.stop().await;
    Ok(run)
}

const DEVMESH: &str = "on disk: the server fsyncs each message of the log before it acknowledges \
    (sync_interval: always), and decisions share messages; waiters queue, first come first served; \
    a token that rises with every grant";

async fn devmesh(world: &World) -> Result<[Load; LOADS.len()]> {
    let mut loads = [Load::default(); LOADS.len()];
    for (load, (clients, keys)) in loads.iter_mut().zip(LOADS) {
        [*load] = lock::loads(world, [clients], keys).await?;
    }
    Ok(loads)
}

async fn loads<P: Peer>(peer: &P) -> Result<[Load; LOADS.len()]> {
    let mut loads = [Load::default(); LOADS.len()];
    for (load, (count, keys)) in loads.iter_mut().zip(LOADS) {
        let mut clients = Vec::new();
        for n in 0..count {
            clients.push(peer.client(n, keys).await?);
        }
        *load = load::run(clients, keys).await?;
    }
    Ok(loads)
}
