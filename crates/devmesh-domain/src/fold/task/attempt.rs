//! Attempts: awarded, started, ended; and the one end that is a completed task.

use devmesh_protocol::command::task::{Phase as Reported, Usage};
use devmesh_protocol::event::task::{
    AttemptEnded, Blocked, Ended, Next, TaskAwarded, TaskCompleted, TaskProgressed, TaskStarted,
};
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{ActorId, Record, TaskId};

use super::auction::{agent_free, heard, put_off};
use super::list::change;
use super::{end, land, review, told};
use crate::state::State;
use crate::state::task::{Attempt, Landed, PAST_MAX, Past, Phase, Task};

pub(crate) fn awarded(state: &mut State, record: &Record, e: &TaskAwarded) {
    change(state, e.task, |task| {
        task.phase = Phase::Claimed;
        let parked = task.parked.clone();
        let (receipt, commit, change, review) = match parked {
            Some(parked) => (Some(parked.receipt), parked.commit, parked.change, parked.review),
            None => (None, None, None, None),
        };
        task.auction = None;
        task.reopens_at = None;
        task.attempts = e.attempt;
        task.bids.clone_from(&e.bids);
        task.attempt = Some(Attempt {
            number: e.attempt,
            token: record.seq,
            actor: e.actor.clone(),
            session: e.session.clone(),
            host: e.host.clone(),
            needs: e.needs,
            device: e.device,
            awarded_at: record.at,
            start_by: e.start_by,
            started_at: None,
            base_commit: None,
            tool_session: None,
            receipt,
            commit,
            change,
            review,
            usage: Usage::default(),
            had_turn: false,
            turn_ended: None,
            landed: None,
        });
    });
    if let Some(agent) = state.agents.get_mut(&e.actor) {
        agent.task = Some(e.task);
        agent.device = e.device;
    }
    state.index.reserve(&e.host, &e.needs, e.device);
    if let Some(gauge) = state.gauges.get_mut(&e.host) {
        gauge.awarded_at = Some(record.at);
    }
    for bid in &e.bids {
        heard(state, &bid.actor);
    }
    state.refresh_agent(&e.actor);
}

pub(crate) fn started(state: &mut State, record: &Record, e: &TaskStarted) {
    change(state, e.task, |task| {
        let Some(attempt) = task.attempt.as_mut().filter(|a| a.number == e.attempt) else {
            return;
        };
        attempt.started_at = Some(record.at);
        attempt.base_commit.clone_from(&e.base_commit);
        task.phase = Phase::Working;
    });
}

pub(crate) fn progressed(state: &mut State, e: &TaskProgressed) {
    told(state, e.task, e.attempt, e.usage);
    change(state, e.task, |task| {
        let Some(attempt) = task.attempt.as_mut().filter(|a| a.number == e.attempt) else {
            return;
        };
        if let Some(session) = &e.tool_session {
            attempt.tool_session = Some(session.clone());
            task.tool_session = Some(session.clone());
        }
        if let Some(usage) = e.usage {
            attempt.usage = usage;
        }
        if let Some(saved) = &e.saved {
            task.saved = Some(saved.clone());
        }
        match e.phase {
            Some(Reported::Working) => task.phase = Phase::Working,
            Some(Reported::Verifying) => task.phase = Phase::Verifying,
            None => {}
        }
    });
}

pub(crate) fn attempt_ended(state: &mut State, record: &Record, e: &AttemptEnded) {
    let live = state.tasks.get(&e.task).and_then(|task| task.attempt.as_ref());
    let Some(attempt) = live.filter(|attempt| attempt.number == e.attempt).cloned() else {
        return;
    };
    told(state, e.task, e.attempt, e.usage);
    free(state, record, e.task, &attempt);
    change(state, e.task, |task| {
        if e.why == Ended::Parked {
            park(task, record, &attempt);
        } else {
            task.question = None;
            if matches!(task.blocked, Some(Blocked::Question(_) | Blocked::Landing(_))) {
                task.blocked = None;
            }
        }
        task.attempt = None;
        task.parks_at = None;
        task.usage = sum(task.usage, e.usage.unwrap_or(attempt.usage));
        if e.spent && !planted::is(Fault::TriesUncounted) {
            task.tries += 1;
        }
        if task.past.len() >= PAST_MAX {
            task.past.pop_front();
        }
        task.past.push_back(Past {
            number: attempt.number,
            token: attempt.token,
            actor: attempt.actor.clone(),
            why: e.why.clone(),
            next: e.next,
            had_turn: attempt.had_turn,
            ended_seq: record.seq,
            ended_at: record.at,
            spent: e.spent,
            usage: e.usage.unwrap_or(attempt.usage),
            host: Some(attempt.host.clone()),
            started_at: attempt.started_at,
        });
        match e.next {
            Next::Queued => task.phase = Phase::Queued,
            Next::Review => task.phase = Phase::Review,
            Next::Failed => end(task, record, Phase::Failed),
            Next::Cancelled => end(task, record, Phase::Cancelled),
            Next::Completed => end(task, record, Phase::Completed),
        }
        // What came to nothing and cost no try could come to nothing for ever.
        let idle =
            matches!(e.why, Ended::NotStarted | Ended::Failed { .. } | Ended::Abandoned { .. });
        if e.next == Next::Queued && !e.spent && idle {
            put_off(task, record.at);
        }
    });
}

pub(crate) fn completed(state: &mut State, record: &Record, e: &TaskCompleted) {
    told(state, e.task, e.attempt, e.usage);
    let Some(task) = state.tasks.get(&e.task) else { return };
    let landed = landed(task, record, e);
    let attempt = task.attempt.clone();
    if let Some(attempt) = &attempt {
        free(state, record, e.task, attempt);
    }
    if let Some(commit) = e.commit.as_ref().filter(|_| e.found) {
        land::head_is(state, e.task, commit);
    }
    change(state, e.task, |task| {
        if let Some(attempt) = task.attempt.take() {
            task.usage = sum(task.usage, e.usage.unwrap_or(attempt.usage));
        }
        task.landed = Some(landed);
        end(task, record, Phase::Completed);
    });
}

/// Which attempt it was, whether it still runs or was thought lost.
fn landed(task: &Task, record: &Record, e: &TaskCompleted) -> Landed {
    let (token, actor) = task.worker_of(e.attempt).unwrap_or((0, &record.actor));
    let live = task.attempt.as_ref().filter(|attempt| attempt.number == e.attempt);
    let seq = live.and_then(|attempt| attempt.landed.as_ref()).map_or(record.seq, |l| l.seq);
    let (actor, commit, tree) = (actor.clone(), e.commit.clone(), e.tree.clone());
    let own = task.attempt.as_ref().filter(|attempt| attempt.number == e.attempt);
    let parked = task.parked.as_ref().filter(|parked| parked.attempt == e.attempt);
    let change = own.and_then(|it| it.change.as_ref());
    let change = change.or(parked.and_then(|it| it.change.as_ref())).map(|change| change.digest);
    Landed { attempt: e.attempt, token, actor, seq, commit, tree, change }
}

/// What an attempt held is free: leases, waits, its turn to land, its place and its agent.
pub(super) fn free(state: &mut State, record: &Record, id: TaskId, attempt: &Attempt) {
    super::super::lock::free_task(state, id);
    land::leave(state, id);
    state.index.unreserve(&attempt.host, &attempt.needs, attempt.device);
    let agent = state.agents.get_mut(&attempt.actor);
    if let Some(agent) = agent.filter(|a| a.session == attempt.session && a.task == Some(id)) {
        agent.task = None;
        agent.device = None;
        agent.idle_since = record.seq;
    }
    freed(state, &attempt.actor);
}

/// The work waits, saved as it was proven, for whoever takes it up.
fn park(task: &mut Task, record: &Record, attempt: &Attempt) {
    task.parked = review::park(task, record);
    if task.parked.is_some() && attempt.commit.is_some() {
        task.saved.clone_from(&attempt.commit);
    }
}

/// An agent may be idle again.
pub(super) fn freed(state: &mut State, actor: &ActorId) {
    state.refresh_agent(actor);
    agent_free(state);
}

pub(super) fn sum(one: Usage, other: Usage) -> Usage {
    let cost_micro_usd = match (one.cost_micro_usd, other.cost_micro_usd) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
    };
    Usage {
        input_tokens: one.input_tokens.saturating_add(other.input_tokens),
        output_tokens: one.output_tokens.saturating_add(other.output_tokens),
        cost_micro_usd,
    }
}
