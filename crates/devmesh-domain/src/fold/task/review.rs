//! Reviews: somebody is to look, has looked, or will not.

use devmesh_protocol::command::agent::Role;
use devmesh_protocol::command::task::{Judgement, Reviewed, Verdict};
use devmesh_protocol::event::task::{
    Blocked, ReviewAssigned, ReviewLapse, ReviewLapsed, TaskReviewed,
};
use devmesh_protocol::{Record, TaskId};

use super::attempt::freed;
use super::auction::heard;
use super::list::change;
use super::say;
use crate::state::State;
use crate::state::agent::Deaf;
use crate::state::task::{Parked, Phase, Reviewer, Task};

pub(crate) fn review_assigned(state: &mut State, record: &Record, e: &ReviewAssigned) {
    change(state, e.task, |task| {
        task.reviewer = Some(Reviewer {
            actor: e.reviewer.clone(),
            session: e.session.clone(),
            host: e.host.clone(),
            needs: e.needs,
            device: e.device,
            assigned_at: record.at,
            deadline: e.deadline,
        });
    });
    state.index.reserve(&e.host, &e.needs, e.device);
    if let Some(agent) = state.agents.get_mut(&e.reviewer) {
        agent.review = Some(e.task);
        agent.device = e.device;
    }
    state.refresh_agent(&e.reviewer);
}

pub(crate) fn review_lapsed(state: &mut State, record: &Record, e: &ReviewLapsed) {
    release(state, record, e.task);
    if matches!(e.why, ReviewLapse::TimedOut | ReviewLapse::Abstained) {
        change(state, e.task, |task| task.reviews_lapsed.push(e.reviewer.clone()));
    }
    if e.why == ReviewLapse::TimedOut
        && let Some(agent) = state.agents.get_mut(&e.reviewer)
    {
        agent.deaf = Some(Deaf::absent(agent.deaf, record.at));
        state.refresh_agent(&e.reviewer);
    }
}

/// The reviewer, if there is one, is free.
fn release(state: &mut State, record: &Record, id: TaskId) {
    let mut reviewer = None;
    change(state, id, |task| reviewer = task.reviewer.take());
    let Some(reviewer) = reviewer else { return };
    state.index.unreserve(&reviewer.host, &reviewer.needs, reviewer.device);
    if let Some(agent) = state.agents.get_mut(&reviewer.actor)
        && agent.session == reviewer.session
        && agent.review == Some(id)
    {
        agent.review = None;
        agent.device = None;
        agent.idle_since = record.seq;
    }
    freed(state, &reviewer.actor);
}

pub(crate) fn reviewed(state: &mut State, record: &Record, e: &TaskReviewed) {
    let kind = match e.verdict {
        Judgement::Approve => "approve",
        Judgement::Reject => "reject",
        Judgement::Abstain => "abstain",
    };
    let by_agent = state.role(&e.by) == Role::Agent;
    heard(state, &e.by);
    release(state, record, e.task);
    change(state, e.task, |task| {
        if let Some(comments) = e.comments {
            say(task, Some(e.by.clone()), record.at, kind, comments);
        }
        if e.what == Reviewed::Diff {
            judge(task, e, by_agent);
        } else if e.verdict == Judgement::Reject && task.is_proposed() {
            // It is planned again, by whoever is architect then, with what was said of it.
            task.plan = None;
            task.phase = Phase::Queued;
        }
    });
}

fn judge(task: &mut Task, e: &TaskReviewed, by_agent: bool) {
    let own = |number: u32| number == e.attempt;
    task.rejected = task.submitted().filter(|_| e.verdict == Judgement::Reject);
    if let Some(attempt) = task.attempt.as_mut().filter(|attempt| own(attempt.number)) {
        let Some(receipt) = &attempt.receipt else { return };
        attempt.review = Some((receipt.tree.clone(), e.verdict));
        // An award that has not been taken up is not undone by a word on the work it starts from.
        if task.phase != Phase::Claimed {
            task.phase = match e.verdict {
                Judgement::Approve => Phase::Verifying,
                Judgement::Reject => Phase::Working,
                Judgement::Abstain => task.phase,
            };
        }
        return;
    }
    let Some(parked) = task.parked.as_mut().filter(|parked| own(parked.attempt)) else { return };
    match e.verdict {
        Judgement::Approve => {
            parked.review = Some((parked.receipt.tree.clone(), e.verdict));
            task.phase = Phase::Queued;
            task.rejections = 0;
        }
        // It is begun again from its save; nothing of the evidence counts for what comes.
        Judgement::Reject => {
            task.parked = None;
            task.phase = Phase::Queued;
            task.rejections = if by_agent { task.rejections + 1 } else { 0 };
        }
        Judgement::Abstain => return,
    }
    task.reviews_lapsed.clear();
    // Whoever judges has decided.
    if task.blocked == Some(Blocked::Decision) {
        task.blocked = None;
    }
}

/// What an attempt that is parked leaves behind, where its work is proven and not rejected.
pub(super) fn park(task: &Task, record: &Record) -> Option<Parked> {
    let attempt = task.attempt.as_ref()?;
    let receipt = attempt.receipt.clone()?;
    let rejected = matches!(attempt.review, Some((_, Judgement::Reject)));
    if rejected || receipt.verdict == Verdict::Failed {
        return None;
    }
    let landing = matches!(task.blocked, Some(Blocked::Landing(_)));
    let before = task.parked.as_ref().map_or(0, |parked| parked.landings);
    Some(Parked {
        attempt: attempt.number,
        token: attempt.token,
        actor: attempt.actor.clone(),
        host: attempt.host.clone(),
        at: record.at,
        base_commit: attempt.base_commit.clone(),
        receipt,
        commit: attempt.commit.clone(),
        change: attempt.change.clone(),
        review: attempt.review.clone(),
        landings: if landing { before + 1 } else { 0 },
    })
}
