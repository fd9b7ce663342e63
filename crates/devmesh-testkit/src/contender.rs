//! People who take and give back leases on a few paths, as fast as they are answered, and write
//! down when each asked and when each was told what.
//!
//! They are a process of their own, to be killed and frozen: every line is handed to the system
//! before the next step, so that what was asked and never answered is known too.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use devmesh_bus::client::{Client, Outcome};
use devmesh_protocol::{ActorId, Code, MeshId, Reply};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Who contends, for what, and where it is written down.
#[derive(Debug, clap::Parser)]
pub struct Args {
    /// The servers, a comma between
    #[arg(long)]
    pub url: String,
    /// The mesh
    #[arg(long)]
    pub mesh: String,
    /// A person and its credential, as NAME=FILE; repeated
    #[arg(long = "person", value_name = "NAME=FILE")]
    pub people: Vec<String>,
    /// How many paths there are
    #[arg(long)]
    pub paths: u64,
    /// How long a lease lives
    #[arg(long)]
    pub ttl_ms: u64,
    /// Where the lines go
    #[arg(long)]
    pub out: PathBuf,
}

/// A line: somebody asks, or is answered. Times are nanoseconds of the host's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Line {
    /// Before the request is sent.
    Ask {
        /// Who.
        who: String,
        /// The person's how many-th request.
        n: u64,
        /// When.
        at: i64,
        /// For what.
        path: u64,
        /// For which of the person's own requests a lease is given back; none where one is asked.
        gives_back: Option<u64>,
    },
    /// After the answer has come.
    Told {
        /// Whom.
        who: String,
        /// Which request it answers.
        n: u64,
        /// When.
        at: i64,
        /// What.
        answer: Answer,
    },
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// A lease with this token.
    Granted(u64),
    /// Others hold it.
    Conflict,
    /// The wait was over.
    Timeout,
    /// It is given back.
    Released,
    /// There was nothing to give back any more.
    Gone,
}

/// Far above what an answer takes; whoever has none by then goes on without.
const WITHIN: Duration = Duration::from_secs(60);
/// How long is waited in a queue.
const WAIT_MS: u64 = 200;
/// How often a server that is gone is tried again.
const LOOK: Duration = Duration::from_millis(20);

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Contends until the process is ended.
///
/// # Errors
/// Where the mesh cannot be reached, or answers what no contender expects.
pub async fn contend(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let out = Arc::new(File::options().append(true).create(true).open(&args.out)?);
    let mesh = MeshId::new(&args.mesh)?;
    let mut all = tokio::task::JoinSet::new();
    for person in &args.people {
        let (name, creds) = person.split_once('=').ok_or("a person is NAME=FILE")?;
        let actor = ActorId::new(name)?;
        let client = connected(&args.url, creds, &mesh, &actor).await?;
        let (paths, ttl_ms) = (args.paths, args.ttl_ms);
        let dice = name.bytes().fold(args.paths, |sum, byte| sum * 31 + u64::from(byte));
        let own = Person { client, out: Arc::clone(&out), paths, ttl_ms, dice, n: 0 };
        all.spawn(own.contend());
    }
    while let Some(ended) = all.join_next().await {
        ended??;
    }
    Ok(())
}

/// Connects as soon as the server lets us: it may just be gone.
async fn connected(
    url: &str,
    creds: &str,
    mesh: &MeshId,
    actor: &ActorId,
) -> Result<Client, devmesh_bus::Error> {
    let deadline = Instant::now() + WITHIN;
    loop {
        match Client::connect(url, Some(creds.as_ref()), mesh, actor).await {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
            client => return client,
        }
    }
}

struct Person {
    client: Client,
    out: Arc<File>,
    paths: u64,
    ttl_ms: u64,
    dice: u64,
    n: u64,
}

impl Person {
    async fn contend(mut self) -> io::Result<()> {
        loop {
            let path = self.roll() % self.paths;
            // One of four waits for its turn.
            let wait_ms = if self.roll().is_multiple_of(4) { WAIT_MS } else { 0 };
            let body = json!({ "paths": [format!("p{path}")], "mode": "write",
                "ttl_ms": self.ttl_ms, "wait_ms": wait_ms });
            let taken = self.n;
            let answer = self.ask("lock.acquire", path, None, body).await?;
            if matches!(answer, Some(Answer::Granted(_))) {
                let body = json!({ "paths": [format!("p{path}")] });
                self.ask("lock.release", path, Some(taken), body).await?;
            }
        }
    }

    /// A linear congruential generator, its upper bits: spread, not secret.
    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.dice >> 33
    }

    async fn ask(
        &mut self,
        verb: &str,
        path: u64,
        gives_back: Option<u64>,
        body: Value,
    ) -> io::Result<Option<Answer>> {
        let (n, who) = (self.n, self.client.actor().to_string());
        self.n += 1;
        self.write(&Line::Ask { who: who.clone(), n, at: now(), path, gives_back })?;
        let reply = loop {
            let reply = self.client.submit_body(verb, body.clone(), WITHIN).await;
            match reply.map_err(io::Error::other)? {
                // Nothing was done: it is asked for anew, under another id.
                Outcome::Reply(Reply::Err { error, .. }) if error.code == Code::IdExpired => {
                    tokio::time::sleep(LOOK).await;
                }
                Outcome::Reply(reply) => break reply,
                Outcome::Unknown { .. } => return Ok(None),
            }
        };
        let at = now();
        let answer = read(&reply, gives_back.is_some())
            .ok_or_else(|| io::Error::other(format!("{verb}: {reply:?}")))?;
        self.write(&Line::Told { who, n, at, answer })?;
        Ok(Some(answer))
    }

    fn write(&self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        (&*self.out).write_all(text.as_bytes())
    }
}

fn read(reply: &Reply, gives_back: bool) -> Option<Answer> {
    match reply {
        Reply::Ok { .. } if gives_back => Some(Answer::Released),
        Reply::Ok { result, .. } => {
            result.pointer("/leases/0/token")?.as_u64().map(Answer::Granted)
        }
        Reply::Err { error, .. } => match error.code {
            Code::LockConflict => Some(Answer::Conflict),
            Code::LockTimeout => Some(Answer::Timeout),
            Code::NotOwner | Code::LeaseExpired if gives_back => Some(Answer::Gone),
            _ => None,
        },
    }
}
