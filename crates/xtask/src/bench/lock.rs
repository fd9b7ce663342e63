//! Locks as clients see them: durable acquire and release, a connection each, beside the same
//! load answered by nothing and beside one request with one fsynced append.

use std::time::{Duration, Instant};

use devmesh_bus::client::Client;
use serde_json::json;

use super::sample::Times;
use super::world::{self, Responder, Running, World, ask, failed};
use super::{Against, Aim, Row};
use crate::error::Result;

/// Rounds of every load; the median is told. Rounds of all responders alternate, so that a noisy
/// minute hits all alike.
const ROUNDS: usize = 3;
const WARM_UP: Duration = Duration::from_millis(300);
const MEASURED: Duration = Duration::from_millis(1500);
const CLIENTS: [usize; 3] = [1, 16, 64];

/// What one load gave.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    pairs_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// A load for each number of clients, round by round.
#[derive(Default)]
struct Series(Vec<[Load; CLIENTS.len()]>);

impl Series {
    fn median(&self, column: usize, figure: fn(&Load) -> f64) -> f64 {
        let mut values: Vec<f64> = self.0.iter().map(|round| figure(&round[column])).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }
}

/// Measures all three.
pub(super) fn acquire_and_release() -> Result<Vec<Row>> {
    world::measured(measure())
}

async fn measure() -> Result<Vec<Row>> {
    let mut null = Series::default();
    let mut floor = Series::default();
    let mut devmesh = Series::default();
    // A log of each: what stands for a record in one is none to the other.
    let bare = World::start().await?;
    let whole = World::start().await?;
    for round in 1..=ROUNDS {
        eprintln!("  round {round} of {ROUNDS}");
        null.0.push(loads(&bare, bare.respond(Responder::Null).await?).await?);
        floor.0.push(loads(&bare, bare.respond(Responder::Durable).await?).await?);
        let most = CLIENTS.iter().max().copied().unwrap_or(1);
        devmesh.0.push(loads(&whole, whole.coordinator(most).await?).await?);
    }
    Ok(rows(&null, &floor, &devmesh))
}

/// Every number of clients against one responder, which is ended.
async fn loads(world: &World, running: Running) -> Result<[Load; CLIENTS.len()]> {
    let mut loads = [Load::default(); CLIENTS.len()];
    for (load, clients) in loads.iter_mut().zip(CLIENTS) {
        *load = one(world, clients).await?;
    }
    running.stop().await;
    Ok(loads)
}

async fn one(world: &World, clients: usize) -> Result<Load> {
    let connected = world.people(clients).await?;
    let begin = Instant::now() + WARM_UP;
    let end = begin + MEASURED;
    let tasks: Vec<_> = connected
        .into_iter()
        .enumerate()
        .map(|(n, client)| tokio::spawn(pairs(client, n, begin, end)))
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.map_err(failed("run a client"))??);
    }
    let pairs_per_s = times.len() as f64 / MEASURED.as_secs_f64();
    let times = Times::of(times);
    Ok(Load { pairs_per_s, p50_ms: times.percentile_ms(50), p99_ms: times.percentile_ms(99) })
}

/// Acquires and releases a file of one's own, again and again, and gives the times of the
/// acquires that were answered within the measured time.
async fn pairs(client: Client, n: usize, begin: Instant, end: Instant) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut turn = 0_u64;
    while Instant::now() < end {
        turn += 1;
        let sent = Instant::now();
        let acquired = pair(&client, n, turn).await?;
        if sent >= begin && Instant::now() <= end {
            times.push(acquired);
        }
    }
    Ok(times)
}

/// One acquire and its release, and the time that the acquire took.
pub(super) async fn pair(client: &Client, n: usize, turn: u64) -> Result<Duration> {
    let path = format!("src/c{n}/f{}", turn % 64);
    let sent = Instant::now();
    let body = json!({ "repo": "demo", "paths": [path], "mode": "write" });
    let result = ask(client, "lock.acquire", body).await?;
    let took = sent.elapsed();
    let lease = result["leases"][0]["lease"].clone();
    if !lease.is_string() {
        return Err(failed::<String>("get a lease")(result.to_string()));
    }
    ask(client, "lock.release", json!({ "leases": [lease] })).await?;
    Ok(took)
}

fn rows(null: &Series, floor: &Series, devmesh: &Series) -> Vec<Row> {
    let rate: fn(&Load) -> f64 = |load| load.pairs_per_s;
    let p50: fn(&Load) -> f64 = |load| load.p50_ms;
    let p99: fn(&Load) -> f64 = |load| load.p99_ms;
    let mut rows = Vec::new();
    for (column, clients) in CLIENTS.into_iter().enumerate() {
        let against = |what: &str, series: &Series, figure, aim| {
            let value = series.median(column, figure);
            Some(Against { what: what.to_owned(), value, aim })
        };
        let mut row = |what: String, value, unit, against| {
            rows.push(Row { bench: "lock", what, value, unit, against });
        };
        let aim = match clients {
            1 => None,
            16 => Some(Aim::AtLeast(0.5)),
            _ => Some(Aim::AtLeast(0.85)),
        };
        let what = format!("acquire + release, {clients} clients");
        let held = against("null floor", null, rate, aim);
        row(what, devmesh.median(column, rate), "/s", held);
        let what = format!("acquire p50, {clients} clients");
        let aim = (clients == 1).then_some(Aim::AtMost(1.25));
        row(what, devmesh.median(column, p50), "ms", against("raw floor", floor, p50, aim));
        let what = format!("acquire p99, {clients} clients");
        row(what, devmesh.median(column, p99), "ms", against("raw floor", floor, p99, None));
    }
    rows
}
