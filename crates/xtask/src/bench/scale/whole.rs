//! Locks in a full mesh as clients see them: a coordinator and a server of its own, a thousand
//! agents that are heard, a hundred thousand leases, ten thousand tasks; beside an empty mesh.

use devmesh_bus::client::Client;
use devmesh_bus::cred::Role;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::crowd::{AT_ONCE, Crowd};
use super::super::load::{Keys, Load, Series};
use super::super::world::{self, Running, World, ask, failed, query};
use super::super::{Aim, Row, cost, lock, usage};
use crate::error::Result;

const AGENTS: usize = 1_000;
const LEASES: usize = 100_000;
const TASKS: usize = 10_000;
const CLIENTS: [usize; 2] = [1, 16];
const ROUNDS: usize = 3;
/// Pairs of commands by which processor time is told; few, for the agents are silent meanwhile.
const PAIRS: usize = 4_000;

/// The load of each mesh in turn, then what it took to fill the full one.
pub(super) fn rows() -> Result<Vec<Row>> {
    world::measured(measure())
}

async fn measure() -> Result<Vec<Row>> {
    let empty = World::start().await?;
    let full = World::start().await?;
    let most = CLIENTS.iter().max().copied().unwrap_or(1);
    let beside = empty.coordinator(most).await?;
    let running = full.coordinator(most).await?;
    let mut crowd = Crowd::connect(&full, AGENTS).await?;
    let mut rows = fill(&full, &mut crowd).await?;
    let seer = full.client("admin", Role::Admin).await?;
    is_full(&query(&seer, "state").await?)?;

    let (mut alone, mut among) = (Series::default(), Series::default());
    for round in 1..=ROUNDS {
        eprintln!("  round {round} of {ROUNDS}");
        // Their heartbeats are the full mesh's cost, and none of the empty one's.
        crowd.hush();
        alone.0.push(lock::loads(&empty, CLIENTS, Keys::Own).await?);
        crowd.speak().await?;
        among.0.push(lock::loads(&full, CLIENTS, Keys::Own).await?);
    }
    crowd.hush();
    let cost_alone = cost::of(&empty, &beside, CLIENTS[1], PAIRS).await?;
    crowd.speak().await?;
    let cost_among = cost::of(&full, &running, CLIENTS[1], PAIRS).await?;
    crowd.check()?;
    is_full(&query(&seer, "state").await?)?;
    rows.splice(0..0, judged(&alone, &among));
    let what = format!("CPU of a command in a full mesh, {} clients, coordinator", CLIENTS[1]);
    let row = Row::new("scale", what, cost_among.coordinator, "µs");
    rows.push(row.against("an empty mesh", cost_alone.coordinator, Some(Aim::AtMost(1.5))));
    let row = Row::new("scale", "memory of that coordinator", memory(&running)?, "MiB");
    rows.push(row.against("the empty mesh's", memory(&beside)?, None));
    drop(crowd);
    rows.push(again(&full, &seer, running).await?);
    Ok(rows)
}

fn memory(running: &Running) -> Result<f64> {
    let pid = running.pid().ok_or("it has ended");
    usage::resident_mib(pid.map_err(failed("read the memory of the coordinator"))?)
}

pub(in super::super) fn judged(alone: &Series<2>, among: &Series<2>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (column, clients) in CLIENTS.into_iter().enumerate() {
        let rate: fn(&Load) -> f64 = |load| load.pairs_per_s;
        let p50: fn(&Load) -> f64 = |load| load.p50_ms;
        let p99: fn(&Load) -> f64 = |load| load.p99_ms;
        let mut row = |what: &str, figure, unit, aim| {
            let what = format!("{what} in a full mesh, {clients} clients");
            let row = Row::new("scale", what, among.median(column, figure), unit);
            rows.push(row.against("an empty mesh", alone.median(column, figure), aim));
        };
        row("acquire + release", rate, "/s", Some(Aim::AtLeast(0.67)));
        row("acquire p50", p50, "ms", None);
        row("acquire p99", p99, "ms", Some(Aim::AtMost(1.5)));
    }
    rows
}

/// Fills the mesh, and says how long each step took.
async fn fill(world: &World, crowd: &mut Crowd) -> Result<Vec<Row>> {
    let row = |what: String, count: usize, seconds: f64| {
        eprintln!("  {what}: {seconds:.2} s");
        Row::new("scale", what, count as f64 / seconds, "/s")
    };
    let seconds = crowd.join(world).await?;
    let mut rows = vec![row(format!("joining, {AGENTS} agents"), AGENTS, seconds)];
    let people = world.people(CLIENTS[1]).await?;
    let tenth = TASKS / 10;
    let mut rates = Vec::new();
    for _ in 0..10 {
        rates.push(tenth as f64 / add(&people, tenth).await?);
    }
    let what = format!("task.add, the last of {TASKS}");
    let last = Row::new("scale", what, rates[rates.len() - 1], "/s");
    rows.push(last.against("the first ones", rates[0], Some(Aim::AtLeast(0.67))));
    let each = LEASES / AGENTS;
    let seconds = crowd.hold(each).await?;
    rows.push(row(format!("leases, {LEASES}, {each} to a request"), LEASES, seconds));
    Ok(rows)
}

/// Tasks that nobody can do, so that they stay in the queue.
async fn add(people: &[Client], tasks: usize) -> Result<f64> {
    let begun = Instant::now();
    let one = |n: usize| {
        let path = format!("docs/d{}/f{n}", n % 100);
        let body = json!({ "title": "x", "repo": "demo", "tool": "none", "paths": [path] });
        ask(&people[n % people.len()], "task.add", body)
    };
    stream::iter((0..tasks).map(one))
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// An error where something of it is missing, so that a mesh that emptied itself measures nothing.
pub(in super::super) fn is_full(state: &Value) -> Result<()> {
    let tasks: u64 = state["tasks"]
        .as_object()
        .map(|counts| counts.iter().filter(|(name, _)| !ENDED.contains(&name.as_str())))
        .map_or(0, |open| open.filter_map(|(_, count)| count.as_u64()).sum());
    let found = [state["agents"].as_u64(), state["leases"].as_u64(), Some(tasks)];
    if found == [AGENTS, LEASES, TASKS].map(|n| Some(n as u64)) {
        return Ok(());
    }
    let text = format!("agents, leases and open tasks are {found:?}: {}", state["tasks"]);
    Err(failed("keep the mesh full")(text))
}

const ENDED: [&str; 3] = ["completed", "failed", "cancelled"];

/// How long such a mesh is without a coordinator when its own is killed and started again.
async fn again(world: &World, seer: &Client, running: Running) -> Result<Row> {
    running.stop().await;
    let begun = Instant::now();
    let running = world.process("first")?;
    let state = query(seer, "state").await?;
    let seconds = begun.elapsed().as_secs_f64();
    let records = &state["seq"];
    running.stop().await;
    let what = format!("a coordinator started anew on {records} records until it answers");
    Ok(Row::new("scale", what, seconds, "s"))
}
