//! Turns of the merge queue, and what follows when one does not land.

use devmesh_protocol::command::task::{Complete, Flow, Found, LandEnd, LandOutcome};
use devmesh_protocol::{Code, Verb};

use super::attempt::{give_back, lease, queue, refresh, retry, run_again, run_first};
use super::ending;
use super::tool::{failure_from, failure_of};
use crate::classify::{Class, Classified};
use crate::effect::{Effect, LandOrder};
use crate::input::Answer;
use crate::land::{Landing, Seen};
use crate::view::{After, Attempt, Key, Phase, View};

pub(super) fn began(view: &mut View, key: Key, answer: Answer) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let (seq, result) = match answer {
        Answer::Done { seq, result } => (seq, result),
        Answer::Refused(rejection) => {
            return match rejection.code {
                Code::ReviewRequired => {
                    attempt.phase = Phase::Reviewing;
                    Vec::new()
                }
                Code::LockTimeout | Code::LockConflict | Code::StaleToken => {
                    queue(attempt, session)
                }
                // Once for each landing: the next request says that this one is brought in.
                Code::MergeRequired => {
                    let seen = rejection.details.get("seen").and_then(serde_json::Value::as_u64);
                    attempt.brought_in = attempt.brought_in.max(seen);
                    refresh(attempt)
                }
                Code::TaskStateError if attempt.frozen => {
                    attempt.phase = Phase::Blocked;
                    Vec::new()
                }
                _ => give_back(view, key, &rejection.message, true),
            };
        }
    };
    let number = |name: &str| result.get(name).and_then(serde_json::Value::as_u64);
    let turn = number("turn").or(number("token")).or(seq).unwrap_or(attempt.token);
    let head = result.get("head").and_then(serde_json::Value::as_str).map(str::to_owned);
    take_turn(view, key, turn, head)
}

/// The attempt has the turn: it lands.
pub(super) fn take_turn(view: &mut View, key: Key, turn: u64, head: Option<String>) -> Vec<Effect> {
    let until_ms = view.belief.until_ms().unwrap_or(0);
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let (Some(job), Some(work)) = (attempt.job.clone(), attempt.work.clone()) else {
        return Vec::new();
    };
    attempt.turn = Some(turn);
    attempt.phase = Phase::Landing;
    let head = head.or_else(|| job.repo.head.clone());
    let message = attempt.last_message.clone();
    let leased = attempt.leased.clone();
    let order = LandOrder { job, work, turn, head, leased, until_ms, message };
    vec![Effect::Land { key, order: Box::new(order) }]
}

/// A turn that an earlier process had, for work that is not there as it was.
pub(super) fn give_turn_back(view: &mut View, key: Key) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let mut end = land_end(attempt, &Seen::default(), Vec::new());
    end.outcome = LandOutcome::Yielded;
    yield_turn(view, key, end, After::Run)
}

/// Work that does not go through the merge queue is published as it is.
pub(super) fn publish(attempt: &mut Attempt, flow: Flow) -> Vec<Effect> {
    let (Some(job), Some(work)) = (attempt.job.clone(), attempt.work.clone()) else {
        return Vec::new();
    };
    attempt.phase = Phase::Publishing;
    let message = attempt.last_message.clone();
    vec![Effect::Publish { key: attempt.key, job: Box::new(job), work, flow, message }]
}

pub(super) fn published(view: &mut View, key: Key, done: Result<(), String>) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key).filter(|it| it.phase == Phase::Publishing) else {
        return Vec::new();
    };
    match done {
        Ok(()) => {
            let complete = completed(attempt);
            ending::post(view, key, vec![Verb::TaskComplete(complete)])
        }
        Err(reason) => ending::fail(view, key, failure_of("publish", &reason, false)),
    }
}

pub(super) fn landed(
    view: &mut View,
    key: Key,
    landing: Result<(Landing, Seen), String>,
    trees: Vec<String>,
) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key).filter(|it| it.phase == Phase::Landing) else {
        return Vec::new();
    };
    let (landing, seen) = match landing {
        Ok(landing) => landing,
        Err(reason) => (Landing::Blocked { reason, files: Vec::new() }, Seen::default()),
    };
    let mut end = land_end(attempt, &seen, trees);
    match landing {
        Landing::Landed { commit, tree, receipt, change, from, unsigned: _ } => {
            end.commit = Some(commit);
            end.tree = Some(tree);
            end.receipt = receipt.map(|receipt| receipt.told(false));
            end.change = change;
            end.from = from;
            let complete = completed(attempt);
            let verbs = vec![Verb::LandEnd(end), Verb::TaskComplete(complete)];
            ending::post(view, key, verbs)
        }
        Landing::Nothing => {
            end.outcome = LandOutcome::Yielded;
            attempt.turn = None;
            let tail = "the branch holds all of it already";
            ending::fail_after(
                view,
                key,
                vec![Verb::LandEnd(end)],
                failure_of("nothing_to_land", tail, false),
            )
        }
        Landing::Conflict(conflict) => {
            end.outcome = LandOutcome::Conflict;
            end.paths.clone_from(&conflict.paths);
            let prompt = crate::prompt::conflict(&conflict.paths);
            yield_turn(view, key, end, After::Rebase { onto: conflict.ours, prompt })
        }
        Landing::Broken { onto, receipt: _, classified, tail } => {
            end.outcome = LandOutcome::Conflict;
            end.message = Some(format!("merged, it does not pass: {}", classified.class.name()));
            let hint = "Together with what others have landed meanwhile it does not pass; the \
                        worktree stands on their version with your changes applied.";
            let prompt = crate::prompt::retry(classified.class.name(), hint, &tail);
            yield_turn(view, key, end, After::Rebase { onto, prompt })
        }
        Landing::NotLeased(paths) => {
            end.outcome = LandOutcome::Yielded;
            yield_turn(view, key, end, After::Lease(paths))
        }
        Landing::TurnLost | Landing::InDoubt => {
            end.outcome = LandOutcome::Yielded;
            yield_turn(view, key, end, After::Queue)
        }
        Landing::Blocked { reason, files } => {
            end.outcome = LandOutcome::Blocked;
            end.paths = files;
            let limit = devmesh_protocol::limits::LINE_CHARS_MAX;
            end.message = Some(crate::text::head(&reason, limit));
            yield_turn(view, key, end, After::Wait)
        }
    }
}

/// Work of this session's has landed, and nobody said that it is done: the word of it was lost, or
/// refused. There is nothing left to work on.
pub(super) fn complete(view: &View, key: Key, token: u64) -> Effect {
    let Key { task, attempt } = key;
    let complete = Complete { task, attempt, token, message: None, usage: None };
    let verb = Box::new(Verb::TaskComplete(complete));
    Effect::Tell { session: view.session.clone(), verb }
}

fn completed(attempt: &Attempt) -> Complete {
    let message = attempt.last_message.trim();
    Complete {
        task: attempt.key.task,
        attempt: attempt.key.attempt,
        token: attempt.token,
        message: (!message.is_empty()).then(|| crate::text::head(message, 20_000)),
        usage: attempt.usage(),
    }
}

fn land_end(attempt: &Attempt, seen: &Seen, trees: Vec<String>) -> LandEnd {
    let own = attempt.key;
    let found = seen.found.iter().zip(trees).filter_map(|(found, tree)| {
        let task = found.task.parse().ok()?;
        let commit = found.commit.clone();
        let other = Key { task, attempt: found.attempt } != own;
        other.then_some(Found { task, attempt: found.attempt, commit, tree })
    });
    LandEnd {
        task: own.task,
        attempt: own.attempt,
        token: attempt.token,
        outcome: LandOutcome::Landed,
        commit: None,
        tree: None,
        receipt: None,
        from: None,
        found: found.collect(),
        paths: Vec::new(),
        message: None,
        change: None,
    }
}

fn yield_turn(view: &mut View, key: Key, end: LandEnd, after: After) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    attempt.turn = None;
    attempt.phase = Phase::Yielding(after);
    vec![Effect::Send { key, session, verb: Box::new(Verb::LandEnd(end)) }]
}

pub(super) fn yielded(view: &mut View, key: Key, answer: Answer) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let Phase::Yielding(after) = attempt.phase.clone() else { return Vec::new() };
    if let Answer::Refused(rejection) = answer {
        return give_back(view, key, &rejection.message, true);
    }
    match after {
        After::Rebase { onto, prompt } => {
            let Some(work) = attempt.work.clone() else { return Vec::new() };
            attempt.phase = Phase::Rebasing { prompt };
            if let Some(place) = &mut attempt.place {
                place.base.clone_from(&onto);
            }
            vec![Effect::Rebase { key, work, onto }]
        }
        After::Lease(paths) => lease(view, key, paths, true),
        After::Queue => queue(attempt, session),
        After::Run => run_first(view, key),
        // It is parked, and lands by a new award when somebody has looked.
        After::Wait => ending::let_go(view),
    }
}

pub(super) fn rebased(
    view: &mut View,
    key: Key,
    conflicts: Result<Vec<String>, String>,
) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let Phase::Rebasing { prompt } = attempt.phase.clone() else { return Vec::new() };
    match conflicts {
        Ok(conflicts) if conflicts.is_empty() => {
            // Conflicts are no failure of the model's and use no retry up, but endless ones do.
            run_again(view, key, &prompt)
        }
        Ok(conflicts) => {
            let prompt = crate::prompt::conflict(&conflicts);
            attempt.conflicts = conflicts;
            run_again(view, key, &prompt)
        }
        Err(reason) => {
            let classified = Classified::of(Class::Conflict, &reason);
            retry(view, key, failure_from(&classified, &reason))
        }
    }
}
