//! Looking at another's work: given by the coordinator, judged by this agent's tool.

use devmesh_protocol::command::task::{Judgement, Review as Told, Reviewed};
use devmesh_protocol::event::task::ReviewAssigned;
use devmesh_protocol::view::{ReviewerView, TaskView};
use devmesh_protocol::{TaskId, Verb};

use super::{ending, tool};
use crate::clock::Now;
use crate::dialect::Fact;
use crate::effect::Effect;
use crate::input::ToolEnd;
use crate::process::EndCause;
use crate::prompt;
use crate::view::{Key, Phase, Review, ReviewPhase, Standing, Verdict, View};

/// What is kept of what the tool says.
const WORDS_CHARS_MAX: usize = 20_000;

pub(super) fn assigned(view: &mut View, seq: u64, given: ReviewAssigned) -> Vec<Effect> {
    if given.reviewer != view.me.actor || given.session != view.session {
        return Vec::new();
    }
    let key = Key { task: given.task, attempt: given.attempt };
    if view.leaving {
        // Somebody else is to look; this one would only be waited for.
        let verdict = Verdict { judgement: Judgement::Abstain, comments: None };
        let verb = Box::new(verdict_of(key, given.tree, verdict));
        return vec![Effect::Tell { session: view.session.clone(), verb }];
    }
    // The mesh knows of no other work of this agent's: what there still is has ended, whether this
    // process has heard of it or not. It is put away first.
    match (&view.attempt, &view.review) {
        (None, None) => return begin(view, key, given.tree),
        (Some(attempt), _) if attempt.token > seq => return Vec::new(),
        (None, Some(review)) if review.key == key => return Vec::new(),
        _ => view.given = Some((key, given.tree)),
    }
    match view.attempt.as_ref().map(|attempt| &attempt.phase) {
        Some(Phase::Ending) => Vec::new(),
        Some(_) => ending::let_go(view),
        None => end(view),
    }
}

/// The review that was given meanwhile.
pub(super) fn next(view: &mut View) -> Option<Vec<Effect>> {
    let (key, tree) = view.given.take()?;
    let is_in = view.standing == Standing::In && !view.leaving;
    is_in.then(|| begin(view, key, tree))
}

/// A review that was given unheard, or to the process before this one.
pub(super) fn found(view: &mut View, task: &TaskView) -> Vec<Effect> {
    let own = |it: &&ReviewerView| it.actor == view.me.actor && it.session == view.session;
    let busy = view.attempt.is_some() || view.review.is_some() || view.leaving;
    match (task.reviewer.as_ref().filter(own), &task.parked) {
        (Some(_), Some(parked)) if !busy => {
            let key = Key { task: task.task, attempt: parked.attempt };
            begin(view, key, parked.receipt.tree.clone())
        }
        _ => Vec::new(),
    }
}

fn begin(view: &mut View, key: Key, tree: String) -> Vec<Effect> {
    view.review = Some(Review::assigned(key, tree.clone()));
    vec![Effect::PrepareReview { key, tree }]
}

fn verdict_of(key: Key, tree: String, verdict: Verdict) -> Verb {
    Verb::TaskReview(Told {
        task: key.task,
        what: Reviewed::Diff,
        verdict: verdict.judgement,
        comments: verdict.comments,
        tree: Some(tree),
    })
}

/// The review of a task is not this agent's any more.
pub(super) fn lapsed(view: &mut View, task: TaskId) -> Vec<Effect> {
    view.given.take_if(|(key, _)| key.task == task);
    match &view.review {
        Some(review) if review.key.task == task => end(view),
        Some(_) | None => Vec::new(),
    }
}

pub(super) fn prepared(view: &mut View, key: Key, asked: Result<String, String>) -> Vec<Effect> {
    let preparing = |it: &&mut Review| it.phase == ReviewPhase::Preparing;
    let Some(review) = view.review_of(key).filter(preparing) else { return Vec::new() };
    match asked {
        Ok(prompt) => {
            review.phase = ReviewPhase::Looking;
            vec![Effect::Run { key, prompt, session: None }]
        }
        Err(reason) => abstain(view, key, &reason),
    }
}

pub(super) fn told(view: &mut View, key: Key, fact: Fact) -> Vec<Effect> {
    let Some(review) = view.review_of(key) else { return Vec::new() };
    match fact {
        Fact::Message(text) => {
            review.words = crate::text::tail(&format!("{}{text}\n", review.words), WORDS_CHARS_MAX);
        }
        // The last word is the answer, where a tool marks it and it is one.
        Fact::Done(done) if prompt::verdict(&done.message).is_some() => review.words = done.message,
        Fact::Done(_)
        | Fact::Session(_)
        | Fact::Usage(_)
        | Fact::Edit(_)
        | Fact::Command { .. }
        | Fact::Throttled { .. } => {}
    }
    Vec::new()
}

pub(super) fn ended(view: &mut View, now: Now, key: Key, end: &ToolEnd) -> Vec<Effect> {
    let looking = |it: &&mut Review| it.phase == ReviewPhase::Looking;
    let Some(review) = view.review_of(key).filter(looking) else { return Vec::new() };
    let verdict = prompt::verdict(&review.words);
    let well = end.cause == EndCause::Exited && end.exit == Some(0);
    match verdict.filter(|_| well) {
        Some(verdict) => tell(view, key, verdict),
        None => {
            if end.rate_limited || end.sign_in {
                tool::park_until(view, now, tool::limit_end(now, end));
            }
            abstain(view, key, "the tool came to no verdict")
        }
    }
}

fn abstain(view: &mut View, key: Key, reason: &str) -> Vec<Effect> {
    let limit = devmesh_protocol::limits::LINE_CHARS_MAX;
    let comments = Some(crate::text::head(reason, limit));
    tell(view, key, Verdict { judgement: Judgement::Abstain, comments })
}

fn tell(view: &mut View, key: Key, verdict: Verdict) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(review) = view.review_of(key) else { return Vec::new() };
    review.phase = ReviewPhase::Telling;
    let verb = Box::new(verdict_of(key, review.tree.clone(), verdict));
    vec![Effect::Send { key, session, verb }]
}

/// Told, refused or taken away: the slot is given back.
pub(super) fn end(view: &mut View) -> Vec<Effect> {
    match &mut view.review {
        Some(review) if review.phase != ReviewPhase::Ending => {
            review.phase = ReviewPhase::Ending;
            vec![Effect::Vacate(review.key)]
        }
        Some(_) | None => Vec::new(),
    }
}

pub(super) fn over(view: &mut View) -> Vec<Effect> {
    view.review = None;
    ending::free(view)
}
