//! Locks as clients see them: durable acquire and release, a connection each, beside the same
//! load answered by nothing and beside one request with one fsynced append; and one key handed
//! from waiter to waiter.

use devmesh_bus::client::Client;
use serde_json::{Value, json};

use super::load::{self, Keys, Load, Locker, Series};
use super::world::{self, Responder, Running, World, ask, failed};
use super::{Aim, Row};
use crate::error::Result;

/// Rounds of every load; the median is told. Rounds of all responders alternate, so that a noisy
/// minute hits all alike.
const ROUNDS: usize = 7;
/// Numbers of clients.
pub(super) const CLIENTS: [usize; 3] = [1, 16, 64];
/// Clients that want one key.
const WAITERS: usize = 16;
/// Far above what a turn takes.
const WAIT_MS: u64 = 15_000;

/// A person who takes locks of the mesh.
pub(super) struct Person {
    client: Client,
    wait_ms: u64,
    lease: Value,
}

impl Person {
    /// One who waits where the key is shared.
    pub(super) fn new(client: Client, keys: Keys) -> Person {
        let wait_ms = if keys == Keys::One { WAIT_MS } else { 0 };
        Person { client, wait_ms, lease: Value::Null }
    }
}

impl Locker for Person {
    async fn take(&mut self, key: &str) -> Result<()> {
        let mut body = json!({ "repo": "demo", "paths": [key], "mode": "write" });
        if self.wait_ms > 0 {
            body["wait_ms"] = json!(self.wait_ms);
        }
        let mut result = ask(&self.client, "lock.acquire", body).await?;
        self.lease = result["leases"][0]["lease"].take();
        if self.lease.is_string() {
            Ok(())
        } else {
            Err(failed::<String>("get a lease")(result.to_string()))
        }
    }

    async fn give(&mut self) -> Result<()> {
        ask(&self.client, "lock.release", json!({ "leases": [self.lease.take()] })).await?;
        Ok(())
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
        null.0.push(own(&bare, bare.respond(Responder::Null).await?).await?);
        floor.0.push(own(&bare, bare.respond(Responder::Durable).await?).await?);
        let most = CLIENTS.iter().max().copied().unwrap_or(1);
        devmesh.0.push(own(&whole, whole.coordinator(most).await?).await?);
    }
    Ok(rows(&null, &floor, &devmesh))
}

/// Every number of clients with keys of their own against one responder, which is ended.
async fn own(world: &World, running: Running) -> Result<[Load; CLIENTS.len()]> {
    let loads = loads(world, CLIENTS, Keys::Own).await?;
    running.stop().await;
    Ok(loads)
}

/// These numbers of clients, one after the other.
pub(super) async fn loads<const N: usize>(
    world: &World,
    clients: [usize; N],
    keys: Keys,
) -> Result<[Load; N]> {
    let mut loads = [Load::default(); N];
    for (load, clients) in loads.iter_mut().zip(clients) {
        let people = world.people(clients).await?;
        let people = people.into_iter().map(|client| Person::new(client, keys)).collect();
        *load = load::run(people, keys).await?;
    }
    Ok(loads)
}

fn rows(null: &Series<3>, floor: &Series<3>, devmesh: &Series<3>) -> Vec<Row> {
    let rate: fn(&Load) -> f64 = |load| load.pairs_per_s;
    let p50: fn(&Load) -> f64 = |load| load.p50_ms;
    let p99: fn(&Load) -> f64 = |load| load.p99_ms;
    let mut rows = Vec::new();
    for (column, clients) in CLIENTS.into_iter().enumerate() {
        let ours = |figure| devmesh.median(column, figure);
        let aim = match clients {
            1 => None,
            16 => Some(Aim::AtLeast(0.5)),
            _ => Some(Aim::AtLeast(0.85)),
        };
        let what = format!("acquire + release, {clients} clients");
        let row = Row::new("lock", what, ours(rate), "/s");
        rows.push(row.against("null floor", null.median(column, rate), aim));
        let what = format!("acquire p50, {clients} clients");
        let aim = (clients == 1).then_some(Aim::AtMost(1.25));
        let row = Row::new("lock", what, ours(p50), "ms");
        rows.push(row.against("raw floor", floor.median(column, p50), aim));
        let what = format!("acquire p99, {clients} clients");
        let row = Row::new("lock", what, ours(p99), "ms");
        rows.push(row.against("raw floor", floor.median(column, p99), None));
    }
    rows
}

/// One key, wanted by all: how fast it goes from hand to hand, and how evenly.
pub(super) fn hand_offs() -> Result<Vec<Row>> {
    world::measured(async {
        let mut floor = Series::default();
        let mut devmesh = Series::default();
        let bare = World::start().await?;
        let whole = World::start().await?;
        for round in 1..=ROUNDS {
            eprintln!("  round {round} of {ROUNDS}");
            let running = bare.respond(Responder::Durable).await?;
            floor.0.push(loads(&bare, [1], Keys::Own).await?);
            running.stop().await;
            let running = whole.coordinator(WAITERS).await?;
            devmesh.0.push(loads(&whole, [WAITERS], Keys::One).await?);
            running.stop().await;
        }
        Ok(hand_off_rows(&floor, &devmesh))
    })
}

pub(super) fn hand_off_rows(floor: &Series<1>, devmesh: &Series<1>) -> Vec<Row> {
    let rate = devmesh.median(0, |load| load.pairs_per_s);
    let (p50, p99) = (devmesh.median(0, |load| load.p50_ms), devmesh.median(0, |load| load.p99_ms));
    // From one holder to the next there is one durable request: the release that grants.
    let durable = 2.0 * floor.median(0, |load| load.pairs_per_s);
    let row = |what: &str, value, unit| {
        Row::new("handoff", format!("{what}, {WAITERS} waiters"), value, unit)
    };
    vec![
        row("hand-offs of one key", rate, "/s").against(
            "the design's aim",
            1_000.0,
            Some(Aim::AtLeast(1.0)),
        ),
        row("hand-offs of one key", rate, "/s").against(
            "raw floor's requests one by one",
            durable,
            None,
        ),
        row("wait for the key, p99", p99, "ms").against("its p50", p50, Some(Aim::AtMost(2.0))),
        row("fairness (Jain)", devmesh.median(0, |load| load.jain), "").against(
            "all served alike",
            1.0,
            Some(Aim::AtLeast(0.99)),
        ),
    ]
}
