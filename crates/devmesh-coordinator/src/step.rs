//! One input, and what follows from it: no clock, no network, no task. What a coordinator does is
//! this function; the rest of the crate brings it inputs and performs its effects.

mod command;
mod desk;
mod query;
mod tick;

use devmesh_domain::glance;
use devmesh_protocol::report::LeaderBeat;
use devmesh_protocol::{ActorId, Digest};

use crate::effect::Effect;
use crate::error::Error;
use crate::input::{Caller, Input, Now};
use crate::term;
use crate::view::held::encode;
use crate::view::{HeardReport, Role, Term, View};

pub(crate) use desk::{Desk, Fate};
pub use tick::wake_at;

/// Begins: a connection is asked for.
pub fn start(view: &mut View, out: &mut Vec<Effect>) {
    term::reopen(view, 0, out);
}

/// Takes one input. After the last one of a turn comes [`settle`].
pub fn step(view: &mut View, now: Now, input: Input, out: &mut Vec<Effect>) {
    if matches!(view.role, Role::Halted) {
        return;
    }
    if is_heard(&input) {
        view.sessions.hears(now.mono_ms);
    }
    // Before anything is believed that came while the machine slept: an acknowledgement or the end
    // of the log may have waited at this end of the wire for an hour, and proves nothing.
    desk(view, now, out, |desk| desk.slept().unwrap_or(Fate::GoOn));
    match input {
        Input::Opened { link } if link == view.link => term::opened(view, now, out),
        Input::Lost { link, why } if link == view.link => term::lost(view, now, &why, out),
        Input::Last { link, asked_at, last, replicas } if link == view.link => {
            view.replicas = replicas.or(view.replicas);
            term::last(view, now, asked_at, last, out);
        }
        Input::Entries { link, entries } if link == view.link => {
            term::entries(view, now, entries, out);
        }
        Input::ReadEnded { link, fatal, why } if link == view.link => {
            term::read_ended(view, now, fatal, why, out);
        }
        Input::Appended { link, outcome } if link == view.link => {
            term::appended(view, now, outcome, out);
        }
        // What comes over a connection that was given up says nothing any more.
        Input::Opened { .. }
        | Input::Lost { .. }
        | Input::Last { .. }
        | Input::Entries { .. }
        | Input::ReadEnded { .. }
        | Input::Appended { .. } => {}
        Input::Leader(beat) => leader(view, now, &beat, out),
        Input::Tick => tick::tick(view, now, out),
        Input::Stop => {
            view.stopping = true;
            out.push(Effect::IgnoreRequests { forget: false });
        }
        Input::Dropped(dropped) => view.dropped = dropped,
        Input::Weighed(room) => {
            view.store.weighed(room);
            term::refuse_held(view, out);
        }
        request => soft_or_request(view, now, request, out),
    }
}

/// Whether it comes over the connection that heartbeats come by.
fn is_heard(input: &Input) -> bool {
    matches!(
        input,
        Input::Leader(_)
            | Input::Beat { .. }
            | Input::Report { .. }
            | Input::Command { .. }
            | Input::Query { .. }
            | Input::Unread { .. }
    )
}

/// What callers and the stores beside the log send.
fn soft_or_request(view: &mut View, now: Now, input: Input, out: &mut Vec<Effect>) {
    match input {
        Input::Command { command, caller } => {
            if view.is_leading() {
                desk(view, now, out, |desk| desk.command(command, caller));
            } else if view.store.refuses() {
                term::refuse(view, caller, out);
            } else {
                view.keep(command, caller);
            }
        }
        Input::Query { query, caller } => query::ask(view, now, query, caller),
        Input::Unread { rejection, caller } => {
            view.count(rejection.code.as_str());
            let reply = devmesh_protocol::Reply::Err { seq: None, error: rejection };
            out.push(Effect::Reply { to: caller.to, bytes: encode(&reply, caller.encoding) });
        }
        Input::Beat { actor, beat, caller } => {
            view.sessions.hear(&actor, &beat.session, now.mono_ms);
            suspect(view, beat.seen, &actor);
            desk(view, now, out, |desk| desk.beat(actor, beat.session, caller));
        }
        Input::Report { report, caller } => {
            let host = report.host.clone();
            if view.reports.len() < REPORTS_MAX || view.reports.contains_key(&host) {
                let heard = HeardReport { at_ms: now.mono_ms, report: *report };
                view.reports.insert(host.clone(), heard);
            }
            desk(view, now, out, |desk| desk.report(&host, caller));
        }
        Input::TextStored { digest, stored } => text_stored(view, now, digest, stored, out),
        Input::TextRead { digest, text } => query::text_read(view, digest, text, out),
        Input::TextDeleted { digest, deleted } => match deleted {
            Ok(()) => {
                view.undeleted.remove(&digest);
            }
            Err(why) => tracing::warn!(%digest, why, "a redacted text's bytes are still there"),
        },
        Input::RecordRead { ticket, record } => {
            if let Some((command, caller)) = view.rebuilding.remove(&ticket) {
                desk(view, now, out, |desk| desk.rebuilt(command, caller, record));
            }
        }
        Input::Opened { .. }
        | Input::Lost { .. }
        | Input::Last { .. }
        | Input::Entries { .. }
        | Input::ReadEnded { .. }
        | Input::Appended { .. }
        | Input::Leader(_)
        | Input::Tick
        | Input::Stop
        | Input::Weighed(_)
        | Input::Dropped(_) => {}
    }
}

/// Hosts whose reports are kept.
const REPORTS_MAX: usize = devmesh_protocol::limits::AGENTS_MAX;

/// Somebody says to have seen a record. If it is above what is acknowledged here, either somebody
/// else leads or the log was rolled back; the next leader-read tells which.
fn suspect(view: &mut View, seen: u64, actor: &ActorId) {
    let above = seen > view.settled.state().seq;
    if above && view.is_leading() && view.seen.as_ref().is_none_or(|(known, _)| *known < seen) {
        view.seen = Some((seen, actor.clone()));
    }
}

fn text_stored(
    view: &mut View,
    now: Now,
    digest: Digest,
    stored: Result<(), String>,
    out: &mut Vec<Effect>,
) {
    view.texts.stored(digest, stored.is_ok());
    if let Err(why) = &stored {
        // Its senders ask again; nobody else is disturbed.
        tracing::warn!(%digest, why, "a free text could not be stored");
    }
    let mut ready = Vec::new();
    for mut parked in std::mem::take(&mut view.parked) {
        let concerned = parked.missing.remove(&digest);
        if concerned && stored.is_err() {
            continue;
        }
        if parked.missing.is_empty() {
            ready.push((parked.command, parked.caller));
        } else {
            view.parked.push(parked);
        }
    }
    for (command, caller) in ready {
        desk(view, now, out, |desk| desk.command(command, caller));
    }
}

/// A leader was heard; it may be this one.
fn leader(view: &mut View, now: Now, beat: &LeaderBeat, out: &mut Vec<Effect>) {
    // One whose term has ended may not know it yet, and must not keep others from claiming.
    if beat.node == view.options.node || beat.epoch < view.settled.chain().epoch {
        return;
    }
    for actor in &beat.answered {
        if let Some(session) = glance::live_session(view.settled.state(), actor) {
            view.sessions.hear(actor, session, now.mono_ms);
        }
    }
    match &mut view.role {
        Role::Leading(term) if beat.epoch > term.epoch => {
            let why = format!("{} leads epoch {}", beat.node, beat.epoch);
            term::end(view, now, &why, false, out);
        }
        Role::Standby { .. } => {
            let claim_at = now.mono_ms + view.patience.draw(now, view.options.seed);
            view.role = Role::Standby { claim_at };
            term::leave_to_others(view, out);
        }
        Role::CatchingUp { claim, .. } => *claim = false,
        Role::Away { claim } if beat.epoch > view.settled.chain().epoch => *claim = false,
        Role::Leading(_) | Role::Away { .. } | Role::Claiming(_) | Role::Halted => {}
    }
}

/// Ends a turn: what can be answered is, and what was decided is appended.
pub fn settle(view: &mut View, now: Now, out: &mut Vec<Effect>) {
    desk(view, now, out, |desk| desk.settle());
    query::answer(view, now, out);
    if !view.stopping || matches!(view.role, Role::Halted) {
        return;
    }
    let is_done = match &view.role {
        Role::Leading(term) => is_quiet(term),
        Role::Claiming(_) => false,
        Role::Away { .. } | Role::CatchingUp { .. } | Role::Standby { .. } | Role::Halted => true,
    };
    if is_done {
        view.role = Role::Halted;
        out.push(Effect::Remember(*view.settled.chain()));
        out.push(Effect::Done);
    }
}

fn is_quiet(term: &Term) -> bool {
    term.flight.is_none() && term.pending.is_empty() && term.replies.is_empty()
}

/// Works at the leader's desk, if this one leads; and ends the term, if the work says so.
pub(crate) fn desk(
    view: &mut View,
    now: Now,
    out: &mut Vec<Effect>,
    work: impl FnOnce(&mut Desk<'_>) -> Fate,
) {
    if !view.is_leading() {
        return;
    }
    let Role::Leading(mut term) = std::mem::replace(&mut view.role, Role::Halted) else {
        unreachable!("it was looked at a line above")
    };
    let fate = work(&mut Desk { view, term: &mut term, now, out });
    view.role = Role::Leading(term);
    match fate {
        Fate::GoOn => {}
        Fate::End { why, claim } => term::end(view, now, &why, claim, out),
        Fate::Halt(error) => halt(view, error, out),
    }
}

/// Going on would mean to believe what the log does not say.
pub(crate) fn halt(view: &mut View, error: Error, out: &mut Vec<Effect>) {
    view.role = Role::Halted;
    out.push(Effect::IgnoreRequests { forget: true });
    out.push(Effect::Halt(error));
}

/// Answers that nothing has to be waited for.
pub(crate) fn reply_now(caller: Caller, reply: &devmesh_protocol::Reply, out: &mut Vec<Effect>) {
    out.push(Effect::Reply { to: caller.to, bytes: encode(reply, caller.encoding) });
}

#[cfg(test)]
mod tests;
