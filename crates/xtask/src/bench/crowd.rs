//! A thousand agents that have joined, each over a connection of its own, and are heard as often
//! as the protocol asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use devmesh_bus::client::Client;
use devmesh_bus::cred::Role;
use devmesh_protocol::{SessionId, limits};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::world::{World, ask, failed};
use crate::error::Result;

/// How many requests of one kind are on their way at once while the mesh is furnished.
pub(super) const AT_ONCE: usize = 64;
const SESSION: &str = "s1";
const HOSTS: usize = 20;
/// How long all of them may take to be heard again.
const HEARD: Duration = Duration::from_secs(30);

/// The agents. They fall silent when this is dropped.
pub(super) struct Crowd {
    agents: Vec<Client>,
    beats: Arc<Beats>,
    hearts: JoinSet<()>,
    /// The heartbeats of each that were answered.
    heard: Vec<Arc<AtomicU64>>,
}

/// What became of the heartbeats.
#[derive(Debug, Default)]
struct Beats {
    held: AtomicBool,
    heard: AtomicU64,
    lost: AtomicU64,
}

impl Crowd {
    /// Connects so many agents; none is known to the mesh yet.
    pub(super) async fn connect(world: &World, count: usize) -> Result<Crowd> {
        let connect = |n: usize| async move { world.client(&name(n), Role::Agent).await };
        let agents = stream::iter((0..count).map(connect)).buffered(AT_ONCE).try_collect().await?;
        Ok(Crowd { agents, beats: Arc::default(), hearts: JoinSet::new(), heard: Vec::new() })
    }

    /// Makes them known and has them join, and gives the seconds that the joining took; from here
    /// on they are heard.
    pub(super) async fn join(&mut self, world: &World) -> Result<f64> {
        let admin = &world.client("admin", Role::Admin).await?;
        let add = |n| ask(admin, "actor.add", json!({ "actor": name(n), "role": "agent" }));
        stream::iter((0..self.agents.len()).map(add))
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        let begun = Instant::now();
        let join = |(n, agent)| {
            let host = format!("h{}", n % HOSTS);
            ask(agent, "agent.join", json!({ "session": SESSION, "tool": "custom", "host": host }))
        };
        stream::iter(self.agents.iter().enumerate().map(join))
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        let seconds = begun.elapsed().as_secs_f64();
        self.beat();
        Ok(seconds)
    }

    /// Has each take so many leases deep in a tree, in one request, and gives the seconds.
    pub(super) async fn hold(&self, leases: usize) -> Result<f64> {
        let begun = Instant::now();
        let take = |(n, agent)| {
            let file = |i| {
                let n = n * leases + i;
                format!("src/m{}/deep/er/still/d{}/f{n}.rs", n % 97, n % 1_009)
            };
            let paths: Vec<String> = (0..leases).map(file).collect();
            let body = json!({ "session": SESSION, "repo": "demo", "paths": paths,
                "mode": "write" });
            ask(agent, "lock.acquire", body)
        };
        stream::iter(self.agents.iter().enumerate().map(take))
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Each in its own moment of the time between two heartbeats, as agents that were started one
    /// after the other are.
    fn beat(&mut self) {
        let every = Duration::from_millis(limits::BEAT_MS);
        let count = u32::try_from(self.agents.len()).unwrap_or(u32::MAX).max(1);
        for (n, agent) in (0_u32..).zip(&self.agents) {
            let (agent, beats) = (agent.clone(), Arc::clone(&self.beats));
            let own = Arc::new(AtomicU64::new(0));
            self.heard.push(Arc::clone(&own));
            let first = Instant::now() + every * n / count;
            self.hearts.spawn(async move {
                let session = SessionId::new(SESSION).expect("a plain name");
                let mut turns = interval_at(first, every);
                turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    turns.tick().await;
                    if beats.held.load(Ordering::Relaxed) {
                        continue;
                    }
                    let live = agent.beat(&session, 0).await.is_ok_and(|reply| reply.live);
                    let told = if live { &beats.heard } else { &beats.lost };
                    told.fetch_add(1, Ordering::Relaxed);
                    own.fetch_add(u64::from(live), Ordering::Relaxed);
                }
            });
        }
    }

    /// Keeps the agents silent for a moment, shorter than anybody is missed.
    pub(super) fn hush(&self) {
        self.beats.held.store(true, Ordering::Relaxed);
    }

    /// Lets them be heard again, and waits until each was.
    pub(super) async fn speak(&self) -> Result<()> {
        let each = || self.heard.iter().map(|own| own.load(Ordering::Relaxed));
        let before: Vec<u64> = each().collect();
        self.beats.held.store(false, Ordering::Relaxed);
        let deadline = Instant::now() + HEARD;
        while each().zip(&before).any(|(now, before)| now == *before) {
            if Instant::now() > deadline {
                let wrong = format!("not every one was within {} s", HEARD.as_secs());
                return Err(failed("hear all agents again")(wrong));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// The heartbeats that were answered so far.
    pub(super) fn heard(&self) -> u64 {
        self.beats.heard.load(Ordering::Relaxed)
    }

    /// An error where a heartbeat got no answer, or its session had ended.
    pub(super) fn check(&self) -> Result<()> {
        match self.beats.lost.load(Ordering::Relaxed) {
            0 => Ok(()),
            lost => Err(failed("keep the agents heard")(format!("{lost} heartbeats were lost"))),
        }
    }
}

fn name(n: usize) -> String {
    format!("a{n}")
}
