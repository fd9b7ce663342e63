//! A small mesh: the state that its coordinator decides on, the clock, and those who send it
//! commands. It is driven as the coordinator drives the domain: look the id up, decide, fold, and
//! all that follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use devmesh_domain::answer::{Known, answers, known};
use devmesh_domain::invariant::{DEEDS, STEPS};
use devmesh_domain::{State, decide, glance};
use devmesh_protocol::command::agent::{ActorAdd, Join, Role};
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::command::mesh::RepoAdd;
use devmesh_protocol::command::task::Add;
use devmesh_protocol::{
    ActorId, At, Command, CommandId, Digest, Event, HostId, Record, Reply, RepoId, RepoPath,
    SessionId, TaskId, Verb,
};
use serde::Serialize;

use crate::options::Options;

/// A promise that was broken, by its name, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) name: &'static str,
    pub(crate) why: String,
}

pub(crate) type Held = Result<(), Broken>;

pub(crate) fn broken(name: &'static str, why: impl Into<String>) -> Held {
    Err(Broken { name, why: why.into() })
}

/// One who sends commands: an agent with a session, or a person.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) actor: ActorId,
    pub(crate) is_agent: bool,
    /// Counts its sessions.
    pub(crate) session: u8,
    /// It runs and is heard; one that has crashed does nothing.
    pub(crate) alive: bool,
    /// How long it has not been heard, in milliseconds.
    pub(crate) silent_ms: u64,
    /// What it sent last: it may send that again, or it comes twice, or late.
    pub(crate) last: Option<Command>,
    /// The last command has not arrived yet.
    pub(crate) flying: bool,
    /// The attempts it was awarded, newest last, as it remembers them: task, number, token.
    pub(crate) attempts: Vec<(TaskId, u32, u64)>,
    /// How many commands it may still send.
    pub(crate) left: u8,
}

/// What of a client decides what can happen next.
#[derive(Serialize)]
struct Seen<'a> {
    session: u8,
    alive: bool,
    silent: u64,
    left: u8,
    flying: bool,
    last: Option<(&'static str, Option<&'a SessionId>, &'a Verb)>,
    /// 0 unknown, 1 waits, 2 answered, 3 refused.
    known: u8,
    attempts: Vec<Remembered>,
}

#[derive(Serialize)]
struct Remembered {
    task: TaskId,
    attempt: u32,
    token: u64,
}

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) options: Arc<Options>,
    pub(crate) state: State,
    pub(crate) at: At,
    pub(crate) clients: Vec<Client>,
    /// What is left of each kind of mishap.
    pub(crate) left: Left,
    /// Answers that were given, of commands that can come again.
    answers: BTreeMap<CommandId, (u64, bool)>,
    records: Vec<Arc<Record>>,
    commands: u64,
}

/// How often each mishap may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Left {
    pub(crate) crashes: u8,
    pub(crate) again: u8,
    pub(crate) ticks: u8,
    pub(crate) terms: u8,
    pub(crate) person: u8,
}

/// When it all begins: late enough to be read as a time.
const BEGIN: At = At(1_800_000_000_000);

impl World {
    pub(crate) fn new(options: Arc<Options>) -> World {
        let client = |(n, is_agent): (usize, bool)| Client {
            actor: ActorId::new(&format!("{}{n}", if is_agent { "a" } else { "p" })).unwrap(),
            is_agent,
            session: 1,
            alive: true,
            silent_ms: 0,
            last: None,
            flying: false,
            attempts: Vec::new(),
            left: options.commands,
        };
        let agents = (0..options.agents).map(|n| (n, true));
        let people = (0..options.people).map(|n| (n, false));
        let mut world = World {
            state: State::default(),
            at: BEGIN,
            clients: agents.chain(people).map(client).collect(),
            left: options.left,
            answers: BTreeMap::new(),
            records: Vec::new(),
            commands: 0,
            options,
        };
        world.furnish().expect("nothing is broken before anything happens");
        world
    }

    fn furnish(&mut self) -> Held {
        self.internal(Internal::EpochStart {
            epoch: 1,
            node: "n".to_owned(),
            nonce: 0,
            hash: Digest::of(b""),
        })?;
        let people = self.clients.iter().filter(|c| !c.is_agent).map(|c| c.actor.clone());
        let boss = ActorId::new("boss").unwrap();
        for actor in people.chain([boss.clone()]).collect::<Vec<_>>() {
            let verb = Verb::ActorAdd(ActorAdd { actor, role: Role::Person });
            self.send(ActorId::admin(), None, verb)?;
        }
        let repo = RepoAdd {
            name: RepoId::new("r").unwrap(),
            url: None,
            path: Some("/r".to_owned()),
            host: None,
            base: None,
            target: None,
            verify: Vec::new(),
            setup: None,
            ignore_case: false,
            hot: None,
        };
        self.send(boss.clone(), None, Verb::RepoAdd(repo))?;
        for n in 0..self.clients.len() {
            if self.clients[n].is_agent {
                self.join(n)?;
            }
        }
        for n in 0..self.options.tasks.len() {
            let spec = self.options.tasks[n];
            let add = Add {
                title: "t".to_owned(),
                paths: spec.path.iter().map(|path| RepoPath::new(path).unwrap()).collect(),
                depends_on: spec.after.map(TaskId).into_iter().collect(),
                max_attempts: Some(2),
                flow: spec.flow,
                ..Add::default()
            };
            self.send(boss.clone(), None, Verb::TaskAdd(add))?;
        }
        self.answers.clear();
        Ok(())
    }

    /// An agent joins under its present session.
    pub(crate) fn join(&mut self, n: usize) -> Held {
        let join = Join {
            tool: "custom".to_owned(),
            host: HostId::new("h").unwrap(),
            model: None,
            capabilities: Vec::new(),
            needs: Default::default(),
            repos: Vec::new(),
            for_persons: Vec::new(),
            seen: None,
        };
        let (actor, session) = (self.clients[n].actor.clone(), self.session(n));
        self.send(actor, session, Verb::AgentJoin(join))
    }

    /// The session that a client acts under.
    pub(crate) fn session(&self, n: usize) -> Option<SessionId> {
        let client = &self.clients[n];
        let text = format!("{}-{}", client.actor, client.session);
        client.is_agent.then(|| SessionId::new(&text).unwrap())
    }

    pub(crate) fn mint(&mut self) -> CommandId {
        self.commands += 1;
        CommandId::new(&format!("c-{}", self.commands)).unwrap()
    }

    /// A command that is minted and arrives at once.
    pub(crate) fn send(&mut self, actor: ActorId, session: Option<SessionId>, verb: Verb) -> Held {
        let id = self.mint();
        self.arrives(&Command { id, actor, session, verb })
    }

    /// A command arrives, as the coordinator takes it.
    pub(crate) fn arrives(&mut self, command: &Command) -> Held {
        let before = self.answers.get(&command.id).copied();
        match known(&self.state, command, self.at) {
            Known::New => {}
            Known::Waiting => return Ok(()),
            Known::Answered { seq } => return self.again(command, seq, before),
            Known::Refused(_) => return Ok(()),
        }
        let Ok(events) = decide(&self.state, command, self.at) else { return Ok(()) };
        for (name, holds) in DEEDS {
            if let Err(why) = holds(&self.state, command, &events) {
                return broken(name, why);
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        let is_own = |r: &&Arc<Record>| {
            r.command_id.as_ref() == Some(&command.id) && r.actor == command.actor
        };
        if let Some(first) = self.records.iter().find(is_own) {
            let why = format!("{} is in record {} already", command.id, first.seq);
            return broken("s4_once", why);
        }
        self.record(Some(command), events)?;
        self.follow()
    }

    /// The same id again: the same answer.
    fn again(&self, command: &Command, seq: u64, before: Option<(u64, bool)>) -> Held {
        let record = self.records.iter().find(|record| record.seq == seq);
        let Some(record) = record else {
            return broken("s4_same_answer", format!("record {seq} of {} is gone", command.id));
        };
        let mut all = answers(&self.state, record).into_iter();
        let Some(answer) = all.find(|a| a.id == command.id && a.actor == command.actor) else {
            return broken(
                "s4_same_answer",
                format!("record {seq} does not answer {}", command.id),
            );
        };
        let original = record.command_id.as_ref() == Some(&command.id);
        let same_body = !original || record.body == Some(command.digest());
        if !same_body {
            return broken("s4_same_answer", "another body got the first one's answer");
        }
        let now = (seq, matches!(answer.reply, Reply::Ok { .. }));
        match before {
            Some(before) if before != now => {
                broken("s4_same_answer", format!("{before:?} at first, now {now:?}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// An input of the coordinator's own.
    pub(crate) fn internal(&mut self, internal: Internal) -> Held {
        let id = CommandId::new("i").unwrap();
        let actor = ActorId::coordinator();
        let command = Command { id, actor, session: None, verb: Verb::Internal(internal) };
        let Ok(events) = decide(&self.state, &command, self.at) else {
            return broken("internal", "the coordinator's own input was refused");
        };
        if !events.is_empty() {
            self.record(None, events)?;
        }
        self.follow()
    }

    /// All that follows; it must come to an end.
    pub(crate) fn follow(&mut self) -> Held {
        for _ in 0..200 {
            let events = devmesh_domain::follow(&self.state, self.at);
            if events.is_empty() {
                return match glance::next_due(&self.state) {
                    Some(due) if due <= self.at => {
                        broken("l5_nothing_overdue", "a deadline has come and nothing follows")
                    }
                    Some(_) | None => Ok(()),
                };
            }
            self.record(None, events)?;
        }
        broken("l5_follow_ends", "what follows never ends")
    }

    fn record(&mut self, command: Option<&Command>, events: Vec<Event>) -> Held {
        let record = Record::new(self.state.seq + 1, self.at, command, events);
        let before = self.state.clone();
        devmesh_domain::fold::fold(&mut self.state, &record);
        for (name, holds) in STEPS {
            if let Err(why) = holds(&before, &record, &self.state) {
                return broken(name, why);
            }
        }
        for answer in answers(&self.state, &record) {
            let now = (record.seq, matches!(answer.reply, Reply::Ok { .. }));
            if self.answers.insert(answer.id.clone(), now).is_some() {
                return broken("s4_once", format!("{} is answered twice", answer.id));
            }
        }
        self.learn(&record);
        self.records.push(Arc::new(record));
        Ok(())
    }

    /// What the clients are told.
    fn learn(&mut self, record: &Record) {
        for event in &record.events {
            let Event::TaskAwarded(e) = event else { continue };
            let worker = self.clients.iter_mut().find(|client| client.actor == e.actor);
            if let Some(client) = worker.filter(|client| client.alive) {
                client.attempts.push((e.task, e.attempt, record.seq));
                if client.attempts.len() > 2 {
                    client.attempts.remove(0);
                }
            }
        }
    }

    /// Time passes; whoever is alive is heard.
    pub(crate) fn pass(&mut self, ms: u64) -> Held {
        self.at = self.at + ms;
        for client in &mut self.clients {
            client.silent_ms = if client.alive { 0 } else { (client.silent_ms + ms).min(90_000) };
        }
        self.follow()?;
        for n in 0..self.clients.len() {
            let client = &self.clients[n];
            let live = glance::live_session(&self.state, &client.actor).cloned();
            let Some(session) = live else { continue };
            // A session that was left behind by a new one is not heard either.
            let own = self.session(n).as_ref() == Some(&session);
            let silent_ms = if own { client.silent_ms } else { 90_000 };
            let actor = client.actor.clone();
            if silent_ms > 0 {
                self.internal(Internal::SessionSilent { actor, session, silent_ms })?;
            }
        }
        self.nobody_overdue()
    }

    /// L1, L7: who has been silent for so long has nothing, and nothing that is over is shown.
    fn nobody_overdue(&self) -> Held {
        for (id, lease) in glance::held(&self.state) {
            if lease.expires_at.is_some_and(|end| end <= self.at) {
                return broken("l7_honest", format!("{id} is over and still shown"));
            }
            let holder = self.clients.iter().find(|c| c.actor == lease.holder.actor);
            let lapse_ms = lease.ttl_ms + self.state.grace_ms();
            if holder.is_some_and(|c| c.is_agent && c.silent_ms >= lapse_ms) {
                return broken("l1_silence_frees", format!("{id} outlives its holder's silence"));
            }
        }
        Ok(())
    }

    /// What decides what can happen next, as bytes.
    pub(crate) fn form(&self) -> Vec<u8> {
        let seen: Vec<Seen<'_>> = self.clients.iter().map(|client| self.seen(client)).collect();
        crate::form::write(self.at, &(self.state.normalised(), seen, self.left))
    }

    fn seen<'a>(&self, client: &'a Client) -> Seen<'a> {
        let comes = client.flying || self.left.again > 0;
        let last = client.last.as_ref().filter(|_| comes);
        let known = last.map_or(0, |command| match known(&self.state, command, self.at) {
            Known::New => 0,
            Known::Waiting => 1,
            Known::Answered { .. } => 2,
            Known::Refused(_) => 3,
        });
        let attempts = client.attempts.iter();
        Seen {
            session: client.session,
            alive: client.alive,
            silent: client.silent_ms / 1_000,
            left: client.left,
            flying: client.flying,
            // Answered, it is only told from another.
            last: last.map(|c| (c.verb.name(), c.session.as_ref(), &c.verb)),
            known,
            attempts: attempts
                .map(|(task, attempt, token)| Remembered {
                    task: *task,
                    attempt: *attempt,
                    token: *token,
                })
                .collect(),
        }
    }

    pub(crate) fn records(&self) -> &[Arc<Record>] {
        &self.records
    }
}
