//! PostgreSQL: a row a lease, taken and given back by one statement each, with a token that rises.
//!
//! Where the key is shared, an advisory lock is taken before the row and given back after it, both
//! in the round trip of the row's statement: its queue is the server's, and the row is as durable
//! as ever. Polling the row, the usual way, hands on less often and by chance.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use devmesh_testkit::nats::free_port;
use futures::future::try_join;
use nix::unistd::{Uid, User, chown};
use tokio_postgres::{Client, NoTls, Statement};

use super::super::load::{Keys, Locker, Series};
use super::super::world::failed;
use super::Measured;
use super::programs::{self, Server};
use super::round::Peer;
use crate::cargo::stdout_of;
use crate::error::{Error, Result};

/// PostgreSQL does not run as root; its package makes this user.
const USER: &str = "postgres";
const TABLE: &str = "CREATE TABLE lease (key text PRIMARY KEY, holder bigint, \
    expires timestamptz, token bigint NOT NULL) WITH (fillfactor = 50)";
const TAKE: &str = "INSERT INTO lease AS l VALUES ($1, $2, now() + interval '15 s', 1) \
    ON CONFLICT (key) DO UPDATE SET holder = $2, expires = now() + interval '15 s', \
    token = l.token + 1 WHERE l.holder IS NULL OR l.expires < now() RETURNING token";
const GIVE: &str = "UPDATE lease SET holder = NULL WHERE key = $1 AND holder = $2 AND token = $3";
const QUEUE: &str = "SELECT pg_advisory_lock(1)";
const LEAVE: &str = "SELECT pg_advisory_unlock(1)";

pub(super) struct Postgres {
    server: Server,
    config: String,
    version: String,
}

impl Postgres {
    pub(super) async fn start(bin: &Path) -> Result<Postgres> {
        let version = programs::version(&bin.join("postgres"))?;
        let folder = programs::folder("postgres")?;
        let user = user()?;
        if let Some(user) = &user {
            chown(folder.path(), Some(user.uid), Some(user.gid))
                .map_err(failed("give PostgreSQL its folder"))?;
        }
        let program = |name: &str| {
            let mut command = Command::new(bin.join(name));
            command.current_dir("/");
            if let Some(user) = &user {
                command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            }
            command
        };
        let mut init = program("initdb");
        init.args(["--auth=trust", "--username=bench", "--encoding=UTF8", "--locale=C"]);
        init.arg("--pgdata").arg(folder.path());
        stdout_of(init)?;
        let port = free_port();
        let mut command = program("postgres");
        command.arg("-D").arg(folder.path());
        command.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", "unix_socket_directories=", "-c", "max_connections=200"]);
        let mut server = Server::start(command, folder)?;
        let config = format!("host=127.0.0.1 port={port} user=bench dbname=postgres");
        let client = server.ready(async || connect(&config).await).await?;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let row = client.query_one(&format!("SHOW {setting}"), &[]).await.map_err(asked)?;
            let said: String = row.get(0);
            if said != "on" {
                let text = format!("{setting} is {said}");
                return Err(failed("have PostgreSQL fsync before it answers")(text));
            }
        }
        client.batch_execute(TABLE).await.map_err(asked)?;
        Ok(Postgres { server, config, version })
    }

    pub(super) fn measured(&self) -> Measured {
        let means = "on disk: fsync and synchronous_commit on, commits share one; waiters queue at \
            an advisory lock before the row; a token that rises in the row";
        Measured {
            name: format!("PostgreSQL {}", self.version),
            means: means.to_owned(),
            series: Series::default(),
        }
    }

    pub(super) async fn stop(self) {
        self.server.stop().await;
    }
}

/// Whom to run it as, where we are root ourselves.
fn user() -> Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let found = User::from_name(USER).map_err(failed("find the user of PostgreSQL"))?;
    let missing = || failed("find the user of PostgreSQL")(format!("there is no {USER}"));
    found.map(Some).ok_or_else(missing)
}

fn asked(error: tokio_postgres::Error) -> Error {
    failed("ask PostgreSQL")(error)
}

async fn connect(config: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(config, NoTls).await.map_err(asked)?;
    // It ends with its client.
    tokio::spawn(connection);
    Ok(client)
}

impl Peer for Postgres {
    type Client = Holder;

    async fn client(&self, n: usize, keys: Keys) -> Result<Holder> {
        let client = connect(&self.config).await?;
        let statement = async |text: &str| client.prepare(text).await.map_err(asked);
        let (take, give) = (statement(TAKE).await?, statement(GIVE).await?);
        let (queue, leave) = (statement(QUEUE).await?, statement(LEAVE).await?);
        let holder = i64::try_from(n).unwrap_or(i64::MAX);
        Ok(Holder { take, give, queue, leave, client, holder, keys, key: String::new(), token: 0 })
    }
}

pub(super) struct Holder {
    client: Client,
    take: Statement,
    give: Statement,
    queue: Statement,
    leave: Statement,
    holder: i64,
    keys: Keys,
    key: String,
    token: i64,
}

impl Locker for Holder {
    async fn take(&mut self, key: &str) -> Result<()> {
        key.clone_into(&mut self.key);
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&key, &self.holder];
        let take = self.client.query_opt(&self.take, &params);
        let row = match self.keys {
            Keys::Own => take.await.map_err(asked)?,
            // Sent one behind the other, and done in that order: one round trip.
            Keys::One => {
                let queue = self.client.execute(&self.queue, &[]);
                try_join(queue, take).await.map_err(asked)?.1
            }
        };
        let refused = || failed("take a lease of PostgreSQL")(key.to_owned());
        self.token = row.ok_or_else(refused)?.get(0);
        Ok(())
    }

    async fn give(&mut self) -> Result<()> {
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&self.key, &self.holder, &self.token];
        let give = self.client.execute(&self.give, &params);
        let given = match self.keys {
            Keys::Own => give.await.map_err(asked)?,
            // The row is committed before the next in the queue goes on.
            Keys::One => {
                let leave = self.client.execute(&self.leave, &[]);
                try_join(give, leave).await.map_err(asked)?.0
            }
        };
        match given {
            1 => Ok(()),
            rows => Err(failed("give back a lease of PostgreSQL")(format!("{rows} rows"))),
        }
    }
}
