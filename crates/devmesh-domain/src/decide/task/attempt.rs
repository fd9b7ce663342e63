//! An attempt's own reports: it began, got on, was proven, ended.

use devmesh_protocol::command::task::{
    Abandon, Complete, Fail, Flow, Phase as Reported, Progress, Receipt, ReviewBy, Start, Usage,
    Verdict, Verified,
};
use devmesh_protocol::event::mesh::TextRef;
use devmesh_protocol::event::task::{
    AttemptEnded, Blocked, Ended, Next, TaskBlocked, TaskCompleted, TaskProgressed, TaskStarted,
    TaskVerified,
};
use devmesh_protocol::limits::{GIVEN_BACK_MAX, LINE_CHARS_MAX};
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{ActorId, Code, Command, Event, Rejection, TaskId};

use super::change;
use super::guard::{find, not_owner, own, permit, wrong_state};
use crate::state::State;
use crate::state::task::{Attempt, Phase, Task};

type Decided = Result<Vec<Event>, Rejection>;

pub(crate) fn start(state: &State, command: &Command, body: &Start) -> Decided {
    let (task, _) = own(state, command, body.task, body.attempt, body.token)?;
    permit(task, "task.start")?;
    if state.mesh().paused {
        let text = "the mesh is paused; nothing new starts";
        return Err(Rejection::new(Code::TaskStateError, text).with("state", "paused"));
    }
    let (task, attempt, base_commit) = (body.task, body.attempt, body.base_commit.clone());
    Ok(vec![TaskStarted { task, attempt, base_commit }.into()])
}

pub(crate) fn progress(state: &State, command: &Command, body: &Progress) -> Decided {
    let (task, attempt) = own(state, command, body.task, body.attempt, body.token)?;
    permit(task, "task.progress")?;
    let news = |phase: &Reported| match phase {
        Reported::Working => task.phase != Phase::Working,
        Reported::Verifying => task.phase != Phase::Verifying,
    };
    let phase = body.phase.filter(news);
    if phase.is_some() && task.phase == Phase::Landing {
        return Err(wrong_state(task, "task.progress"));
    }
    let told = |session: &String| Some(session) != attempt.tool_session.as_ref();
    let tool_session = body.tool_session.clone().filter(told);
    let saved = body.saved.clone().filter(|saved| Some(saved) != task.saved.as_ref());
    if phase.is_none() && tool_session.is_none() && saved.is_none() {
        return Ok(Vec::new());
    }
    let progressed = TaskProgressed {
        task: body.task,
        attempt: body.attempt,
        phase,
        tool_session,
        usage: body.usage,
        saved,
    };
    Ok(vec![progressed.into()])
}

pub(crate) fn verified(state: &State, command: &Command, body: &Verified) -> Decided {
    let (task, attempt) = own(state, command, body.task, body.attempt, body.token)?;
    permit(task, "task.verified")?;
    let change = body.change.clone().filter(|_| body.receipt.verdict != Verdict::Failed);
    if let Some(change) = &change {
        change::check_new(state, task, attempt, change)?;
    }
    let merged = change.as_ref().map_or_else(Vec::new, |change| change::merged(task, change));
    let receipt = Receipt { merged, ..body.receipt.clone() };
    let repo = change.as_ref().map(|_| task.spec.repo.clone());
    let reviewer = task.reviewer(&receipt);
    let mut events = vec![
        TaskVerified {
            task: body.task,
            attempt: body.attempt,
            receipt,
            commit: body.commit.clone(),
            usage: body.usage,
            class: body.class.clone(),
            change,
            repo,
        }
        .into(),
    ];
    // A failed verification is a try; the attempt goes on in the same session while some are left.
    if body.receipt.verdict == Verdict::Failed && task.tries + 1 >= task.spec.max_attempts {
        let class = body.class.clone().unwrap_or_else(|| "test".to_owned());
        let ended = AttemptEnded {
            task: body.task,
            attempt: body.attempt,
            why: Ended::Failed { class, message: TextRef::to("") },
            spent: false,
            next: Next::Failed,
            usage: body.usage,
        };
        events.push(ended.into());
    }
    let approved = attempt.is_approved(&body.receipt.tree);
    if body.receipt.verdict != Verdict::Failed && reviewer != ReviewBy::None && !approved {
        events.push(parked(task, attempt, Next::Review));
    }
    Ok(events)
}

/// The end of an attempt that has to wait: its agent is free, its task goes on from the save.
pub(crate) fn parked(task: &Task, attempt: &Attempt, next: Next) -> Event {
    let ended = AttemptEnded {
        task: task.spec.task,
        attempt: attempt.number,
        why: Ended::Parked,
        spent: false,
        next,
        usage: None,
    };
    ended.into()
}

/// Whether the evidence is there, and says nothing against the work.
pub(super) fn proves(receipt: Option<&Receipt>, tree: Option<&str>) -> bool {
    receipt.is_some_and(|receipt| {
        receipt.verdict != Verdict::Failed && tree.is_none_or(|tree| receipt.tree == tree)
    })
}

/// Refuses work that is not proven, or not approved where somebody was to look at it.
pub(super) fn check_evidence(
    task: &Task,
    attempt: &Attempt,
    tree: Option<&str>,
) -> Result<(), Rejection> {
    let id = task.spec.task;
    if planted::is(Fault::EvidenceUnchecked) {
        return Ok(());
    }
    let Some(receipt) = attempt.receipt.as_ref().filter(|r| proves(Some(r), tree)) else {
        let what = tree.map_or_else(|| "its work".to_owned(), |tree| format!("tree {tree}"));
        let text = format!("{id} has no receipt that proves {what}; verify it first");
        let verified = attempt.receipt.as_ref().map(|receipt| receipt.tree.clone());
        return Err(Rejection::new(Code::VerificationRequired, text).with("verified", verified));
    };
    let approved = attempt.is_approved(&receipt.tree);
    let reviewer = task.reviewer(receipt);
    if reviewer != ReviewBy::None && !approved {
        let by = match reviewer {
            ReviewBy::Person => "a person",
            ReviewBy::Agent | ReviewBy::None => "another agent",
        };
        let text = format!("{id} waits for {by} to approve tree {}", receipt.tree);
        return Err(Rejection::new(Code::ReviewRequired, text));
    }
    Ok(())
}

pub(crate) fn complete(state: &State, command: &Command, body: &Complete) -> Decided {
    let known = find(state, body.task)?;
    let done = known.landed.as_ref().filter(|landed| {
        known.phase == Phase::Completed
            && (landed.attempt, landed.token) == (body.attempt, body.token)
    });
    if let Some(landed) = done {
        if planted::is(Fault::CompletedTwice) {
            let (task, tree) = (body.task, landed.tree.clone());
            let (attempt, commit) = (body.attempt, landed.commit.clone());
            let (found, message, usage) = (false, None, None);
            return Ok(vec![
                TaskCompleted { task, attempt, commit, tree, found, message, usage }.into(),
            ]);
        }
        return same_worker(known, command, &landed.actor);
    }
    let (task, attempt) = own(state, command, body.task, body.attempt, body.token)?;
    permit(task, "task.complete")?;
    if attempt.landed.is_none() {
        check_evidence(task, attempt, None)?;
        if task.spec.flow == Flow::Merge {
            return Err(wrong_state(task, "task.complete"));
        }
    }
    let message = body.message.as_deref().map(TextRef::to);
    Ok(completed(task, attempt, message, body.usage).into_iter().collect())
}

/// The end of an attempt whose work is done.
fn completed(
    task: &Task,
    attempt: &Attempt,
    message: Option<TextRef>,
    usage: Option<Usage>,
) -> Option<Event> {
    let landed = attempt.landed.as_ref();
    let receipt = attempt.receipt.as_ref();
    let tree = landed.map(|l| &l.tree).or(receipt.map(|r| &r.tree))?.clone();
    let commit = match landed {
        Some(landed) => landed.commit.clone(),
        None => attempt.commit.clone(),
    };
    let (task, attempt) = (task.spec.task, attempt.number);
    Some(TaskCompleted { task, attempt, commit, tree, found: false, message, usage }.into())
}

/// A report that came before: the same answer, to the same worker.
pub(crate) fn same_worker(task: &Task, command: &Command, worker: &ActorId) -> Decided {
    if command.actor == *worker { Ok(Vec::new()) } else { Err(not_owner(task, worker)) }
}

/// Whether that attempt has ended already, in that way.
pub(crate) fn ended_so(
    task: &Task,
    (number, token): (u32, u64),
    so: impl Fn(&Ended) -> bool,
) -> Option<&ActorId> {
    let past = task.past.iter().find(|past| past.number == number && past.token == token)?;
    so(&past.why).then_some(&past.actor)
}

pub(crate) fn fail(state: &State, command: &Command, body: &Fail) -> Decided {
    let known = find(state, body.task)?;
    let so = |why: &Ended| matches!(why, Ended::Failed { .. });
    if let Some(worker) = ended_so(known, (body.attempt, body.token), so) {
        return same_worker(known, command, worker);
    }
    let (task, attempt) = own(state, command, body.task, body.attempt, body.token)?;
    permit(task, "task.fail")?;
    // Neither a provider's limit nor a base that fails by itself says anything about the work.
    let spent = !matches!(body.class.as_str(), "rate_limit" | "base_red" | "base" | "duplicate");
    let next = match body.hard || (spent && task.tries + 1 >= task.spec.max_attempts) {
        true => Next::Failed,
        false => Next::Queued,
    };
    let why = Ended::Failed { class: body.class.clone(), message: TextRef::to(&body.message) };
    let ended = AttemptEnded {
        task: body.task,
        attempt: body.attempt,
        why,
        spent,
        next,
        usage: body.usage,
    };
    let mut events = vec![ended.into()];
    let cause = match body.class.as_str() {
        "base_red" => Some(Blocked::BaseRed),
        // Whether anything is left to do, only a person knows.
        "duplicate" => Some(Blocked::Decision),
        "base" => {
            let what = body.message.lines().next().unwrap_or_default();
            Some(Blocked::Base(what.chars().take(LINE_CHARS_MAX).collect()))
        }
        _ => over_budget(task, attempt, body.usage).then_some(Blocked::Budget),
    };
    if let Some(cause) = cause.filter(|_| next == Next::Queued) {
        events.push(TaskBlocked { task: body.task, cause }.into());
    }
    Ok(events)
}

/// Whether what all attempts used comes to the task's ceiling. A cost that is not told is none.
fn over_budget(task: &Task, attempt: &Attempt, usage: Option<Usage>) -> bool {
    let now = usage.unwrap_or(attempt.usage).cost_micro_usd.unwrap_or(0);
    let before = task.usage.cost_micro_usd.unwrap_or(0);
    now > 0 && before.saturating_add(now) >= task.spec.max_cost_micro_usd
}

pub(crate) fn abandon(state: &State, command: &Command, body: &Abandon) -> Decided {
    let known = find(state, body.task)?;
    // What an agent has ended itself it may give back once more, and nothing comes of it.
    let so =
        |why: &Ended| matches!(why, Ended::Abandoned { .. } | Ended::Failed { .. } | Ended::Parked);
    if let Some(worker) = ended_so(known, (body.attempt, body.token), so) {
        return same_worker(known, command, worker);
    }
    let (task, attempt) = own(state, command, body.task, body.attempt, body.token)?;
    permit(task, "task.abandon")?;
    let spent = !body.unspent;
    let ended = AttemptEnded {
        task: body.task,
        attempt: body.attempt,
        why: Ended::Abandoned { reason: body.reason.clone() },
        spent,
        next: after(task, spent),
        usage: body.usage,
    };
    let mut events = vec![ended.into()];
    let cause = match over_budget(task, attempt, body.usage) {
        true => Some(Blocked::Budget),
        false => (!spent).then(|| no_use(task, &body.reason)).flatten(),
    };
    if let Some(cause) = cause.filter(|_| after(task, spent) == Next::Queued) {
        events.push(TaskBlocked { task: body.task, cause }.into());
    }
    Ok(events)
}

/// What agents give back again and again is not offered for ever.
fn no_use(task: &Task, reason: &str) -> Option<Blocked> {
    let many = task.given_back(None) + 1 >= GIVEN_BACK_MAX;
    many.then(|| Blocked::GivenBack(reason.chars().take(LINE_CHARS_MAX).collect()))
}

/// Where a task goes when its attempt ends without a result.
pub(super) fn after(task: &Task, spent: bool) -> Next {
    match spent && task.tries + 1 >= task.spec.max_attempts {
        true => Next::Failed,
        false => Next::Queued,
    }
}

/// What the end of a session means for the task it had: what has landed is done, anything else
/// goes back to the queue. An attempt that never began spends no try.
pub(crate) fn session_ended(state: &State, id: TaskId, spent: bool) -> Option<Event> {
    let task = state.tasks.get(&id)?;
    let attempt = task.attempt.as_ref()?;
    if attempt.landed.is_some() {
        return completed(task, attempt, None, None);
    }
    let spent = spent && attempt.started_at.is_some();
    let ended = AttemptEnded {
        task: id,
        attempt: attempt.number,
        why: Ended::SessionEnded,
        spent,
        next: after(task, spent),
        usage: None,
    };
    Some(ended.into())
}
