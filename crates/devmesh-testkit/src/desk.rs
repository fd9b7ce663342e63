//! A mesh without processes: commands are decided at once and appended to a log in memory. For
//! tests of what reads the log; nothing happens here by itself, time included.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use devmesh_bus::client::mint;
use devmesh_bus::log::Log;
use devmesh_bus::log::memory::{MemoryLog, MemoryOpen};
use devmesh_domain::answer::{Known, answers, immediate, known};
use devmesh_domain::{Reader, State, decide, follow, glance, look};
use devmesh_protocol::batch::Batch;
use devmesh_protocol::command::Encoding;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::query::Query;
use devmesh_protocol::{
    ActorId, At, Command, CommandId, Digest, Event, Record, Reply, Verb, version,
};
use futures::FutureExt;
use serde_json::{Value, json};

/// The name of the term's leader.
const NODE: &str = "desk";

/// A coordinator of a few lines.
#[derive(Clone, Debug)]
pub struct Desk {
    log: MemoryLog,
    open: MemoryOpen,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    reader: Reader,
    at: At,
    /// Every text that a command carried, by its digest.
    texts: BTreeMap<Digest, String>,
    /// What every command was answered.
    replies: BTreeMap<(ActorId, CommandId), Reply>,
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Desk {
    /// A mesh in its first term, with the person alice and the dashboard's actor.
    ///
    /// # Panics
    /// Where the domain refuses what every mesh begins with.
    #[must_use]
    pub fn new() -> Self {
        let open = MemoryOpen::new();
        let (reader, replies, texts) = Default::default();
        let inner = Inner { reader, at: At(1_700_000_000_000), texts, replies };
        let desk = Self { log: open.handle(), open, inner: Arc::new(Mutex::new(inner)) };
        let hash = desk.lock().reader.hash();
        let start = Internal::EpochStart { epoch: 1, node: NODE.to_owned(), nonce: 1, hash };
        desk.put_in(start);
        for (actor, role) in [("alice", "person"), ("dashboard", "dashboard")] {
            let reply = desk.say("admin", "actor.add", json!({ "actor": actor, "role": role }));
            assert!(matches!(reply, Reply::Ok { .. }), "{reply:?}");
        }
        desk
    }

    /// A handle on the log.
    #[must_use]
    pub fn log(&self) -> MemoryLog {
        self.open.handle()
    }

    /// The hand that breaks the log.
    #[must_use]
    pub fn store(&self) -> &MemoryOpen {
        &self.open
    }

    /// Sends a command as anybody.
    ///
    /// # Panics
    /// Where the actor is no name.
    pub fn say(&self, actor: &str, verb: &str, body: Value) -> Reply {
        let actor = ActorId::new(actor).expect("a test names actors");
        let bytes = body.to_string();
        match Command::parse(actor, verb, bytes.as_bytes(), Encoding::Json, mint) {
            Ok(command) => self.submit(&command),
            Err(error) => Reply::Err { seq: None, error },
        }
    }

    /// Decides a command.
    pub fn submit(&self, command: &Command) -> Reply {
        let mut inner = self.lock();
        inner.at = inner.at + 1;
        let at = inner.at;
        let key = (command.actor.clone(), command.id.clone());
        let body = command.to_body().expect("what was read can be written");
        let said = body.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
        let said = said.map(|text| (Digest::of(text.as_bytes()), text.to_owned()));
        inner.texts.extend(said);
        // A desk has no clock, so no id is ahead of it.
        match known(inner.reader.state(), command, At(u64::MAX)) {
            Known::New | Known::Waiting => {}
            Known::Answered { .. } => return inner.replies[&key].clone(),
            Known::Refused(error) => return Reply::Err { seq: None, error },
        }
        let events = match decide(inner.reader.state(), command, at) {
            Ok(events) => events,
            Err(error) => return Reply::Err { seq: None, error },
        };
        if events.is_empty() {
            return immediate(inner.reader.state(), command);
        }
        let record = self.append(&mut inner, Some(command), events);
        let replies = answers(inner.reader.state(), &record);
        self.follow(&mut inner);
        for answer in replies {
            inner.replies.insert((answer.actor, answer.id), answer.reply);
        }
        let nothing = Reply::Ok { seq: Some(record.seq), result: Value::Null };
        inner.replies.get(&key).cloned().unwrap_or(nothing)
    }

    /// Puts in what a coordinator puts in by itself.
    ///
    /// # Panics
    /// Where the domain refuses it, which it never does.
    pub fn put_in(&self, input: Internal) {
        let mut inner = self.lock();
        inner.at = inner.at + 1;
        let command = Command {
            id: mint(),
            actor: ActorId::coordinator(),
            session: None,
            verb: Verb::Internal(input),
        };
        let events = decide(inner.reader.state(), &command, inner.at);
        let events = events.expect("what a coordinator puts in is never refused");
        if !events.is_empty() {
            self.append(&mut inner, None, events);
        }
        self.follow(&mut inner);
    }

    /// Lets time pass.
    pub fn wait(&self, ms: u64) {
        let mut inner = self.lock();
        inner.at = inner.at + ms;
        self.follow(&mut inner);
    }

    /// Answers a query from the state and the texts that were said.
    ///
    /// # Panics
    /// Where the actor is no name.
    pub fn ask(&self, actor: &str, what: &str, body: &Value) -> Reply {
        let actor = ActorId::new(actor).expect("a test names actors");
        let bytes = body.to_string();
        let query = Query::parse(actor, what, bytes.as_bytes(), Encoding::Json);
        let inner = self.lock();
        let state = inner.reader.state();
        let shown = query.and_then(|query| {
            let mut result = look::look(state, &query.what)?;
            for (place, digest) in glance::texts(state, &query.what, &result) {
                let (above, name) = place.rsplit_once('/').unwrap_or(("", &place));
                if let Some(above) = result.pointer_mut(above) {
                    above[name] = json!(inner.texts.get(&digest));
                }
            }
            Ok(result)
        });
        match shown {
            Ok(result) => Reply::Ok { seq: Some(state.seq), result },
            Err(error) => Reply::Err { seq: None, error },
        }
    }

    /// The newest record.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.lock().reader.chain().seq
    }

    /// A copy of the state.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().reader.state().clone()
    }

    fn follow(&self, inner: &mut Inner) {
        loop {
            let events = follow(inner.reader.state(), inner.at);
            if events.is_empty() {
                return;
            }
            self.append(inner, None, events);
        }
    }

    fn append(&self, inner: &mut Inner, command: Option<&Command>, events: Vec<Event>) -> Record {
        let chain = *inner.reader.chain();
        let record = Record::new(chain.seq + 1, inner.at, command, events);
        let batch = Batch {
            v: version::FORMAT,
            // The first message begins the first term.
            epoch: chain.epoch.max(1),
            node: NODE.to_owned(),
            prev: chain.h,
            first_seq: record.seq,
            records: vec![record.clone()],
        };
        let payload = Bytes::from(batch.encode().expect("a test's record is small"));
        let appended = self.log.append(chain.stream_seq, batch.epoch, payload.clone());
        let appended = appended.now_or_never().expect("memory does not wait");
        let stream_seq = appended.expect("nobody else writes");
        inner.reader.take(stream_seq, &payload).expect("what was just written is whole");
        record
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
