//! A small mesh for tests: commands in one line each, as the coordinator would take them, with
//! every invariant checked after every record.

use devmesh_protocol::command::Encoding;
use devmesh_protocol::command::agent::{Needs, Role};
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::Bid;
use devmesh_protocol::event::agent as agent_event;
use devmesh_protocol::event::mesh::RepoAdded;
use devmesh_protocol::report::{HostReport, Pressure};
use devmesh_protocol::{
    ActorId, At, Command, CommandId, Event, HostId, LeaseId, Record, Rejection, RepoId, SessionId,
    TaskId, Verb,
};
use serde_json::{Value, json};

use crate::fold::fold;
use crate::state::State;

pub(crate) fn actor(name: &str) -> ActorId {
    ActorId::new(name).unwrap()
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

/// What the probe of a host with nothing to do reports: 8000 MiB, four processors, eight places.
pub(crate) fn idle_host(name: &str) -> HostReport {
    HostReport {
        host: HostId::new(name).unwrap(),
        at: At(0),
        ram_total_mb: 8_000,
        ram_free_mb: 8_000,
        ram_limit_mb: None,
        swap_total_mb: 100,
        swap_used_mb: 0,
        cpus: 4,
        cpu_milli: 0,
        load1_milli: 0,
        pressure: Some(Pressure::default()),
        disk_free_mb: 100_000,
        gpus: Vec::new(),
        slots: 8,
        ignore_strain: false,
    }
}

/// Its people are `alice`, `bob`, `carol`, `dave` and `erin`; its agents `codex`, `claude` and
/// `gemini` under sessions of the same name; its repository `r`.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) records: Vec<Record>,
    pub(crate) at: At,
    commands: u64,
}

pub(crate) const PEOPLE: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
pub(crate) const AGENTS: [&str; 3] = ["codex", "claude", "gemini"];

impl World {
    pub(crate) fn bare() -> World {
        World { state: State::default(), records: Vec::new(), at: At(1_000_000), commands: 0 }
    }

    pub(crate) fn new() -> World {
        let mut world = World::bare();
        for name in PEOPLE {
            let added = agent_event::ActorAdded { actor: actor(name), role: Role::Person };
            world.happened(vec![added.into()]);
        }
        world.repo("r", false);
        for name in AGENTS {
            let joined = agent_event::AgentJoined {
                actor: actor(name),
                session: session(name),
                tool: "custom".to_owned(),
                host: HostId::new("host").unwrap(),
                model: None,
                capabilities: Vec::new(),
                needs: Needs::default(),
                repos: Vec::new(),
                for_persons: Vec::new(),
            };
            world.happened(vec![joined.into()]);
            world.follow();
        }
        world
    }

    pub(crate) fn repo(&mut self, name: &str, ignore_case: bool) {
        let added = RepoAdded {
            repo: RepoId::new(name).unwrap(),
            url: None,
            path: Some("/r".to_owned()),
            host: None,
            base: "main".to_owned(),
            target: "devmesh/landed/main".to_owned(),
            verify: Vec::new(),
            setup: None,
            ignore_case,
            hot: None,
        };
        self.happened(vec![added.into()]);
    }

    /// A record of the coordinator's own.
    pub(crate) fn happened(&mut self, events: Vec<Event>) {
        self.record(None, events);
    }

    pub(crate) fn record(&mut self, command: Option<&Command>, events: Vec<Event>) {
        assert!(events.len() <= devmesh_protocol::limits::RECORD_EVENTS_MAX);
        let record = Record::new(self.state.seq + 1, self.at, command, events);
        let before = self.state.clone();
        fold(&mut self.state, &record);
        let held = super::check_step(&before, &record, &self.state);
        if let Err(why) = held.and_then(|()| super::check(&self.state)) {
            panic!("{why}\nafter {:#?}", record.events);
        }
        self.records.push(record);
    }

    /// All that follows, as words.
    pub(crate) fn follow(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        for _ in 0..10_000 {
            let events = crate::follow(&self.state, self.at);
            if events.is_empty() {
                return words;
            }
            words.extend(events.iter().map(|event| self.word(event)));
            self.happened(events);
        }
        panic!("what follows never ends: {:?}", crate::follow(&self.state, self.at));
    }

    /// Decides and folds a command and all that follows.
    pub(crate) fn decide(&mut self, command: &Command) -> Result<Vec<String>, Rejection> {
        let events = crate::decide(&self.state, command, self.at)?;
        super::check_deed(&self.state, command, &events).unwrap();
        let mut words: Vec<String> = events.iter().map(|event| self.word(event)).collect();
        if !events.is_empty() {
            let internal = matches!(command.verb, Verb::Internal(_));
            self.record((!internal).then_some(command), events);
            words.extend(self.follow());
        }
        Ok(words)
    }

    pub(crate) fn send(
        &mut self,
        name: &str,
        verb: &str,
        mut body: Value,
    ) -> Result<Vec<String>, Rejection> {
        if self.state.agents.contains_key(&actor(name)) && body.get("session").is_none() {
            body["session"] = json!(name);
        }
        self.commands += 1;
        let mint = || CommandId::new(&format!("c-{}", self.commands)).unwrap();
        let bytes = serde_json::to_vec(&body).unwrap();
        let command = Command::parse(actor(name), verb, &bytes, Encoding::Json, mint)?;
        self.decide(&command)
    }

    pub(crate) fn internal(&mut self, internal: Internal) -> Vec<String> {
        self.commands += 1;
        let id = CommandId::new(&format!("i-{}", self.commands)).unwrap();
        let actor = ActorId::coordinator();
        let command = Command { id, actor, session: None, verb: Verb::Internal(internal) };
        self.decide(&command).unwrap()
    }

    /// A probe reports.
    pub(crate) fn reported(&mut self, report: &HostReport) -> Vec<String> {
        let (host, capacity) = (report.host.clone(), report.capacity());
        let report = Some(Box::new(report.clone()));
        self.internal(Internal::HostMeasured { host, capacity, report })
    }

    /// Time passes.
    pub(crate) fn after(&mut self, ms: u64) -> Vec<String> {
        self.at = self.at + ms;
        let mut words = self.internal(Internal::Tick);
        words.extend(self.follow());
        words
    }

    pub(crate) fn silent(&mut self, name: &str, silent_ms: u64) -> Vec<String> {
        let (actor, session) = (actor(name), session(name));
        self.internal(Internal::SessionSilent { actor, session, silent_ms })
    }

    /// Adds task `number`, which must be the next, and lets the agent work on it.
    pub(crate) fn attempt(&mut self, number: u64, name: &str, mut task: Value) {
        task["title"] = json!("x");
        self.send("alice", "task.add", task).unwrap();
        let task = TaskId(number);
        let bid = Bid {
            actor: actor(name),
            score: [("free".to_owned(), 1)].into(),
            total: 1,
            declined: None,
        };
        self.internal(Internal::AuctionClose { task, bids: vec![bid] });
        let token = self.token(number);
        let body = json!({ "task": task, "attempt": 1, "token": token });
        self.send(name, "task.start", body).unwrap();
    }

    /// The live attempt's token.
    pub(crate) fn token(&self, number: u64) -> u64 {
        self.state.tasks.get(&TaskId(number)).unwrap().attempt.as_ref().unwrap().token
    }

    /// The lease of that actor on exactly that path.
    pub(crate) fn lease_of(&self, name: &str, path: &str) -> LeaseId {
        let own = |(_, lease): &(&LeaseId, &crate::state::lease::Lease)| {
            lease.holder.actor == actor(name)
                && lease.path.to_string().trim_end_matches('/') == path
        };
        *self.state.leases.iter().find(own).expect("it holds that path").0
    }

    /// A step in words: `alice write a b wait 5000`, `alice release a`, `alice give l-4-0`,
    /// `alice withdraw w`, `alice convert a write`, `alice renew`, `alice break bob a`,
    /// `after 500`, `silent codex 20000`. What came of it, in words: events, or the code.
    pub(crate) fn step(&mut self, step: &str) -> String {
        let words: Vec<&str> = step.split_whitespace().collect();
        let number = |text: &str| text.parse::<u64>().unwrap();
        let done = match words[..] {
            ["after", ms] => Ok(self.after(number(ms))),
            ["silent", name, ms] => Ok(self.silent(name, number(ms))),
            [name, "release", ref rest @ ..] => {
                let (mut body, paths) = with(json!({}), rest);
                body["paths"] = json!(paths);
                self.send(name, "lock.release", body)
            }
            [name, "give", ref leases @ ..] => {
                self.send(name, "lock.release", json!({ "leases": leases }))
            }
            [name, "give-of", other, path] => {
                let lease = self.lease_of(other, path).to_string();
                self.send(name, "lock.release", json!({ "leases": [lease] }))
            }
            [name, "withdraw", ref ids @ ..] => {
                self.send(name, "lock.release", json!({ "ids": ids }))
            }
            [name, "convert", path, mode, ref rest @ ..] => {
                let lease = self.lease_of(name, path).to_string();
                let body = json!({ "lease": lease, "mode": mode });
                self.send(name, "lock.convert", with(body, rest).0)
            }
            [name, "renew", ref rest @ ..] => {
                self.send(name, "lock.renew", with(json!({}), rest).0)
            }
            [name, "break", other, path] => {
                let lease = self.lease_of(other, path).to_string();
                let body = json!({ "lease": lease, "reason": "stuck" });
                self.send(name, "lock.break", body)
            }
            [name, mode, ref rest @ ..] => {
                let (mut body, paths) = with(json!({ "mode": mode }), rest);
                body["paths"] = json!(paths);
                self.send(name, "lock.acquire", body)
            }
            _ => panic!("no such step: {step}"),
        };
        match done {
            Ok(words) if words.is_empty() => "nothing".to_owned(),
            Ok(words) => words.join(", "),
            Err(refused) => refused.code.as_str().to_owned(),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "words for what locks do")]
    fn word(&self, event: &Event) -> String {
        let path = |id| self.state.leases.get(id).map_or("?".to_owned(), |l| l.path.to_string());
        match event {
            Event::LockGranted(e) => format!("{} has {} {}", e.actor, e.mode, e.path),
            Event::LockQueued(e) => format!("{} waits", e.actor),
            Event::LockWithdrawn(e) => format!("{} {:?}", e.actor, e.why).to_lowercase(),
            Event::LockConverted(e) => {
                let new = if e.index.is_some() { " anew" } else { "" };
                format!("{} is {}{new}", path(&e.lease), e.to)
            }
            Event::SharingBegan(e) => format!("{} shares", e.actor),
            Event::LeaseShared(e) => format!("{} of {} shared", e.path, e.actor),
            Event::WideWrite(e) => format!("{} wide", e.task),
            Event::LockReleased(e) => format!("{} free", path(&e.lease)),
            Event::LockExpired(e) => format!("{} over", path(&e.lease)),
            Event::LockBroken(e) => format!("{} broken", path(&e.lease)),
            other => format!("{} {}", other.kind(), other.key()),
        }
    }

    /// The same records folded again come to the same state.
    pub(crate) fn check_replay(&mut self) {
        let mut again = State::default();
        let mut twice = State::default();
        for record in &self.records {
            fold(&mut again, record);
            fold(&mut twice, record);
            twice.hash();
        }
        assert_eq!(again.hash(), self.state.hash(), "the same records make the same hash");
        assert_eq!(twice.hash(), self.state.hash(), "however often the hash is taken");
        super::check(&again).unwrap();
        let queue = |state: &State| {
            let index = &state.index;
            (index.grantable.clone(), index.stalled.clone(), index.entangled.clone())
        };
        assert_eq!(queue(&again), queue(&self.state), "and the same who are free to go");
    }
}

/// Options after the words of a step: `wait 500`, `ttl 500`, `id w`, `repo r`, `session s`. The
/// other words come back.
fn with<'w>(mut body: Value, words: &[&'w str]) -> (Value, Vec<&'w str>) {
    let mut others = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || *words.next().expect("an option has a value");
        match *word {
            "wait" => body["wait_ms"] = json!(value().parse::<i64>().unwrap()),
            "ttl" => body["ttl_ms"] = json!(value().parse::<i64>().unwrap()),
            "id" => body["id"] = json!(value()),
            "repo" => body["repo"] = json!(value()),
            "session" => body["session"] = json!(value()),
            "share" => body["share"] = json!(value()),
            "task" => body["task"] = json!(value()),
            "lease" => body["leases"] = json!([value()]),
            other => others.push(other),
        }
    }
    (body, others)
}

/// One case: what was done before, what is done, and what comes of it.
pub(crate) fn check(given: &[&str], when: &str, expect: &str) {
    let mut world = World::new();
    for step in given {
        world.step(step);
    }
    assert_eq!(world.step(when), expect, "given {given:?}, when {when}");
    world.check_replay();
}

/// A story: each step with what comes of it.
pub(crate) fn story(steps: &[(&str, &str)]) -> World {
    let mut world = World::new();
    for (step, expect) in steps {
        assert_eq!(world.step(step), *expect, "{step}, in {steps:#?}");
    }
    world.check_replay();
    world
}
