//! From reading to leading and back. Of any number of claimants one wins, because an append names
//! the last position that its author has read; everything else here is manners.

use std::sync::Arc;

use devmesh_bus::log::AppendError;
use devmesh_domain::{State, decide};
use devmesh_protocol::batch::Batch;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::{ActorId, At, Code, Command, CommandId, Event, Record, Verb, version};

use crate::effect::Effect;
use crate::error::Error;
use crate::input::{Caller, Now, Read};
use crate::step::{Fate, desk, halt, reply_now};
use crate::view::held::Replies;
use crate::view::{Flight, Patience, Role, Term, View, again_of};

/// How long a leader may be silent before a standby claims.
const SILENT_MS: u64 = devmesh_bus::notice::LEADER_SILENT_MS;
/// Rivals spread their claims over so much.
const JITTER_MS: u64 = 150;
/// Terms that were lost within this time make for patience.
const FLAP_MS: u64 = 10_000;
/// The longest patience.
const PATIENCE_MS_MAX: u64 = 8_000;
/// The pause before a new connection, where the old one was of no use.
const AGAIN_MS: u64 = 250;
/// Between two claims on a store that takes nothing.
const FENCE_MS: u64 = 2_000;
/// How long a replicated log may seem shorter than it was: a leader of its stream that has not
/// caught up may answer until the cluster has settled.
const SETTLING_MS: u64 = 12_000;
/// The same for a log that one server keeps, and has read before it answers.
const SETTLING_ALONE_MS: u64 = 2_000;

impl Patience {
    /// How long the leader may be silent this time.
    pub(crate) fn draw(&mut self, now: Now, seed: u64) -> u64 {
        self.forget(now);
        self.drawn += 1;
        let doublings = self.lost.len().saturating_sub(1).min(4);
        let patience = (SILENT_MS << doublings).min(PATIENCE_MS_MAX);
        patience + mix(seed ^ self.drawn) % (JITTER_MS << doublings)
    }

    fn forget(&mut self, now: Now) {
        let old = |lost: &u64| now.mono_ms.saturating_sub(*lost) > FLAP_MS;
        while self.lost.front().is_some_and(old) {
            self.lost.pop_front();
        }
    }

    /// A term was lost. Returns whether the next may be claimed at once.
    fn lose(&mut self, now: Now) -> bool {
        self.forget(now);
        self.lost.push_back(now.mono_ms);
        self.lost.len() < 2
    }
}

/// Spreads bits (the finaliser of splitmix64).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Gives the connection up and asks for a fresh one.
pub(crate) fn reopen(view: &mut View, after_ms: u64, out: &mut Vec<Effect>) {
    view.link += 1;
    view.follows = false;
    // Whatever is wrong with it may have kept heartbeats from coming, and the word that it is lost
    // says nothing once it is given up.
    view.was_deaf = true;
    if !view.store.refuses() {
        out.push(Effect::IgnoreRequests { forget: false });
    }
    out.push(Effect::Reopen { link: view.link, after_ms });
}

pub(crate) fn opened(view: &mut View, now: Now, out: &mut Vec<Effect>) {
    if std::mem::take(&mut view.was_deaf) {
        view.sessions.listen_from(now.mono_ms);
    }
    let claim = matches!(view.role, Role::Away { claim: true });
    ask(view, claim, out);
}

fn ask(view: &mut View, claim: bool, out: &mut Vec<Effect>) {
    let epoch = view.settled.chain().epoch;
    view.role = Role::CatchingUp { claim, to: None, epoch };
    out.push(Effect::AskLast { link: view.link });
}

pub(crate) fn lost(view: &mut View, now: Now, why: &str, out: &mut Vec<Effect>) {
    match &view.role {
        Role::Leading(_) => end(view, now, why, true, out),
        Role::Claiming(_) => away(view, true, AGAIN_MS, out),
        Role::CatchingUp { claim, .. } | Role::Away { claim } => {
            let claim = *claim;
            away(view, claim, AGAIN_MS, out);
        }
        Role::Standby { .. } => away(view, false, AGAIN_MS, out),
        Role::Halted => {}
    }
}

fn away(view: &mut View, claim: bool, after_ms: u64, out: &mut Vec<Effect>) {
    view.role = Role::Away { claim };
    reopen(view, after_ms, out);
}

/// The stream's leader told the last position.
pub(crate) fn last(
    view: &mut View,
    now: Now,
    asked_at: u64,
    last: Result<u64, String>,
    out: &mut Vec<Effect>,
) {
    let epoch = match &view.role {
        Role::Leading(_) => return desk(view, now, out, |desk| desk.confirm(asked_at, last)),
        Role::CatchingUp { to: None, epoch, .. } => *epoch,
        Role::CatchingUp { .. }
        | Role::Away { .. }
        | Role::Standby { .. }
        | Role::Claiming(_)
        | Role::Halted => return,
    };
    let claim = matches!(view.role, Role::CatchingUp { claim: true, .. });
    let last = match last {
        Ok(last) => last,
        Err(why) if view.store.refuses() => {
            tracing::warn!(why, "the store takes nothing and tells nothing");
            return stand_by(view, now, out);
        }
        Err(why) => {
            tracing::warn!(why, "the log's last position is not to be learnt");
            return away(view, claim, AGAIN_MS, out);
        }
    };
    let read = view.settled.chain().stream_seq;
    let known = view.options.known.map_or(0, |known| known.stream_seq);
    if last < read.max(known) {
        return short(view, now, last, claim, out);
    }
    view.short_since = None;
    if last == read {
        return arrived(view, now, claim, epoch, out);
    }
    view.role = Role::CatchingUp { claim, to: Some(last), epoch };
    view.follows = false;
    out.push(Effect::Read { link: view.link, from: read + 1, to: last });
}

/// The log ends before what is known of it. That may pass; for a while.
fn short(view: &mut View, now: Now, last: u64, claim: bool, out: &mut Vec<Effect>) {
    let since = *view.short_since.get_or_insert(now.mono_ms);
    let known = view.options.known.unwrap_or_default();
    let read = view.settled.chain();
    let settling_ms = if view.replicas == Some(1) { SETTLING_ALONE_MS } else { SETTLING_MS };
    if now.mono_ms.saturating_sub(since) < settling_ms {
        tracing::warn!(last, read = read.stream_seq, known = known.stream_seq, "the log is short");
        return away(view, claim, AGAIN_MS * 2, out);
    }
    let (by, message) = if known.stream_seq > read.stream_seq {
        ("the state folder", known.stream_seq)
    } else {
        ("this process", read.stream_seq)
    };
    let error = Error::RolledBack {
        has: read.seq,
        has_message: last,
        known: format!("message {message}"),
        known_by: by.to_owned(),
    };
    halt(view, error, out);
}

/// Messages of the log came.
pub(crate) fn entries(view: &mut View, now: Now, entries: Vec<Read>, out: &mut Vec<Effect>) {
    // A leader knows its own messages, and what is no longer its own ends its term elsewhere.
    let is_reader = matches!(view.role, Role::CatchingUp { .. } | Role::Standby { .. });
    if !is_reader {
        return;
    }
    let before = view.settled.chain().stream_seq;
    for read in entries {
        if read.entry.stream_seq <= view.settled.chain().stream_seq {
            continue;
        }
        if let Err(error) = take(view, now, read) {
            return halt(view, error, out);
        }
    }
    let has_come_to = view.settled.chain().stream_seq;
    if has_come_to > before && view.store.takes() {
        tracing::info!("the store takes again what is sent to it");
        out.push(Effect::IgnoreRequests { forget: false });
    }
    match view.role {
        Role::Standby { .. } if has_come_to > before => {
            // Somebody writes, so somebody leads.
            let claim_at = now.mono_ms + view.patience.draw(now, view.options.seed);
            view.role = Role::Standby { claim_at };
        }
        Role::CatchingUp { claim, to: Some(to), epoch } if has_come_to >= to => {
            arrived(view, now, claim, epoch, out);
        }
        Role::Standby { .. }
        | Role::CatchingUp { .. }
        | Role::Away { .. }
        | Role::Claiming(_)
        | Role::Leading(_)
        | Role::Halted => {}
    }
}

fn take(view: &mut View, now: Now, read: Read) -> Result<(), Error> {
    let Read { entry, batch } = read;
    let records =
        view.settled.take_decoded(entry.stream_seq, &entry.payload, batch).map_err(Error::Log)?;
    let chain = *view.settled.chain();
    if view.options.known.is_some_and(|k| k.stream_seq == entry.stream_seq && k.h != chain.h) {
        return Err(Error::Replaced { stream_seq: entry.stream_seq });
    }
    learn(view, now, records, None);
    Ok(())
}

/// What acknowledged records mean for the soft state. Where there is an `out`, they are this
/// leader's own and are told.
pub(crate) fn learn(
    view: &mut View,
    now: Now,
    records: Vec<Record>,
    out: Option<&mut Vec<Effect>>,
) {
    let records: Vec<Arc<Record>> = records.into_iter().map(Arc::new).collect();
    let is_own = out.is_some();
    let mut redacted = Vec::new();
    for event in records.iter().flat_map(|record| &record.events) {
        match event {
            Event::Redacted(e) => redacted.push(e.digest),
            Event::AgentJoined(e) if !is_own => {
                view.sessions.hear(&e.actor, &e.session, now.mono_ms);
            }
            Event::AgentResumed(e) if !is_own => {
                view.sessions.hear(&e.actor, &e.session, now.mono_ms);
            }
            _ => {}
        }
    }
    for digest in &redacted {
        view.texts.redact(*digest);
        view.undeleted.insert(*digest);
    }
    let chain = *view.settled.chain();
    if let Some(out) = out {
        out.extend(redacted.into_iter().map(|digest| Effect::DeleteText { digest }));
        out.push(Effect::Announce(records.clone()));
    }
    view.past.push(records, &chain);
}

pub(crate) fn read_ended(
    view: &mut View,
    now: Now,
    fatal: bool,
    why: String,
    out: &mut Vec<Effect>,
) {
    if fatal {
        return halt(view, Error::Unreadable(why), out);
    }
    tracing::warn!(why, "reading the log has ended; reading on");
    lost(view, now, &why, out);
}

/// Everything up to the last position is read.
fn arrived(view: &mut View, now: Now, claim: bool, epoch: u64, out: &mut Vec<Effect>) {
    let mesh = view.settled.state().mesh();
    let has_been_won = mesh.epoch > epoch && mesh.node != view.options.node;
    if claim && !has_been_won && !view.stopping {
        return send_claim(view, now, out);
    }
    stand_by(view, now, out);
}

fn stand_by(view: &mut View, now: Now, out: &mut Vec<Effect>) {
    let mut claim_at = now.mono_ms + view.patience.draw(now, view.options.seed);
    if view.store.refuses() {
        claim_at = claim_at.max(now.mono_ms + FENCE_MS);
        out.push(Effect::WeighStore);
    }
    view.role = Role::Standby { claim_at };
    if !std::mem::replace(&mut view.follows, true) {
        let from = view.settled.chain().stream_seq + 1;
        out.push(Effect::Follow { link: view.link, from });
    }
}

/// The leader has been silent for too long: read to the end, and claim.
pub(crate) fn claim(view: &mut View, out: &mut Vec<Effect>) {
    ask(view, true, out);
}

/// Somebody else leads: those who wait here will ask there.
pub(crate) fn leave_to_others(view: &mut View, out: &mut Vec<Effect>) {
    let heard_requests = view.store.takes();
    if !heard_requests && view.again.is_empty() && view.waiting.is_empty() {
        return;
    }
    view.again.clear();
    view.waiting.clear();
    out.push(Effect::IgnoreRequests { forget: true });
}

fn send_claim(view: &mut View, now: Now, out: &mut Vec<Effect>) {
    let chain = *view.settled.chain();
    let hash = view.settled.hash();
    let (node, epoch) = (view.options.node.clone(), chain.epoch + 1);
    let nonce = mix(view.options.seed.wrapping_add(now.wall_ms) ^ now.mono_ms);
    let at = view.settled.state().at.max(At(now.wall_ms));
    let internal = Internal::EpochStart { epoch, node: node.clone(), nonce, hash };
    let events = decide_internal(view.settled.state(), internal, at);
    let record = own_record(chain.seq + 1, at, None, events);
    let (prev, first_seq) = (chain.h, chain.seq + 1);
    let batch = Batch { v: version::FORMAT, epoch, node, prev, first_seq, records: vec![record] };
    let payload = batch.encode().expect("the beginning of a term is a few hundred bytes").into();
    let flight = Flight { batch, payload, sent: now.mono_ms };
    let payload = flight.payload.clone();
    view.role = Role::Claiming(flight);
    view.follows = false;
    out.push(Effect::StopReading);
    let (link, expected_last) = (view.link, chain.stream_seq);
    out.push(Effect::Append { link, expected_last, epoch, payload });
}

/// Decides an input of the coordinator's own.
pub(crate) fn decide_internal(state: &State, internal: Internal, at: At) -> Vec<Event> {
    let command = Command {
        id: CommandId::new("internal").expect("eight letters are an id"),
        actor: ActorId::coordinator(),
        session: None,
        verb: Verb::Internal(internal),
    };
    decide(state, &command, at).expect("what the coordinator puts in itself is never refused")
}

/// A record that answers no command.
pub(crate) fn own_record(seq: u64, at: At, causation: Option<u64>, events: Vec<Event>) -> Record {
    Record { causation, ..Record::new(seq, at, None, events) }
}

/// The append that was in flight came to an end.
pub(crate) fn appended(
    view: &mut View,
    now: Now,
    outcome: Result<u64, AppendError>,
    out: &mut Vec<Effect>,
) {
    if view.is_leading() {
        return desk(view, now, out, |desk| desk.appended(outcome));
    }
    let Role::Claiming(_) = &view.role else { return };
    let Role::Claiming(flight) = std::mem::replace(&mut view.role, Role::Halted) else {
        unreachable!("it was looked at a line above")
    };
    match outcome {
        Ok(stream_seq) => lead(view, now, flight, stream_seq, out),
        Err(AppendError::Conflict(_)) => stand_by(view, now, out),
        Err(error) => {
            tracing::warn!(%error, "the claim is not acknowledged");
            not_stored(view, &error, out);
            let claim = !view.store.refuses();
            away(view, claim, AGAIN_MS, out);
        }
    }
}

/// An append was not acknowledged: what that says of the store. Where it takes nothing, requests
/// are heard all the same, to be told so.
pub(crate) fn not_stored(view: &mut View, error: &AppendError, out: &mut Vec<Effect>) {
    let refused = view.store.refuses();
    if view.store.failed(error) {
        tracing::error!(%error, "nothing is recorded; queries are still answered");
        out.push(Effect::HearRequests);
    } else if refused && !view.store.refuses() {
        tracing::info!("the store no longer refuses");
    }
    if error.is_unanswered() || error.store_refuses() {
        out.push(Effect::WeighStore);
    }
}

/// Those who wait learn why, once it is known what is free; what they asked for may be recorded
/// already, and they ask again under the same id.
pub(crate) fn refuse_held(view: &mut View, out: &mut Vec<Effect>) {
    if view.store.refuses() && !view.again.is_empty() {
        tracing::warn!(waiting = view.again.len(), "{}", view.store.why());
        for (_, caller) in std::mem::take(&mut view.again) {
            refuse(view, caller, out);
        }
    }
}

/// Says that the store takes nothing.
pub(crate) fn refuse(view: &mut View, caller: Caller, out: &mut Vec<Effect>) {
    view.count(Code::StoreRefuses.as_str());
    reply_now(caller, &view.store.refusal(FENCE_MS), out);
}

fn lead(view: &mut View, now: Now, flight: Flight, stream_seq: u64, out: &mut Vec<Effect>) {
    let Flight { batch, payload, sent } = flight;
    let epoch = batch.epoch;
    let began_at = batch.records.first().map_or(At(now.wall_ms), |record| record.at);
    let records = match view.settled.take_decoded(stream_seq, &payload, Ok(batch)) {
        Ok(records) => records,
        Err(stop) => return halt(view, Error::Log(stop), out),
    };
    learn(view, now, records, Some(out));
    if view.store.takes() {
        tracing::info!("the store takes again what is sent to it");
    }
    view.seen = None;
    tracing::info!(epoch, seq = view.settled.chain().seq, "leads");
    view.role = Role::Leading(Box::new(Term {
        ahead: view.settled.state().clone(),
        epoch,
        began: now,
        began_at,
        pending: Default::default(),
        flight: None,
        gather: Default::default(),
        replies: Replies::default(),
        confirmed: sent,
        reading: None,
        read_after: 0,
        beats: Vec::new(),
        answered: Default::default(),
        beat_at: 0,
        looked_at: 0,
        has_more: false,
    }));
    out.push(Effect::HearRequests);
    desk(view, now, out, |desk| {
        desk.take_over();
        Fate::GoOn
    });
    let again = std::mem::take(&mut view.again);
    for (command, caller) in again {
        desk(view, now, out, |desk| desk.command(command, caller));
    }
}

/// Ends the term: from here on it answers nothing. What it held is decided again by the next, if
/// that is this coordinator's.
pub(crate) fn end(view: &mut View, now: Now, why: &str, claim: bool, out: &mut Vec<Effect>) {
    let Role::Leading(mut term) = std::mem::replace(&mut view.role, Role::Away { claim: false })
    else {
        return;
    };
    tracing::warn!(epoch = term.epoch, seq = view.settled.chain().seq, why, "the term has ended");
    for held in term.replies.drain() {
        if let Some((command, caller)) = again_of(held) {
            view.given.take_back(&command);
            view.keep(command, caller);
        }
    }
    for (command, caller) in std::mem::take(&mut view.waiting).into_values() {
        view.keep(command, caller);
    }
    for parked in std::mem::take(&mut view.parked) {
        view.keep(parked.command, parked.caller);
    }
    for (command, caller) in std::mem::take(&mut view.rebuilding).into_values() {
        view.keep(command, caller);
    }
    view.asked.clear();
    view.filling.clear();
    view.bids.clear();
    view.seen = None;
    let may_claim = view.patience.lose(now);
    away(view, claim && may_claim && !view.store.refuses(), 0, out);
}

#[cfg(test)]
mod tests;
