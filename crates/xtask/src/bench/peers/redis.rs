//! Redis: `SET NX PX` with a value that only the holder knows, deleted by a script that compares.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use devmesh_testkit::nats::free_port;
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisError, cmd};

use super::super::load::{Keys, Locker, Series};
use super::super::world::failed;
use super::Measured;
use super::programs::{self, Server};
use super::round::Peer;
use crate::error::Result;

const TTL_MS: u64 = 15_000;
/// Compares and deletes: nobody gives back what another holds by now.
const RELEASE: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then \
    return redis.call('del', KEYS[1]) else return 0 end";
/// A refused client comes again after a pause that doubles, up to the longest; there is no queue.
const PAUSE_US: (u64, u64) = (500, 16_000);

pub(super) struct Redis {
    server: Server,
    url: String,
    version: String,
    release: String,
}

impl Redis {
    pub(super) async fn start(program: &Path) -> Result<Redis> {
        let version = programs::version(program)?;
        let folder = programs::folder("redis")?;
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]);
        command.arg(folder.path());
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
        let mut server = Server::start(command, folder)?;
        let url = format!("redis://127.0.0.1:{port}/");
        let mut connection = server.ready(async || connect(&url).await).await?;
        let mut ask = cmd("CONFIG");
        ask.arg("GET").arg("appendfsync").arg("appendonly");
        let mut said: Vec<String> = ask.query_async(&mut connection).await.map_err(asked)?;
        said.sort();
        if said != ["always", "appendfsync", "appendonly", "yes"] {
            return Err(failed("have Redis fsync before it answers")(format!("{said:?}")));
        }
        let mut load = cmd("SCRIPT");
        load.arg("LOAD").arg(RELEASE);
        let release = load.query_async(&mut connection).await.map_err(asked)?;
        Ok(Redis { server, url, version, release })
    }

    pub(super) fn measured(&self) -> Measured {
        let means = "on disk: appendfsync always, one fsync for all that came at once; waiters \
            poll; no token that rises";
        Measured {
            name: format!("Redis {}", self.version),
            means: means.to_owned(),
            series: Series::default(),
        }
    }

    pub(super) async fn stop(self) {
        self.server.stop().await;
    }
}

fn asked(error: RedisError) -> crate::error::Error {
    failed("ask Redis")(error)
}

async fn connect(url: &str) -> Result<MultiplexedConnection> {
    let client = Client::open(url).map_err(asked)?;
    client.get_multiplexed_async_connection().await.map_err(asked)
}

impl Peer for Redis {
    type Client = Holder;

    async fn client(&self, n: usize, keys: Keys) -> Result<Holder> {
        let connection = connect(&self.url).await?;
        let (release, key) = (self.release.clone(), String::new());
        Ok(Holder { connection, release, n, keys, turn: 0, key, dice: n as u64 + 1 })
    }
}

pub(super) struct Holder {
    connection: MultiplexedConnection,
    release: String,
    n: usize,
    keys: Keys,
    turn: u64,
    key: String,
    dice: u64,
}

impl Holder {
    fn value(&self) -> String {
        format!("{}-{}", self.n, self.turn)
    }

    /// Half of it to all of it: those refused together do not come again together.
    fn jittered(&mut self, pause_us: u64) -> Duration {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        Duration::from_micros(pause_us / 2 + (self.dice >> 33) % (pause_us / 2 + 1))
    }
}

impl Locker for Holder {
    async fn take(&mut self, key: &str) -> Result<()> {
        self.turn += 1;
        key.clone_into(&mut self.key);
        let mut pause_us = PAUSE_US.0;
        loop {
            let mut set = cmd("SET");
            set.arg(key).arg(self.value()).arg("NX").arg("PX").arg(TTL_MS);
            let set: Option<String> = set.query_async(&mut self.connection).await.map_err(asked)?;
            match (set, self.keys) {
                (Some(_), _) => return Ok(()),
                (None, Keys::One) => tokio::time::sleep(self.jittered(pause_us)).await,
                (None, Keys::Own) => return Err(failed("take a key of its own")(key.to_owned())),
            }
            pause_us = (pause_us * 2).min(PAUSE_US.1);
        }
    }

    async fn give(&mut self) -> Result<()> {
        let mut run = cmd("EVALSHA");
        run.arg(&self.release).arg(1).arg(&self.key).arg(self.value());
        match run.query_async(&mut self.connection).await.map_err(asked)? {
            1 => Ok(()),
            deleted => Err(failed("give back a key of Redis")(format!("{deleted} deleted"))),
        }
    }
}
