//! Joining, beating, finding one's own attempts again, and bidding.

use std::collections::BTreeMap;

use devmesh_protocol::limits::{BEAT_MS, RETRY_AFTER_MS};
use devmesh_protocol::report::BeatReply;
use devmesh_protocol::view::TaskView;
use devmesh_protocol::{Code, SessionId, TaskId};

use super::{attempt, ending, held, landing, news, review};
use crate::clock::Now;
use crate::effect::Effect;
use crate::input::{Answer, Sight, Unable};
use crate::view::{Attempt, Key, Standing, View};

/// Auctions looked at after a gap in the notices.
const LOOKS_MAX: usize = 4;

pub(super) fn tick(view: &mut View, now: Now) -> Vec<Effect> {
    match view.standing {
        Standing::Out { join_at_ms } if now.ms >= join_at_ms && !view.leaving => join(view),
        Standing::In if view.beat_sent_ms.is_none_or(|sent| now.ms >= sent + BEAT_MS) => {
            vec![beat(view, now)]
        }
        Standing::Out { .. } | Standing::Joining | Standing::In => Vec::new(),
    }
}

fn join(view: &mut View) -> Vec<Effect> {
    view.standing = Standing::Joining;
    let mut join = view.me.join.clone();
    join.seen = (view.seen > 0).then_some(view.seen);
    vec![Effect::Join { session: view.session.clone(), join }]
}

fn beat(view: &mut View, now: Now) -> Effect {
    view.beat_sent_ms = Some(now.ms);
    Effect::Beat { session: view.session.clone(), seen: view.seen }
}

pub(super) fn joined(
    view: &mut View,
    now: Now,
    session: &SessionId,
    answer: Answer,
) -> Vec<Effect> {
    if *session != view.session {
        return Vec::new();
    }
    match answer {
        Answer::Done { seq, result } => {
            view.standing = Standing::In;
            view.seen = view.seen.max(seq.unwrap_or(0));
            view.heard = view.heard.max(view.seen);
            view.rules = rules_of(&result);
            // First what was done is told; then is asked what is to be done.
            let mut effects = vec![beat(view, now), Effect::Resend];
            effects.extend(framework_of(view, &result));
            effects
        }
        Answer::Refused(rejection) => {
            let wait = rejection.retry_after_ms.unwrap_or(RETRY_AFTER_MS);
            view.standing = Standing::Out { join_at_ms: now.ms + wait };
            // The session was reaped: it never acts again, a new one may.
            let dead = rejection.code == Code::AgentNotRegistered;
            if dead { vec![Effect::RenewSession(view.session.clone())] } else { Vec::new() }
        }
    }
}

/// What of the rules stands in a prompt; of a coordinator that does not say, all of them.
fn rules_of(result: &serde_json::Value) -> Vec<(String, String)> {
    let told = |which| result.pointer(which).and_then(serde_json::Value::as_object);
    let rules = told("/rulebook/prompt").or_else(|| told("/rulebook/rules"));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    rules.into_iter().flatten().map(|(id, rule)| (id.clone(), text(rule))).collect()
}

/// The plan that is in force, to be read before the first bid.
fn framework_of(view: &View, result: &serde_json::Value) -> Option<Effect> {
    let plan = result.get("framework")?;
    let version = plan.get("version")?.as_u64()?;
    let text = serde_json::from_value(plan.get("text")?.clone()).ok()?;
    Some(Effect::ReadFramework { session: view.session.clone(), version, text })
}

pub(super) fn renewed(view: &mut View, session: SessionId) -> Vec<Effect> {
    view.session = session;
    view.belief = view.me.belief();
    view.beat_sent_ms = None;
    view.told.clear();
    view.work = None;
    view.held = Some(Default::default());
    if view.leaving {
        return vec![Effect::Exit];
    }
    match view.standing {
        Standing::Out { .. } => Vec::new(),
        Standing::Joining | Standing::In => join(view),
    }
}

pub(super) fn beaten(
    view: &mut View,
    session: &SessionId,
    sent_ms: u64,
    answer: Option<BeatReply>,
) -> Vec<Effect> {
    let Some(reply) = answer.filter(|_| *session == view.session) else { return Vec::new() };
    if !reply.live {
        return lost(view);
    }
    // Unheard for longer than its leases live, the session may have been told silent: such a one
    // gets nothing new until it joins again, which takes nothing from one that was not.
    let was_unheard = view.belief.until_ms().is_some_and(|until_ms| sent_ms >= until_ms);
    view.belief.answered(sent_ms);
    // Notices are best effort: a record told by the beat before and not heard of since went by
    // unheard, so the state is asked.
    let missed = view.beaten > view.heard;
    view.heard = view.heard.max(view.beaten);
    view.beaten = reply.seq;
    view.seen = view.seen.max(reply.seq);
    let mut effects = if was_unheard { join(view) } else { Vec::new() };
    if let Some(pause) = reply.pause {
        effects.extend(news::paused(view, reply.seq, pause));
    }
    if missed && view.attempt.is_none() {
        effects.push(Effect::Reconcile);
    }
    effects.extend(held::told(view, reply.leases));
    effects.extend(given(view, reply.work));
    effects
}

/// The mesh believes this session to be at work. Where it is not, word of that was lost; told
/// twice, for a beat may cross with it, or with the end of what it is about.
fn given(view: &mut View, work: Option<TaskId>) -> Option<Effect> {
    let before = std::mem::replace(&mut view.work, work);
    let task = work.filter(|_| before == work)?;
    let at_work = view.attempt.is_some() || view.review.is_some() || view.given.is_some();
    let is_free = !at_work && view.standing == Standing::In && !view.leaving;
    is_free.then_some(Effect::FindWork(task))
}

/// The session has ended without this process ending it.
pub(super) fn lost(view: &mut View) -> Vec<Effect> {
    if !matches!(view.standing, Standing::In) {
        return Vec::new();
    }
    // It joins when it has its new session: the old one would only be refused, and renewed twice.
    view.standing = Standing::Joining;
    view.given = None;
    let mut effects = ending::let_go(view);
    effects.extend(review::end(view));
    effects.push(Effect::RenewSession(view.session.clone()));
    effects
}

pub(super) fn reconciled(view: &mut View, now: Now, tasks: Vec<TaskView>) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut open: Vec<(u8, TaskId)> = Vec::new();
    for task in tasks {
        let Some(running) = &task.attempt else {
            effects.extend(review::found(view, &task));
            if task.state == "queued" {
                open.push((task.priority, task.task));
            }
            continue;
        };
        let own = running.actor == view.me.actor && running.session == view.session;
        if own && view.attempt.is_none() && view.standing == Standing::In && !view.leaving {
            let key = Key { task: task.task, attempt: running.attempt };
            if running.landed {
                effects.push(landing::complete(view, key, running.token));
                continue;
            }
            let mut attempt = Attempt::awarded(key, running.token);
            attempt.adopted = running.started_at.is_some();
            attempt.tool_session.clone_from(&task.tool_session);
            attempt.used = running.usage;
            attempt.receipt.clone_from(&running.receipt);
            attempt.turn = running.turn;
            effects.extend(attempt::begin(view, attempt));
        }
    }
    if view.is_free(now.ms) {
        open.sort_unstable();
        for (_, task) in open.into_iter().take(LOOKS_MAX) {
            effects.extend(look_at(view, task));
        }
    }
    effects
}

/// An auction is open: first see whether the task can be done here.
pub(super) fn look_at(view: &mut View, task: TaskId) -> Option<Effect> {
    view.looking.insert(task).then_some(Effect::LookAt(task))
}

pub(super) fn looked_at(
    view: &mut View,
    now: Now,
    task: TaskId,
    sight: Result<Sight, Unable>,
) -> Vec<Effect> {
    view.looking.remove(&task);
    if !view.is_free(now.ms) {
        return Vec::new();
    }
    let session = view.session.clone();
    let sight = match sight {
        Ok(sight) => sight,
        Err(Unable::Unheard(_)) => return Vec::new(),
        Err(Unable::Base(why) | Unable::Place(why) | Unable::Setup(why)) => {
            // Said, so that the task does not wait for ever without a word.
            let why = crate::text::line(&why);
            return vec![Effect::Decline { session, task, why }];
        }
    };
    // A base that fails its own verification costs nobody a bid until it has moved.
    if view.red.get(&sight.repo.repo) == Some(&sight.base_commit) {
        return Vec::new();
    }
    vec![Effect::Bid { session, task, score: score(&sight) }]
}

/// What only this host knows: a worktree that is warm. How free the host is the coordinator knows
/// from what is measured.
fn score(sight: &Sight) -> BTreeMap<String, i64> {
    BTreeMap::from([("warm".to_owned(), if sight.warm { 100 } else { 0 })])
}
