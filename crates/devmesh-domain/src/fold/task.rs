//! Tasks: added, changed, talked about, held and ended.

mod attempt;
mod auction;
mod land;
mod list;
mod meet;
mod plan;
mod review;

use devmesh_protocol::command::task::{ReviewBy, Usage, Verdict};
use devmesh_protocol::event::mesh::TextRef;
use devmesh_protocol::event::task::{
    Blocked, TaskAdded, TaskAnswered, TaskAsked, TaskBlocked, TaskCancelled, TaskEdited,
    TaskPaused, TaskResumed, TaskRetried, TaskSaid, TaskUnblocked, TaskVerified,
};
use devmesh_protocol::limits::{GRACE_MS, LEASE_TTL_MS, PARK_MS, REVIEW_MS};
use devmesh_protocol::{ActorId, At, QuestionId, Record, TaskId};

pub(super) use attempt::{attempt_ended, awarded, completed, progressed, started};
pub(super) use auction::{auction_lapsed, auction_opened};
pub(super) use land::{land_began, land_ended, land_queued, land_withdrawn};
pub(super) use list::{stir_after, stir_before};
pub(super) use plan::{plan_proposed, planned};
pub(super) use review::{review_assigned, review_lapsed, reviewed};

use crate::fold::lock;
use crate::state::State;
use crate::state::index::Due;
use crate::state::task::{Phase, Question, SAID_MAX, Said, Task};
use list::{change, list};

pub(super) fn added(state: &mut State, record: &Record, e: &TaskAdded) {
    state.mesh_mut().tasks_added = e.task.0.max(state.mesh().tasks_added);
    if let Some(key) = &e.key {
        state.index.task_keys.insert((e.repo.clone(), key.clone()), e.task);
    }
    let task = Task {
        spec: e.clone(),
        added_seq: record.seq,
        added_at: record.at,
        phase: Phase::Queued,
        paused: false,
        blocked: None,
        ready_at: None,
        auction: None,
        lapses: 0,
        reopens_at: None,
        attempt: None,
        attempts: 0,
        tries: 0,
        past: Default::default(),
        question: None,
        said: Default::default(),
        saved: None,
        tool_session: None,
        landed: None,
        parked: None,
        reviewer: None,
        reviews_lapsed: Vec::new(),
        rejections: 0,
        rejected: None,
        met: Vec::new(),
        plan: None,
        parks_at: None,
        ended_at: None,
        ended_seq: None,
        usage: Usage::default(),
        conflicts: Vec::new(),
        bids: Vec::new(),
    };
    state.tasks.insert(e.task, task);
    list(state, e.task);
}

pub(super) fn edited(state: &mut State, e: &TaskEdited) {
    change(state, e.task, |task| {
        let spec = &mut task.spec;
        if let Some(title) = &e.title {
            spec.title.clone_from(title);
        }
        if let Some(prompt) = e.prompt {
            spec.prompt = Some(prompt);
            // What was proven is not what is asked for now.
            task.parked = None;
            task.rejected = None;
        }
        if let Some(paths) = &e.paths {
            spec.paths.clone_from(paths);
        }
        if let Some(priority) = e.priority {
            spec.priority = priority;
        }
        if let Some(depends_on) = &e.depends_on {
            spec.depends_on.clone_from(depends_on);
        }
        // Bids on what it was are not bids on what it is.
        task.auction = None;
        task.lapses = 0;
        task.reopens_at = None;
    });
    if e.paths.is_some() {
        lock::leave_line(state, e.task);
    }
    // Whom it kept from its former paths may go on.
    list::stir_all(state);
}

pub(super) fn verified(state: &mut State, e: &TaskVerified) {
    told(state, e.task, e.attempt, e.usage);
    change(state, e.task, |task| {
        let failed = e.receipt.verdict == Verdict::Failed;
        let wants_review = task.reviewer(&e.receipt) != ReviewBy::None;
        let Some(attempt) = task.attempt.as_mut().filter(|a| a.number == e.attempt) else {
            return;
        };
        attempt.receipt = Some(e.receipt.clone());
        attempt.commit.clone_from(&e.commit);
        attempt.change.clone_from(&e.change);
        if let Some(usage) = e.usage {
            attempt.usage = usage;
        }
        let approved = attempt.is_approved(&e.receipt.tree) || !wants_review;
        // Whatever waited to land is not what there is now.
        task.parked = None;
        if failed {
            task.tries += 1;
        } else {
            task.lapses = 0;
        }
        task.phase = match (failed, approved) {
            (true, _) => Phase::Working,
            (false, true) => Phase::Verifying,
            (false, false) => Phase::Review,
        };
    });
}

pub(super) fn asked(state: &mut State, record: &Record, e: &TaskAsked) {
    let id = QuestionId(record.seq);
    change(state, e.task, |task| {
        task.question = Some(Question {
            id,
            asked_at: record.at,
            text: e.question,
            options: e.options.clone(),
            default: e.default.clone(),
            deadline: e.deadline,
        });
        task.blocked = Some(Blocked::Question(id));
    });
}

pub(super) fn answered(state: &mut State, record: &Record, e: &TaskAnswered) {
    change(state, e.task, |task| {
        say(task, e.by.clone(), record.at, "answer", e.answer);
        task.question = None;
        if matches!(task.blocked, Some(Blocked::Question(_))) {
            task.blocked = None;
        }
    });
}

pub(super) fn said(state: &mut State, record: &Record, e: &TaskSaid) {
    if let Some(task) = state.tasks.get_mut(&e.task) {
        say(task, Some(e.by.clone()), record.at, "say", e.text);
        task.rejected = None;
    }
}

fn say(task: &mut Task, by: Option<ActorId>, at: At, kind: &str, text: TextRef) {
    if task.said.len() >= SAID_MAX {
        task.said.pop_front();
    }
    task.said.push_back(Said { by, at, kind: kind.to_owned(), text });
}

pub(super) fn paused(state: &mut State, e: &TaskPaused) {
    change(state, e.task, |task| {
        task.paused = true;
        task.parks_at = e.parks_at;
    });
    land::relist_of(state, e.task);
}

pub(super) fn resumed(state: &mut State, e: &TaskResumed) {
    change(state, e.task, |task| {
        task.paused = false;
        task.parks_at = None;
    });
    land::relist_of(state, e.task);
}

pub(super) fn blocked(state: &mut State, e: &TaskBlocked) {
    change(state, e.task, |task| task.blocked = Some(e.cause.clone()));
}

pub(super) fn unblocked(state: &mut State, e: &TaskUnblocked) {
    change(state, e.task, |task| {
        task.blocked = None;
        task.rejections = 0;
        task.reviews_lapsed.clear();
    });
}

pub(super) fn cancelled(state: &mut State, record: &Record, e: &TaskCancelled) {
    change(state, e.task, |task| end(task, record, Phase::Cancelled));
}

pub(super) fn retried(state: &mut State, e: &TaskRetried) {
    change(state, e.task, |task| {
        task.phase = Phase::Queued;
        task.tries = 0;
        task.lapses = 0;
        task.ended_at = None;
        task.ended_seq = None;
        task.blocked = None;
    });
}

/// What the attempt is said to have used by now counts for the day that it is said on.
fn told(state: &mut State, id: TaskId, number: u32, usage: Option<Usage>) {
    let attempt = state.tasks.get(&id).and_then(|task| task.attempt.as_ref());
    let before = attempt.filter(|attempt| attempt.number == number).map(|attempt| attempt.usage);
    if let (Some(before), Some(now)) = (before, usage) {
        state.spend(before, now);
    }
}

/// What a task has when it is over, however it came to that.
fn end(task: &mut Task, record: &Record, phase: Phase) {
    task.phase = phase;
    task.paused = false;
    task.blocked = None;
    task.question = None;
    task.auction = None;
    task.reopens_at = None;
    task.parked = None;
    if task.is_proposed() {
        task.plan = None;
    }
    task.parks_at = None;
    task.reviews_lapsed.clear();
    task.rejections = 0;
    task.bids = Vec::new();
    task.ended_at = Some(record.at);
    task.ended_seq = Some(record.seq);
}

/// A new term gives every running deadline its length again, at most what a silent agent has:
/// time in which nobody led counts against nobody.
pub(super) fn extend_deadlines(state: &mut State, at: At) {
    let later =
        |deadline: At, full_ms: u64| deadline.max(at + full_ms.min(LEASE_TTL_MS + GRACE_MS));
    let due: Vec<TaskId> = state
        .index
        .due
        .iter()
        .filter_map(|(_, due)| match due {
            Due::Start(task) | Due::Question(task) | Due::Park(task) | Due::Review(task) => {
                Some(*task)
            }
            Due::Lease(_)
            | Due::Share(_)
            | Due::Waiter(_)
            | Due::Auction(_)
            | Due::Land(_)
            | Due::Unblock(_) => None,
        })
        .collect();
    for id in due {
        change(state, id, |task| {
            if let Some(attempt) = task.attempt.as_mut().filter(|a| a.started_at.is_none()) {
                let full_ms = attempt.start_by.since(attempt.awarded_at);
                attempt.start_by = later(attempt.start_by, full_ms);
            }
            task.parks_at = task.parks_at.map(|at| later(at, PARK_MS));
            if let Some(reviewer) = &mut task.reviewer {
                reviewer.deadline = later(reviewer.deadline, REVIEW_MS);
            }
            let counts = |question: &&mut Question| question.default.is_some();
            if let Some(question) = task.question.as_mut().filter(counts) {
                let asked_at = question.asked_at;
                question.deadline = question.deadline.map(|d| later(d, d.since(asked_at)));
            }
        });
    }
    auction::reopen_windows(state, at);
    land::extend_waits(state, later);
}
