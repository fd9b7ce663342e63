//! How long nobody answers when the leader is killed and another coordinator stands by.

use std::time::{Duration, Instant};

use devmesh_bus::client::Client;
use devmesh_bus::cred::Role;
use futures::StreamExt;
use futures::future::try_join;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};

use super::load::median;
use super::world::{self, Running, World, ask, failed, query};
use super::{Aim, Row};
use crate::error::Result;

const ROUNDS: usize = 7;
/// A coordinator that stands by has read this bench's short log long before.
const READ: Duration = Duration::from_secs(2);

/// How often it is asked whether somebody leads again.
const ASK: Duration = Duration::from_millis(10);

/// Seconds from the leader's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    /// To the first answer that anybody gets.
    pub(super) first: f64,
    /// To the answer of a command that was sent right after; its client has a rhythm of its own
    /// in which it sends again.
    pub(super) command: f64,
}

/// The median and the longest of some takeovers.
pub(super) fn all() -> Result<Vec<Row>> {
    world::measured(async { Ok(rows(&measure().await?)) })
}

async fn measure() -> Result<Vec<Gap>> {
    let world = World::start().await?;
    let mut leader = world.coordinator(1).await?;
    let person = world.client("p0", Role::Person).await?;
    let seer = world.client("admin", Role::Admin).await?;
    let mut gaps = Vec::new();
    for round in 1..=ROUNDS {
        let node = format!("standby-{round}");
        let standby = world.process(&node)?;
        tokio::time::sleep(READ).await;
        gaps.push(one(leader, &person, &seer).await?);
        follows(&query(&seer, "state").await?, &node)?;
        leader = standby;
    }
    leader.stop().await;
    Ok(gaps)
}

/// Kills the leader.
async fn one(leader: Running, person: &Client, seer: &Client) -> Result<Gap> {
    let path = json!(["src/f0"]);
    ask(person, "lock.acquire", json!({ "repo": "demo", "paths": path, "mode": "write" })).await?;
    leader.stop().await;
    let killed = Instant::now();
    let command = async {
        // That the lease was held is what the one before had answered: it is not forgotten.
        ask(person, "lock.release", json!({ "repo": "demo", "paths": path })).await?;
        Ok(killed.elapsed().as_secs_f64())
    };
    let (first, command) = try_join(first_answer(seer, killed), command).await?;
    Ok(Gap { first, command })
}

/// Asks again and again, each time anew.
async fn first_answer(seer: &Client, since: Instant) -> Result<f64> {
    let mut asked = FuturesUnordered::new();
    let mut turns = tokio::time::interval(ASK);
    loop {
        tokio::select! {
            _ = turns.tick() => asked.push(query(seer, "state")),
            Some(answer) = asked.next() => {
                answer?;
                return Ok(since.elapsed().as_secs_f64());
            }
        }
    }
}

pub(super) fn follows(state: &Value, node: &str) -> Result<()> {
    // A coordinator's name goes on with what tells this process from the one before it.
    let named = |leader: &str| leader.strip_prefix(node).is_some_and(|rest| rest.starts_with('-'));
    if state["leader"].as_str().is_some_and(named) {
        return Ok(());
    }
    let text = format!("{} leads, not {node}", state["leader"]);
    Err(failed("have the standby take over")(text))
}

pub(super) fn rows(gaps: &[Gap]) -> Vec<Row> {
    let row = |which: &str, to: &str, seconds| {
        let what = format!("leader's SIGKILL to {to}, {which} of {}", gaps.len());
        Row::new("takeover", what, seconds, "s")
    };
    let aim = Some(Aim::AtMost(1.0));
    let first: Vec<f64> = gaps.iter().map(|gap| gap.first).collect();
    let command: Vec<f64> = gaps.iter().map(|gap| gap.command).collect();
    let longest = |times: &[f64]| times.iter().copied().fold(0.0, f64::max);
    let (usual, usual_command) = (median(first.clone()), median(command.clone()));
    let all = "the first answer";
    vec![
        row("median", all, usual).against("the design's aim", 1.0, aim),
        row("longest", all, longest(&first)).against("the design's aim", 1.0, aim),
        row("median", "a waiting command's", usual_command).against(all, usual, None),
        row("longest", "a waiting command's", longest(&command)).against(
            all,
            longest(&first),
            None,
        ),
    ]
}
