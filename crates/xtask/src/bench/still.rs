//! What a mesh costs in which nothing happens: a coordinator alone, then one that hears a thousand
//! agents.

use std::time::Duration;

use devmesh_bus::cred::Role;
use devmesh_protocol::limits::BEAT_MS;
use serde_json::Value;

use super::crowd::Crowd;
use super::world::{self, World, failed, query};
use super::{Aim, Row, usage};
use crate::error::Result;

const AGENTS: usize = 1_000;
/// What follows a start or a thousand joins is over by then.
const SETTLED: Duration = Duration::from_secs(2);
/// A few rounds of heartbeats.
const WATCHED: Duration = Duration::from_millis(3 * BEAT_MS);

/// Both.
pub(super) fn all() -> Result<Vec<Row>> {
    world::measured(measure())
}

/// While nothing happened: percent of a core, records written, heartbeats answered.
pub(super) struct Watched {
    pub(super) coordinator: f64,
    pub(super) server: f64,
    pub(super) records: f64,
    pub(super) beats: f64,
}

async fn measure() -> Result<Vec<Row>> {
    let world = World::start().await?;
    let running = world.coordinator(1).await?;
    let pid = running.pid().ok_or("it has ended");
    let pid = pid.map_err(failed("find the coordinator"))?;
    let nobody = Crowd::connect(&world, 0).await?;
    let idle = watch(&world, pid, &nobody).await?;
    let memory = usage::resident_mib(pid)?;
    eprintln!("  {AGENTS} agents join");
    let mut crowd = Crowd::connect(&world, AGENTS).await?;
    crowd.join(&world).await?;
    let heard = watch(&world, pid, &crowd).await?;
    crowd.check()?;
    running.stop().await;
    Ok(rows(&idle, memory, &heard))
}

async fn watch(world: &World, pid: u32, crowd: &Crowd) -> Result<Watched> {
    let seer = world.client("admin", Role::Admin).await?;
    tokio::time::sleep(SETTLED).await;
    let records = async || seq(&query(&seer, "state").await?);
    let before = (usage::cpu_us(pid)?, usage::cpu_us(world.server_pid())?, records().await?);
    let heard = crowd.heard();
    let begun = tokio::time::Instant::now();
    tokio::time::sleep(WATCHED).await;
    let percent = 100.0 / begun.elapsed().as_micros() as f64;
    Ok(Watched {
        coordinator: (usage::cpu_us(pid)? - before.0) * percent,
        server: (usage::cpu_us(world.server_pid())? - before.1) * percent,
        records: records().await? - before.2,
        beats: (crowd.heard() - heard) as f64,
    })
}

fn seq(state: &Value) -> Result<f64> {
    let seq = state["seq"].as_f64().ok_or_else(|| state.to_string());
    seq.map_err(failed("read the newest record's number"))
}

pub(super) fn rows(idle: &Watched, memory: f64, heard: &Watched) -> Vec<Row> {
    let row = |what: &str, value, unit| Row::new("still", what, value, unit);
    let aim = Some(Aim::AtMost(1.0));
    let agents = |what: &str| format!("{what}, {AGENTS} agents heard");
    vec![
        row("idle coordinator, memory", memory, "MiB").against("the design's aim", 30.0, aim),
        row("idle coordinator, of a core", idle.coordinator, "%").against(
            "the design's aim",
            0.5,
            aim,
        ),
        row("idle server, of a core", idle.server, "%"),
        row("idle mesh, records written", idle.records, ""),
        row(&agents("coordinator, of a core"), heard.coordinator, "%").against(
            "the design's aim",
            2.0,
            aim,
        ),
        row(&agents("server, of a core"), heard.server, "%").against("idle", idle.server, None),
        row(&agents("records written"), heard.records, "").against(
            "heartbeats answered",
            heard.beats,
            Some(Aim::AtMost(0.0)),
        ),
    ]
}
