//! How attempts and the process end.

use devmesh_protocol::command::task::{Abandon, Fail};
use devmesh_protocol::limits::LINE_CHARS_MAX;
use devmesh_protocol::{Rejection, Verb};

use super::review;
use crate::effect::Effect;
use crate::view::{Attempt, Failure, Key, Phase, Standing, View};

/// Puts the attempt's last commands on their way.
pub(super) fn post(view: &mut View, key: Key, verbs: Vec<Verb>) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    attempt.phase = Phase::Ending;
    let post = Effect::Post { key, session, verbs };
    if attempt.plans() { vec![post] } else { vec![Effect::Save(key), post] }
}

/// Ends the attempt as failed.
pub(super) fn fail(view: &mut View, key: Key, failure: Failure) -> Vec<Effect> {
    fail_after(view, key, Vec::new(), failure)
}

/// Ends the attempt as failed after other commands.
pub(super) fn fail_after(
    view: &mut View,
    key: Key,
    mut verbs: Vec<Verb>,
    failure: Failure,
) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let last = failure.tail.lines().rev().find(|line| !line.trim().is_empty());
    let message = crate::text::plain(last.unwrap_or(&failure.class));
    verbs.push(Verb::TaskFail(Fail {
        task: key.task,
        attempt: key.attempt,
        token: attempt.token,
        class: failure.class,
        message: crate::text::head(message.trim(), LINE_CHARS_MAX),
        hard: failure.hard,
        usage: attempt.usage(),
    }));
    post(view, key, verbs)
}

/// The last commands were answered. A refusal changes nothing here: the log knows better.
pub(super) fn posted(view: &mut View, key: Key, refused: Option<Rejection>) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key).filter(|it| it.phase == Phase::Ending) else {
        return Vec::new();
    };
    attempt.phase = Phase::Dropping;
    let landed = attempt.turn.is_some() && refused.is_none();
    vec![if landed { Effect::Finish(key) } else { clear(attempt) }]
}

/// Stops what runs and gives the slot back; of planning nothing is kept.
fn clear(attempt: &Attempt) -> Effect {
    if attempt.plans() { Effect::Vacate(attempt.key) } else { Effect::Drop(attempt.key) }
}

/// The attempt is not this agent's any more, or must not be: stop, save, give the slot back.
pub(super) fn let_go(view: &mut View) -> Vec<Effect> {
    match &mut view.attempt {
        Some(attempt) if attempt.phase != Phase::Dropping => {
            attempt.phase = Phase::Dropping;
            vec![clear(attempt)]
        }
        Some(_) | None => Vec::new(),
    }
}

pub(super) fn dropped(view: &mut View, key: Key) -> Vec<Effect> {
    if view.attempt_of(key).is_none() {
        return Vec::new();
    }
    view.attempt = None;
    free(view)
}

/// Nothing is under way any more.
pub(super) fn free(view: &mut View) -> Vec<Effect> {
    if let Some(effects) = review::next(view) {
        return effects;
    }
    match (view.leaving, view.standing) {
        (true, Standing::In) => vec![Effect::Leave { session: view.session.clone() }],
        (true, Standing::Out { .. } | Standing::Joining) => vec![Effect::Exit],
        // What opened meanwhile was not bid for.
        (false, Standing::In) => vec![Effect::Reconcile],
        (false, Standing::Out { .. } | Standing::Joining) => Vec::new(),
    }
}

/// The process is to end: what runs is saved and given back unspent. A turn that is under way is
/// brought to its end first; it is short.
pub(super) fn shutdown(view: &mut View) -> Vec<Effect> {
    view.leaving = true;
    if view.review.is_some() {
        return review::end(view);
    }
    let Some(attempt) = &view.attempt else {
        return match view.standing {
            Standing::In => vec![Effect::Leave { session: view.session.clone() }],
            Standing::Out { .. } | Standing::Joining => vec![Effect::Exit],
        };
    };
    let key = attempt.key;
    match attempt.phase {
        Phase::Landing | Phase::Ending | Phase::Dropping => Vec::new(),
        _ => {
            let body = Abandon {
                task: key.task,
                attempt: key.attempt,
                token: attempt.token,
                reason: "the agent ends".to_owned(),
                unspent: true,
                usage: attempt.usage(),
            };
            let mut effects = vec![Effect::Halt(key)];
            effects.extend(post(view, key, vec![Verb::TaskAbandon(body)]));
            effects
        }
    }
}
