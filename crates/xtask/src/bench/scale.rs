//! One lock in an empty mesh and in full ones: decided and folded alone, and as clients see it.
//! What it costs must not grow with what is there.

use devmesh_domain::decide::decide;
use devmesh_domain::fold::fold;
use devmesh_domain::state::State;
use devmesh_protocol::command::Encoding;
use devmesh_protocol::command::agent::{Needs, Role};
use devmesh_protocol::event::agent::{ActorAdded, AgentJoined};
use devmesh_protocol::event::lock::LockGranted;
use devmesh_protocol::event::mesh::RepoAdded;
use devmesh_protocol::{
    ActorId, At, Command, CommandId, Event, HostId, Mode, Record, RepoId, RepoPath, SessionId,
};
use serde_json::json;

use super::{Against, Aim, Row, usage};
use crate::error::Result;

pub(super) mod whole;

/// Leases that are held while it is measured.
const SIZES: [u64; 4] = [0, 1_000, 10_000, 100_000];
const AGENTS: u64 = 1_000;
const TASKS: u64 = 10_000;
/// Pairs of an acquire and a release that are timed, and rounds of which the best counts.
const PAIRS: u64 = 4_000;
const ROUNDS: u32 = 5;

/// What clients see, and beside it what of that is deciding and folding.
pub(super) fn all() -> Result<Vec<Row>> {
    let mut rows = alone()?;
    rows.extend(whole::rows()?);
    Ok(rows)
}

/// A figure a size, each beside the empty mesh of the same run.
fn alone() -> Result<Vec<Row>> {
    let own = std::process::id();
    let mut rows = Vec::new();
    let mut empty = 0.0;
    for leases in SIZES {
        let before = usage::resident_mib(own)?;
        let mut mesh = Mesh::of(leases);
        let mib = (usage::resident_mib(own)? - before).max(0.0);
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            best = best.min(mesh.pair_us()?);
        }
        let what = match leases {
            0 => "lock and release, empty mesh".to_owned(),
            n => format!("lock and release, {n} leases, {AGENTS} agents, {TASKS} tasks"),
        };
        let against = (leases > 0).then(|| Against {
            what: "the empty mesh".to_owned(),
            value: empty,
            aim: Some(Aim::AtMost(1.5)),
        });
        if leases == 0 {
            empty = best;
        }
        rows.push(Row { bench: "scale", what, value: best, unit: "µs", against });
        let what = format!("memory of that state, {leases} leases");
        rows.push(Row { bench: "scale", what, value: mib, unit: "MiB", against: None });
    }
    Ok(rows)
}

struct Mesh {
    state: State,
    commands: u64,
}

fn actor(n: u64) -> ActorId {
    ActorId::new(&format!("a{n}")).expect("a plain name")
}

impl Mesh {
    fn of(leases: u64) -> Mesh {
        let mut mesh = Mesh { state: State::default(), commands: 0 };
        let alice = ActorId::new("alice").expect("a plain name");
        mesh.happened(ActorAdded { actor: alice, role: Role::Person }.into());
        mesh.happened(repo().into());
        if leases == 0 {
            return mesh;
        }
        for n in 0..TASKS {
            // Nobody can do them, so that they stay in the queue.
            let paths = [format!("docs/d{}/f{n}", n % 100)];
            let body = json!({ "title": "x", "tool": "none", "paths": paths });
            mesh.take("task.add", body);
        }
        for n in 0..AGENTS {
            mesh.happened(joined(n).into());
        }
        for n in 0..leases {
            mesh.happened(granted(n).into());
        }
        mesh
    }

    fn happened(&mut self, event: Event) {
        self.record(None, vec![event]);
    }

    fn record(&mut self, command: Option<&Command>, events: Vec<Event>) {
        let seq = self.state.seq;
        let record = Record::new(seq + 1, At(seq), command, events);
        fold(&mut self.state, &record);
    }

    /// A command as the coordinator takes it: parsed, decided, folded, with what follows.
    fn take(&mut self, verb: &str, body: serde_json::Value) {
        self.commands += 1;
        let id = format!("c-{}", self.commands);
        let mint = || CommandId::new(&id).expect("a plain id");
        let alice = ActorId::new("alice").expect("a plain name");
        let bytes = body.to_string();
        let command = Command::parse(alice, verb, bytes.as_bytes(), Encoding::Json, mint)
            .expect("the bench sends what is right");
        let at = At(self.state.seq);
        let events = decide(&self.state, &command, at).expect("nothing is in the bench's way");
        self.record(Some(&command), events);
        loop {
            let events = devmesh_domain::decide::follow(&self.state, at);
            if events.is_empty() {
                return;
            }
            self.record(None, events);
        }
    }

    /// The mean processor time of a pair, in microseconds.
    fn pair_us(&mut self) -> Result<f64> {
        let begun = usage::own_cpu_us()?;
        for n in 0..PAIRS {
            let path = format!("src/m{}/deep/er/still/p{n}.rs", n % 97);
            self.take("lock.acquire", json!({ "paths": [path], "mode": "write" }));
            self.take("lock.release", json!({ "paths": [path] }));
        }
        Ok((usage::own_cpu_us()? - begun) / PAIRS as f64)
    }
}

fn repo() -> RepoAdded {
    RepoAdded {
        repo: RepoId::new("demo").expect("a plain name"),
        url: None,
        path: Some("/demo".to_owned()),
        host: None,
        base: "main".to_owned(),
        target: "devmesh/landed/main".to_owned(),
        verify: Vec::new(),
        setup: None,
        ignore_case: false,
        hot: None,
    }
}

fn joined(n: u64) -> AgentJoined {
    AgentJoined {
        actor: actor(n),
        session: SessionId::new("s1").expect("a plain name"),
        tool: "custom".to_owned(),
        host: HostId::new(&format!("h{}", n % 20)).expect("a plain name"),
        model: None,
        capabilities: Vec::new(),
        needs: Needs::default(),
        repos: Vec::new(),
        for_persons: Vec::new(),
    }
}

/// Leases in a deep tree, a hundred of each agent.
fn granted(n: u64) -> LockGranted {
    let path = format!("src/m{}/deep/er/still/d{}/f{n}.rs", n % 97, n % 1_009);
    LockGranted {
        index: 0,
        actor: actor(n % AGENTS),
        session: Some(SessionId::new("s1").expect("a plain name")),
        task: None,
        repo: RepoId::new("demo").expect("a plain name"),
        path: RepoPath::new(&path).expect("a plain path"),
        mode: Mode::Write,
        ttl_ms: 15_000,
        expires_at: None,
        waited: None,
        share: None,
        reason: None,
    }
}
