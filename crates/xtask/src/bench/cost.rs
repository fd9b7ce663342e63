//! What a command costs in processor time, process by process: on a machine that others use too,
//! rates and times waver and this does not.

use std::time::Instant;

use devmesh_bus::client::Client;

use super::load::{Keys, Locker, own_key};
use super::lock::{CLIENTS, Person};
use super::world::{self, Responder, Running, World, failed};
use super::{Against, Row, usage};
use crate::error::{Error, Result};

/// Pairs of commands before those that count, and those that count; by all clients together.
const WARM_UP: usize = 2_000;
const PAIRS: usize = 16_000;

/// Microseconds for a command.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    pub(super) coordinator: f64,
    pub(super) server: f64,
    pub(super) clients: f64,
}

impl Cost {
    fn all(&self) -> f64 {
        self.coordinator + self.server + self.clients
    }
}

/// Measures every number of clients against the coordinator and against an empty responder.
pub(super) fn of_a_command() -> Result<Vec<Row>> {
    world::measured(measure())
}

async fn measure() -> Result<Vec<Row>> {
    let bare = World::start().await?;
    let null = costs(&bare, bare.respond(Responder::Null).await?).await?;
    let whole = World::start().await?;
    let most = CLIENTS.iter().max().copied().unwrap_or(1);
    let devmesh = costs(&whole, whole.coordinator(most).await?).await?;
    let mut rows = Vec::new();
    for (clients, (devmesh, null)) in CLIENTS.into_iter().zip(devmesh.into_iter().zip(null)) {
        let mut row = |who: &str, value, null: Option<f64>| {
            let what = format!("CPU of a command, {clients} clients, {who}");
            let against =
                null.map(|value| Against { what: "empty responder".to_owned(), value, aim: None });
            rows.push(Row { bench: "cost", what, value, unit: "µs", against });
        };
        row("coordinator", devmesh.coordinator, None);
        row("server", devmesh.server, Some(null.server));
        // The empty responder is a part of the process that its clients are in.
        row("clients", devmesh.clients, None);
        row("all", devmesh.all(), Some(null.all()));
    }
    Ok(rows)
}

async fn costs(world: &World, running: Running) -> Result<[Cost; CLIENTS.len()]> {
    let mut costs = [Cost::default(); CLIENTS.len()];
    for (cost, clients) in costs.iter_mut().zip(CLIENTS) {
        *cost = of(world, &running, clients, PAIRS).await?;
    }
    running.stop().await;
    Ok(costs)
}

/// What a command costs that many clients, over that many pairs of commands by all together.
pub(super) async fn of(
    world: &World,
    running: &Running,
    clients: usize,
    pairs: usize,
) -> Result<Cost> {
    let connected = load(world.people(clients).await?, WARM_UP.min(pairs / 4) / clients).await?;
    let pids = [running.pid(), Some(world.server_pid()), Some(std::process::id())];
    let before = used(&pids)?;
    let begun = Instant::now();
    load(connected, pairs / clients).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let after = used(&pids)?;
    let each = |n: usize| (after[n] - before[n]) / (pairs as f64 * 2.0);
    eprintln!("  {clients} clients: {:.0} pairs/s", pairs as f64 / seconds);
    Ok(Cost { coordinator: each(0), server: each(1), clients: each(2) })
}

async fn load(clients: Vec<Client>, pairs: usize) -> Result<Vec<Client>> {
    let each = |(n, client): (usize, Client)| {
        tokio::spawn(async move {
            let mut person = Person::new(client.clone(), Keys::Own);
            for turn in 0..pairs {
                person.take(&own_key(n, turn)).await?;
                person.give().await?;
            }
            Ok::<Client, Error>(client)
        })
    };
    let tasks: Vec<_> = clients.into_iter().enumerate().map(each).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.map_err(failed("run a client"))??);
    }
    Ok(done)
}

/// The processor time that each process has used, in microseconds; none of no process.
fn used(pids: &[Option<u32>; 3]) -> Result<[f64; 3]> {
    let mut used = [0.0; 3];
    for (used, pid) in used.iter_mut().zip(pids) {
        if let Some(pid) = pid {
            *used = usage::cpu_us(*pid)?;
        }
    }
    Ok(used)
}
