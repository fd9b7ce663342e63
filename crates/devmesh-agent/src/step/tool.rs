//! The running tool: what it tells, and what its end means.

use devmesh_protocol::Verb;
use devmesh_protocol::command::task::Progress;

use super::{attempt, ending, learned, plan};
use crate::classify::{Class, Classified, classify};
use crate::clock::Now;
use crate::dialect::Fact;
use crate::effect::Effect;
use crate::input::ToolEnd;
use crate::process::EndCause;
use crate::view::{Attempt, Failure, Key, Phase, View};

/// Time between two saves of a worktree.
const SAVE_MS: u64 = 15_000;
/// A limit whose end nobody tells is waited out for so long.
const RESET_MS: u64 = 60_000;
/// What stands in the way of landing may be gone after so long: a person has committed.
const BLOCKED_MS: u64 = 300_000;
/// A tool that is not signed in is not tried again for so long.
const SIGN_IN_MS: u64 = 600_000;

pub(super) fn tick(view: &mut View, now: Now) -> Vec<Effect> {
    let session = view.session.clone();
    if let Some(attempt) = view.attempt.as_mut().filter(|it| it.phase == Phase::Blocked) {
        let since = *attempt.blocked_ms.get_or_insert(now.ms);
        if now.ms >= since + BLOCKED_MS && !attempt.frozen {
            return attempt::queue(attempt, session);
        }
    }
    let running = view.attempt.as_mut().filter(|it| it.phase == Phase::Running && !it.frozen);
    match running {
        Some(attempt) if !attempt.plans() && now.ms >= attempt.saved_ms + SAVE_MS => {
            attempt.saved_ms = now.ms;
            vec![Effect::Save(attempt.key)]
        }
        Some(_) | None => Vec::new(),
    }
}

pub(super) fn told(view: &mut View, key: Key, fact: Fact) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key).filter(|it| it.phase == Phase::Running) else {
        return Vec::new();
    };
    match fact {
        Fact::Session(id) => {
            if attempt.tool_session.as_deref() == Some(&id) {
                return Vec::new();
            }
            attempt.tool_session = Some(id.clone());
            attempt.ledger = crate::dialect::Ledger::default();
            let progress = Progress { tool_session: Some(id), ..progress(attempt) };
            vec![Effect::Tell { session, verb: Box::new(Verb::TaskProgress(progress)) }]
        }
        Fact::Message(text) => {
            match attempt.plans() {
                true => plan::heard(attempt, &text),
                false => learned::heard(attempt, &text),
            }
            attempt.last_message = text;
            Vec::new()
        }
        Fact::Usage(usage) => {
            let new = attempt.ledger.book(&usage);
            attempt.used.input_tokens += new.input_tokens.unwrap_or(0);
            attempt.used.output_tokens += new.output_tokens.unwrap_or(0);
            if let Some(cost) = new.cost_micros {
                attempt.used.cost_micro_usd = Some(attempt.used.cost_micro_usd.unwrap_or(0) + cost);
            }
            if is_over_budget(attempt) { vec![Effect::StopTool(key)] } else { Vec::new() }
        }
        Fact::Done(done) => {
            match attempt.plans() {
                true => plan::heard(attempt, &done.message),
                false => learned::heard(attempt, &done.message),
            }
            attempt.done = Some(done);
            Vec::new()
        }
        Fact::Edit(_) | Fact::Command { .. } | Fact::Throttled { .. } => Vec::new(),
    }
}

pub(super) fn saved(view: &mut View, now: Now, key: Key, commit: Option<String>) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    attempt.saved_ms = now.ms;
    // An attempt that is over has nothing more to tell.
    let over = matches!(attempt.phase, Phase::Ending | Phase::Dropping);
    let Some(commit) = commit.filter(|_| !over) else { return Vec::new() };
    let progress = Progress { saved: Some(commit), ..progress(attempt) };
    vec![Effect::Tell { session, verb: Box::new(Verb::TaskProgress(progress)) }]
}

pub(super) fn progress(attempt: &Attempt) -> Progress {
    Progress {
        task: attempt.key.task,
        attempt: attempt.key.attempt,
        token: attempt.token,
        phase: None,
        message: None,
        tool_session: None,
        usage: attempt.usage(),
        saved: None,
    }
}

pub(super) fn ended(view: &mut View, now: Now, key: Key, end: ToolEnd) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key).filter(|it| it.phase == Phase::Running) else {
        return Vec::new();
    };
    if end.lost_session {
        // The next try begins a session, with the whole prompt.
        attempt.tool_session = None;
        attempt.ledger = crate::dialect::Ledger::default();
    }
    let success = match &attempt.done {
        Some(done) => done.success,
        None => !end.marks_end,
    };
    if is_over_budget(attempt) {
        let failure = failure_of("budget", "the task's cost ceiling is reached", false);
        return ending::fail(view, key, failure);
    }
    if end.cause == EndCause::Exited && end.exit == Some(0) && success {
        return succeeded(view, key);
    }
    if end.cause == EndCause::Wall {
        // Nothing is left of the time that the task may take, so nothing to try again in.
        let text = "the time that the task may take (max_wall_s) is used up";
        return ending::fail(view, key, failure_of(Class::Timeout.name(), text, false));
    }
    let limited = end.rate_limited
        || attempt.done.as_ref().is_some_and(|done| !done.success && done.status == Some(429));
    if limited {
        return park(view, now, key, &end);
    }
    if end.sign_in {
        view.parked_until_ms = Some(now.ms + SIGN_IN_MS);
        return ending::fail(view, key, failure_of(Class::SignIn.name(), &end.tail, true));
    }
    let failure = failure(attempt, &end);
    attempt::retry(view, key, failure)
}

fn is_over_budget(attempt: &Attempt) -> bool {
    let ceiling = attempt.job.as_ref().map(|job| job.task.max_cost_usd.micro);
    let used = attempt.used.cost_micro_usd.filter(|cost| *cost > 0);
    used.zip(ceiling).is_some_and(|(used, most)| used >= most)
}

/// What people said while the tool ran is its next turn; then the work is taken.
fn succeeded(view: &mut View, key: Key) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    if !attempt.news.is_empty() {
        let prompt = crate::prompt::said(&std::mem::take(&mut attempt.news));
        return attempt::run_again(view, key, &prompt);
    }
    if attempt.plans() {
        return plan::answered(view, key);
    }
    attempt.phase = Phase::Capturing;
    vec![Effect::Capture { key, conflicts: attempt.conflicts.clone() }]
}

/// The provider's limit is nobody's fault: the attempt is given back unspent, and this agent
/// takes nothing until the limit ends.
fn park(view: &mut View, now: Now, key: Key, end: &ToolEnd) -> Vec<Effect> {
    let Some(attempt) = view.attempt_of(key) else { return Vec::new() };
    let told = attempt.done.as_ref().and_then(|done| done.retry_ms);
    let until = told.map_or_else(|| limit_end(now, end), |ms| now.wall_ms + ms);
    let text = format!("limited until {}", devmesh_protocol::At(until));
    park_until(view, now, until);
    ending::fail(view, key, failure_of(Class::RateLimit.name(), &text, false))
}

/// A limit's end is told as wall time.
pub(super) fn park_until(view: &mut View, now: Now, wall_ms: u64) {
    view.parked_until_ms = Some(now.ms + wall_ms.saturating_sub(now.wall_ms));
}

/// Until when a tool that is limited or not signed in takes nothing, wall time.
pub(super) fn limit_end(now: Now, end: &ToolEnd) -> u64 {
    let guess = if end.sign_in { SIGN_IN_MS } else { RESET_MS };
    end.reset_at_ms.filter(|_| !end.sign_in).unwrap_or(now.wall_ms + guess)
}

fn failure(attempt: &Attempt, end: &ToolEnd) -> Failure {
    let said = attempt.done.as_ref().map(|done| done.message.as_str()).unwrap_or_default();
    let text = format!("{said}\n{}", end.tail);
    let classified = match end.cause {
        EndCause::Idle | EndCause::Wall => Classified::of(Class::Timeout, text.trim()),
        EndCause::Exited | EndCause::Stopped => match classify(&text) {
            known if known.class.is_hard() || known.class == Class::Network => known,
            _ => Classified::of(Class::ToolBroke, text.trim()),
        },
    };
    failure_from(&classified, text.trim())
}

pub(super) fn failure_from(classified: &Classified, tail: &str) -> Failure {
    Failure {
        class: classified.class.name().to_owned(),
        hint: classified.hint.to_owned(),
        tail: tail.to_owned(),
        fingerprint: classified.fingerprint.clone(),
        hard: classified.class.is_hard(),
    }
}

/// A failure that is known by its name alone.
pub(super) fn failure_of(class: &str, tail: &str, hard: bool) -> Failure {
    Failure {
        class: class.to_owned(),
        hint: String::new(),
        tail: tail.to_owned(),
        fingerprint: class.to_owned(),
        hard,
    }
}
