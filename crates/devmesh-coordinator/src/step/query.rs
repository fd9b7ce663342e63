//! Queries: answered from what is acknowledged, completed from memory and from the stored texts.

use devmesh_domain::glance;
use devmesh_domain::look::look;
use devmesh_protocol::query::{AT_LEAST_WAIT_MS, Query, What};
use devmesh_protocol::view::NoteView;
use devmesh_protocol::{ActorId, Code, Digest, Rejection, Reply, SessionId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply_now;
use crate::effect::Effect;
use crate::input::{Caller, Now};
use crate::view::{Asked, Filling, Found, Role, View};

/// A query's proof of leading may be so old: less than the shortest silence after which somebody
/// else claims.
const PROOF_MS: u64 = 250;
/// Queries that wait.
const ASKED_MAX: usize = 8_192;
/// How long the texts of an answer are waited for; then it goes without them.
const FILL_MS: u64 = 2_000;

/// Takes a query. It is answered at the end of the turn, or when what it waits for has come.
pub(super) fn ask(view: &mut View, now: Now, query: Query, caller: Caller) {
    if view.asked.len() >= ASKED_MAX {
        return view.count("queries_over_bound");
    }
    let since = now.mono_ms.saturating_sub(PROOF_MS);
    let until = now.mono_ms + AT_LEAST_WAIT_MS;
    view.asked.push(Asked { query, caller, since, until });
}

/// Answers those that have waited long enough.
pub(super) fn answer(view: &mut View, now: Now, out: &mut Vec<Effect>) {
    if view.asked.is_empty() {
        return;
    }
    let confirmed = match &view.role {
        Role::Leading(term) => term.confirmed,
        Role::Halted => return,
        // Where the store takes nothing nobody leads, and what was read is all there is.
        _ if view.store.refuses() => u64::MAX,
        Role::Standby { .. } | Role::Away { .. } | Role::CatchingUp { .. } | Role::Claiming(_) => {
            return;
        }
    };
    let seq = view.settled.state().seq;
    let is_ready = |asked: &Asked| {
        asked.since <= confirmed && asked.query.at_least.is_none_or(|at_least| at_least <= seq)
    };
    for asked in std::mem::take(&mut view.asked) {
        if is_ready(&asked) {
            show(view, now, asked, out);
        } else {
            view.asked.push(asked);
        }
    }
}

/// Gives up on those that have waited for too long.
pub(super) fn expire(view: &mut View, now: Now, out: &mut Vec<Effect>) {
    let has_expired = |until: u64| until <= now.mono_ms;
    if view.asked.iter().any(|asked| has_expired(asked.until)) {
        let seq = view.settled.state().seq;
        let (over, rest) = std::mem::take(&mut view.asked)
            .into_iter()
            .partition(|asked: &Asked| has_expired(asked.until));
        view.asked = rest;
        let over: Vec<Asked> = over;
        for asked in over {
            let Some(at_least) = asked.query.at_least.filter(|at_least| *at_least > seq) else {
                // Not proven to lead: unanswered, and asked again elsewhere.
                continue;
            };
            let text = format!("record {at_least} is not there yet; the newest is {seq}");
            let error = Rejection::new(Code::SeqNotReached, text).with("seq", seq);
            reply_now(asked.caller, &Reply::Err { seq: Some(seq), error }, out);
        }
    }
    if view.filling.iter().any(|filling| has_expired(filling.until)) {
        for mut filling in std::mem::take(&mut view.filling) {
            if has_expired(filling.until) {
                let late = filling.missing.drain(..).map(|(pointer, _)| pointer);
                filling.found.unread.extend(late);
            }
            view.filling.push(filling);
        }
        give_filled(view, out);
    }
}

fn show(view: &mut View, now: Now, asked: Asked, out: &mut Vec<Effect>) {
    let Asked { query, caller, .. } = asked;
    let seq = view.settled.state().seq;
    let value = match look(view.settled.state(), &query.what) {
        Ok(value) => value,
        Err(error) => {
            view.count(error.code.as_str());
            return reply_now(caller, &Reply::Err { seq: Some(seq), error }, out);
        }
    };
    let mut value = value;
    complete(view, now, &query.what, &mut value);
    let mut missing = Vec::new();
    for (pointer, digest) in glance::texts(view.settled.state(), &query.what, &value) {
        if let Some(text) = view.texts.get(&digest) {
            put(&mut value, &pointer, Some(text));
        } else if !view.texts.is_redacted(&digest) {
            missing.push((pointer, digest));
        }
    }
    let word = match query.what {
        What::Notes(notes) => notes.word,
        _ => None,
    };
    let found = Found { word, ..Found::default() };
    if missing.is_empty() {
        return give(caller, seq, value, &found, out);
    }
    let asked: std::collections::BTreeSet<Digest> = missing.iter().map(|(_, d)| *d).collect();
    out.extend(asked.into_iter().map(|digest| Effect::ReadText { digest }));
    let until = now.mono_ms + FILL_MS;
    view.filling.push(Filling { caller, seq, value, missing, found, until });
}

fn put(value: &mut Value, pointer: &str, text: Option<&str>) {
    if let Some(place) = value.pointer_mut(pointer) {
        *place = text.map_or(Value::Null, Value::from);
    } else if let Some((parent, name)) = pointer.rsplit_once('/')
        && let (Some(Value::Object(parent)), Some(text)) = (value.pointer_mut(parent), text)
    {
        parent.insert(name.to_owned(), text.into());
    }
}

/// A text was read for the answers that wait for it.
pub(super) fn text_read(
    view: &mut View,
    digest: Digest,
    text: Result<Option<String>, String>,
    out: &mut Vec<Effect>,
) {
    let (text, is_read) = match text {
        Ok(text) => (text, true),
        Err(why) => {
            tracing::warn!(%digest, why, "a free text could not be read");
            (None, false)
        }
    };
    if let Some(text) = &text {
        view.texts.insert(digest, text.as_str().into());
    }
    for filling in &mut view.filling {
        let Filling { value, missing, found, .. } = filling;
        missing.retain(|(pointer, wanted)| {
            if *wanted == digest {
                put(value, pointer, text.as_deref());
                if !is_read {
                    found.unread.push(pointer.clone());
                }
            }
            *wanted != digest
        });
    }
    give_filled(view, out);
}

fn give_filled(view: &mut View, out: &mut Vec<Effect>) {
    for filling in std::mem::take(&mut view.filling) {
        if filling.missing.is_empty() {
            let Filling { caller, seq, value, found, .. } = filling;
            give(caller, seq, value, &found, out);
        } else {
            view.filling.push(filling);
        }
    }
}

/// Answers, now that the texts stand in it: of notes only those that hold what was asked for, and
/// those of which nobody can tell, which are named.
fn give(caller: Caller, seq: u64, mut value: Value, found: &Found, out: &mut Vec<Effect>) {
    if let Some(notes) = value["notes"].as_array_mut() {
        let mut unread = Vec::new();
        let mut place = 0;
        notes.retain(|note| {
            let pointer = format!("/notes/{place}/value");
            place += 1;
            let is_unread = found.unread.contains(&pointer);
            if is_unread {
                unread.push(note["key"].clone());
            }
            let holds =
                |word: &String| NoteView::deserialize(note).is_ok_and(|note| note.holds(word));
            is_unread || found.word.as_ref().is_none_or(holds)
        });
        if !unread.is_empty() {
            value["unread"] = unread.into();
        }
    }
    reply_now(caller, &Reply::Ok { seq: Some(seq), result: value }, out);
}

/// Adds what only memory knows.
fn complete(view: &mut View, now: Now, what: &What, value: &mut Value) {
    match what {
        What::State => {
            let mut dropped = view.dropped.clone();
            for (name, n) in &view.counted {
                *dropped.entry(name.clone()).or_default() += n;
            }
            value["dropped"] = json!(dropped);
            value["hash"] = json!(view.settled.hash());
            if view.store.refuses() {
                value["stale"] = json!(view.store.why());
            }
        }
        What::Agents(_) => each(value, "agents", |agent| {
            let named = |name: &str| agent.get(name).and_then(Value::as_str);
            let actor = named("agent").and_then(|actor| actor.parse().ok());
            let session = named("session").and_then(|session| session.parse().ok());
            let (Some(actor), Some(session)) = (actor, session) else { return };
            let (actor, session): (ActorId, SessionId) = (actor, session);
            let silent_ms = view.sessions.silent_ms(&actor, &session, now.mono_ms);
            agent["silent_ms"] = json!(silent_ms);
        }),
        What::Hosts(_) => each(value, "hosts", |host| {
            let name = host.get("host").and_then(Value::as_str).and_then(|h| h.parse().ok());
            if let Some(heard) = name.and_then(|name| view.reports.get(&name)) {
                host["report"] = json!(heard.report);
            }
        }),
        What::Task(of) => {
            if let (Some(message), Some(attempt @ Value::Object(_))) =
                (view.messages.get(&of.task), value.get_mut("attempt"))
            {
                attempt["message"] = json!(message);
            }
        }
        What::Tasks(_)
        | What::Locks(_)
        | What::LockCheck(_)
        | What::LockWhy(_)
        | What::Repos(_)
        | What::Notes(_)
        | What::Settings
        | What::Why(_)
        | What::Text(_) => {}
    }
}

/// Every entry of the list of that name, or of the value itself.
fn each(value: &mut Value, name: &str, change: impl FnMut(&mut Value)) {
    let list = if value.is_array() { Some(value) } else { value.get_mut(name) };
    list.and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}
