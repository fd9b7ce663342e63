//! Live notices, as far as they concern this agent.

use devmesh_protocol::Event;
use devmesh_protocol::command::task::Judgement;
use devmesh_protocol::event::Notice;
use devmesh_protocol::report::Pause;

use super::{attempt, ending, learned, review, session, share};
use crate::clock::Now;
use crate::effect::Effect;
use crate::view::{Attempt, Key, Phase, View};

pub(super) fn noticed(view: &mut View, now: Now, notice: Notice) -> Vec<Effect> {
    let Notice { seq, actor, event, .. } = notice;
    view.seen = view.seen.max(seq);
    view.heard = view.heard.max(seq);
    match event {
        Event::AuctionOpened(opened) if view.is_free(now.ms) => {
            session::look_at(view, opened.task).into_iter().collect()
        }
        Event::TaskAwarded(award) => {
            let own = award.actor == view.me.actor && award.session == view.session;
            if !own || view.attempt.is_some() || view.leaving {
                return Vec::new();
            }
            let key = Key { task: award.task, attempt: award.attempt };
            attempt::begin(view, Attempt::awarded(key, seq))
        }
        Event::MeshPaused(paused) => {
            view.paused = true;
            if paused.now { freeze(view) } else { Vec::new() }
        }
        Event::MeshResumed(_) => {
            view.paused = false;
            thaw(view)
        }
        Event::AgentDrained(drained) => {
            view.draining |= drained.actor == view.me.actor;
            Vec::new()
        }
        Event::SessionLost(lost) if lost.session == view.session => session::lost(view),
        Event::AgentLeft(left) if left.session == view.session => session::lost(view),
        Event::ActorEnded(ended) if ended.actor == view.me.actor => {
            view.leaving = true;
            let mut effects = ending::let_go(view);
            effects.push(Effect::Exit);
            effects
        }
        Event::LeasesLapsed(lapsed) if lapsed.session == view.session => {
            forget_leases(view);
            Vec::new()
        }
        // Whose it was is not told; leases still held are given again when asked for.
        Event::LockBroken(_) => {
            forget_leases(view);
            Vec::new()
        }
        Event::LeaseShared(shared) if shared.actor == view.me.actor => share::shared(view, &shared),
        Event::ReviewAssigned(given) => review::assigned(view, seq, given),
        Event::ReviewLapsed(lapsed) if lapsed.reviewer == view.me.actor => {
            review::lapsed(view, lapsed.task)
        }
        Event::TaskVerified(verified) => {
            share::changed(view, &actor, &verified);
            // The attempt may have been ended for a review before the answer comes.
            let key = Key { task: verified.task, attempt: verified.attempt };
            match verified.class {
                None => learned::share(view, key).into_iter().collect(),
                Some(_) => Vec::new(),
            }
        }
        Event::FrameworkPublished(plan) => {
            let session = view.session.clone();
            vec![Effect::ReadFramework { session, version: plan.version, text: plan.text }]
        }
        event => about_attempt(view, &event),
    }
}

fn forget_leases(view: &mut View) {
    if let Some(attempt) = &mut view.attempt {
        attempt.leased.clear();
    }
}

/// Notices about the task that is worked on.
fn about_attempt(view: &mut View, event: &Event) -> Vec<Effect> {
    let Some(key) = view.attempt.as_ref().map(|attempt| attempt.key) else { return Vec::new() };
    if event.key() != key.task.to_string() {
        return Vec::new();
    }
    match event {
        Event::AttemptEnded(ended) if ended.attempt == key.attempt => gone(view),
        Event::TaskCompleted(_) | Event::TaskPlanned(_) => gone(view),
        Event::TaskCancelled(_) => ending::let_go(view),
        Event::TaskPaused(_) => freeze(view),
        Event::TaskResumed(_) => thaw(view),
        Event::TaskUnblocked(_) => unblocked(view),
        Event::TaskSaid(_) | Event::TaskAnswered(_) => read_said(view),
        Event::TaskReviewed(review) if review.attempt == key.attempt => {
            reviewed(view, review.verdict)
        }
        _ => Vec::new(),
    }
}

/// The log has ended the attempt; unless that was this process's own doing, it lets go.
fn gone(view: &mut View) -> Vec<Effect> {
    match view.attempt.as_ref().map(|attempt| &attempt.phase) {
        Some(Phase::Ending) | None => Vec::new(),
        Some(_) => ending::let_go(view),
    }
}

pub(super) fn freeze(view: &mut View) -> Vec<Effect> {
    let Some(attempt) = view.attempt.as_mut().filter(|attempt| !attempt.frozen) else {
        return Vec::new();
    };
    attempt.frozen = true;
    vec![Effect::Freeze(attempt.key)]
}

/// What a beat told of pauses, up to the record `seq`: their notices may have been lost.
pub(super) fn paused(view: &mut View, seq: u64, pause: Pause) -> Vec<Effect> {
    if seq < view.heard {
        // A newer notice may have said otherwise; the next beat tells.
        return Vec::new();
    }
    view.paused = pause.mesh;
    if pause.work { freeze(view) } else { thaw(view) }
}

fn thaw(view: &mut View) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt.as_mut().filter(|attempt| attempt.frozen) else {
        return Vec::new();
    };
    attempt.frozen = false;
    let mut effects = vec![Effect::Thaw(attempt.key)];
    if attempt.phase == Phase::Blocked {
        effects.extend(attempt::queue(attempt, session));
    }
    effects
}

fn unblocked(view: &mut View) -> Vec<Effect> {
    let session = view.session.clone();
    match &mut view.attempt {
        Some(attempt) if attempt.phase == Phase::Blocked => attempt::queue(attempt, session),
        Some(_) | None => Vec::new(),
    }
}

fn read_said(view: &mut View) -> Vec<Effect> {
    let attempt = view.attempt.as_ref();
    attempt
        .map(|attempt| Effect::ReadSaid { key: attempt.key, known: attempt.said })
        .into_iter()
        .collect()
}

fn reviewed(view: &mut View, verdict: Judgement) -> Vec<Effect> {
    let Some(attempt) = view.attempt.as_mut().filter(|it| it.phase == Phase::Reviewing) else {
        return Vec::new();
    };
    let key = attempt.key;
    match verdict {
        Judgement::Abstain => Vec::new(),
        Judgement::Approve => attempt::to_land(view, key),
        // The comments are what the tool reads next.
        Judgement::Reject => {
            attempt.news.push("The reviewer has rejected the diff.".to_owned());
            vec![Effect::ReadSaid { key: attempt.key, known: attempt.said }]
        }
    }
}

pub(super) fn said(view: &mut View, key: Key, words: Vec<String>) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    attempt.said += words.len();
    attempt.news.extend(words);
    if attempt.phase == Phase::Reviewing && !attempt.news.is_empty() {
        let prompt = crate::prompt::said(&std::mem::take(&mut attempt.news));
        return attempt::run_again(view, key, &prompt);
    }
    Vec::new()
}
