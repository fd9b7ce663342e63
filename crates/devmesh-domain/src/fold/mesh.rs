//! The mesh itself: terms, settings, repositories, notes, and the memory of commands.

use devmesh_protocol::event::mesh::{
    BranchMoved, EpochStarted, FrameworkPublished, FrameworkRead, MeshPaused, NoteShared, Redacted,
    RefusalsSuppressed, RepoAdded, SettingChanged,
};
use devmesh_protocol::limits::RECEIPTS_PER_ACTOR_MAX;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{ActorId, At, CommandId, Event, LeaseId, Record, TaskId};

use crate::state::State;
use crate::state::index::of_actor;
use crate::state::mesh::{
    LandQueue, Note, REFUSALS_MS, Receipt, ReceiptKey, ReceiptOrder, Refusals, Repo,
};
use crate::table::Table;

/// Remembers what became of the record's command, and of commands that waited for this record.
/// It runs before the events: whose wait an end of a session ends is known only until then.
pub(super) fn remember(state: &mut State, record: &Record) {
    for (actor, id) in resolved(state, record) {
        if let Some(receipt) =
            state.receipts.get_mut(&ReceiptKey::new(&actor, &id)).filter(|r| r.waiting)
        {
            receipt.waiting = false;
            receipt.answered = Some(record.seq);
        }
    }
    let (Some(id), Some(body)) = (&record.command_id, record.body) else { return };
    if planted::is(Fault::ForgottenCommandIds) {
        return;
    }
    let waiting = record.events.iter().any(|event| {
        matches!(event, Event::LockQueued(e) if e.id == *id)
            || matches!(event, Event::LandQueued(e) if e.id == *id)
    });
    let receipt = Receipt { body, seq: record.seq, answered: None, waiting };
    let key = ReceiptKey::new(&record.actor, id);
    if state.receipts.insert(key, receipt).is_some() {
        return;
    }
    let order = state.receipt_orders.get_or_insert_with(&record.actor, ReceiptOrder::default);
    order.ids.push_back(id.clone());
    if order.ids.len() > RECEIPTS_PER_ACTOR_MAX {
        forget(&mut state.receipts, order, &record.actor);
    }
}

/// Forgets the oldest receipt that does not wait.
fn forget(receipts: &mut Table<ReceiptKey, Receipt>, order: &mut ReceiptOrder, actor: &ActorId) {
    let waits = |key: &ReceiptKey| receipts.get(key).is_some_and(|receipt| receipt.waiting);
    let mut keys = order.ids.iter().map(|id| ReceiptKey::new(actor, id)).enumerate();
    let Some((place, oldest)) = keys.find(|(_, key)| !waits(key)) else { return };
    order.ids.remove(place);
    order.forgotten_ms = order.forgotten_ms.max(oldest.id().uuid_v7_ms().unwrap_or(0));
    receipts.remove(&oldest);
}

/// The commands whose waits this record ends, one way or another.
fn resolved(state: &State, record: &Record) -> Vec<(ActorId, CommandId)> {
    let mut ended = Vec::new();
    for event in &record.events {
        if let Event::LockGranted(e) = event {
            ended.extend(e.waited.iter().map(|id| (e.actor.clone(), id.clone())));
        } else if let Event::LockConverted(e) = event {
            ended.extend(e.waited.iter().filter_map(|id| {
                let lease: &LeaseId = &e.lease;
                Some((state.leases.get(lease)?.holder.actor.clone(), id.clone()))
            }));
        } else if let Event::LockWithdrawn(e) = event {
            ended.push((e.actor.clone(), e.id.clone()));
        } else if let Event::LandBegan(e) = event {
            ended.extend(
                e.waited.iter().filter_map(|id| Some((worker(state, e.task)?, id.clone()))),
            );
        } else if let Event::LandWithdrawn(e) = event {
            ended.extend(worker(state, e.task).map(|actor| (actor, e.id.clone())));
        } else if let Event::LeasesLapsed(e) = event {
            of_session(state, &e.actor, Some(&e.session), &mut ended);
        } else if let Event::SessionLost(e) = event {
            of_session(state, &e.actor, Some(&e.session), &mut ended);
        } else if let Event::AgentLeft(e) = event {
            of_session(state, &e.actor, Some(&e.session), &mut ended);
        } else if let Event::ActorEnded(e) = event {
            for (session, _) in of_actor(&state.index.waiters_by_session, &e.actor) {
                of_session(state, &e.actor, session.as_ref(), &mut ended);
            }
        } else if let Event::AttemptEnded(e) = event {
            of_task(state, e.task, &mut ended);
        } else if let Event::TaskCompleted(e) = event {
            of_task(state, e.task, &mut ended);
        }
    }
    ended
}

fn worker(state: &State, task: TaskId) -> Option<ActorId> {
    Some(state.tasks.get(&task)?.attempt.as_ref()?.actor.clone())
}

fn of_session(
    state: &State,
    actor: &ActorId,
    session: Option<&devmesh_protocol::SessionId>,
    ended: &mut Vec<(ActorId, CommandId)>,
) {
    let key = (actor.clone(), session.cloned());
    let waiters = state.index.waiters_by_session.get(&key).into_iter().flatten();
    ended.extend(waiters.filter_map(|n| Some((actor.clone(), state.waiters.get(n)?.id.clone()))));
}

/// What waits for an attempt: its leases, and its turn to land.
fn of_task(state: &State, id: TaskId, ended: &mut Vec<(ActorId, CommandId)>) {
    let Some(task) = state.tasks.get(&id) else { return };
    let Some(attempt) = &task.attempt else { return };
    let key = (attempt.actor.clone(), Some(attempt.session.clone()));
    let waiters = state.index.waiters_by_session.get(&key).into_iter().flatten();
    ended.extend(waiters.filter_map(|n| {
        let waiter = state.waiters.get(n).filter(|waiter| waiter.holder.task == Some(id))?;
        Some((attempt.actor.clone(), waiter.id.clone()))
    }));
    let queue = state.lands.get(&task.target()).into_iter().flat_map(|queue| &queue.waiting);
    ended.extend(
        queue
            .filter(|waiter| waiter.task == id)
            .map(|waiter| (attempt.actor.clone(), waiter.id.clone())),
    );
}

pub(super) fn epoch_started(state: &mut State, record: &Record, e: &EpochStarted) {
    let mesh = state.mesh_mut();
    mesh.epoch = e.epoch;
    mesh.node.clone_from(&e.node);
    mesh.epoch_seq = record.seq;
    mesh.format = e.format;
    if planted::is(Fault::TermKeepsDeadlines) {
        return;
    }
    forget_unrecorded(state, record.at);
    super::lock::extend_deadlines(state, record.at);
    super::task::extend_deadlines(state, record.at);
}

/// Which of an actor's commands were refused without a record is known to the coordinator that did
/// it, and gone with its term. A late copy of one must not be decided anew, so what the actor may
/// have minted before counts as forgotten. Its clock need not be right: its newest id tells how
/// far it was when the minute of its refusals was under way.
fn forget_unrecorded(state: &mut State, at: At) {
    let is_recent = |row: &Refusals| at.since(row.since) < 2 * REFUSALS_MS;
    let rows = state.refusals.iter().filter(|(_, row)| is_recent(row));
    let rows = rows.filter(|(_, row)| !row.suppressed.is_empty());
    let since: Vec<(ActorId, At)> = rows.map(|(actor, row)| (actor.clone(), row.since)).collect();
    for (actor, since) in since {
        let Some(order) = state.receipt_orders.get_mut(&actor) else { continue };
        let newest = order.ids.iter().filter_map(CommandId::uuid_v7_ms).max();
        let Some(newest) = newest else { continue };
        let minted = newest.saturating_add(at.since(since)).min(at.0);
        order.forgotten_ms = order.forgotten_ms.max(minted);
    }
}

pub(super) fn command_rejected(state: &mut State, record: &Record) {
    let row = state.refusals.get_or_insert_with(&record.actor, Refusals::default);
    if row.recorded == 0 || record.at.since(row.since) >= REFUSALS_MS {
        *row = Refusals { since: record.at, ..Refusals::default() };
    }
    row.recorded += 1;
}

pub(super) fn refusals_suppressed(state: &mut State, e: &RefusalsSuppressed) {
    let row = state.refusals.get_or_insert_with(&e.actor, Refusals::default);
    let n = row.suppressed.entry(e.code).or_default();
    *n = n.saturating_add(e.n);
}

pub(super) fn mesh_paused(state: &mut State, e: &MeshPaused) {
    let mesh = state.mesh_mut();
    mesh.paused = true;
    mesh.paused_now = e.now;
}

pub(super) fn mesh_resumed(state: &mut State) {
    let mesh = state.mesh_mut();
    mesh.paused = false;
    mesh.paused_now = false;
}

pub(super) fn setting_changed(state: &mut State, e: &SettingChanged) {
    match &e.value {
        Some(value) => state.settings.insert(e.key.clone(), value.clone()),
        None => state.settings.remove(&e.key),
    };
}

pub(super) fn redacted(state: &mut State, e: &Redacted) {
    let seq = state.seq;
    state.redacted.insert(e.digest, seq);
}

pub(super) fn repo_added(state: &mut State, e: &RepoAdded) {
    state.repos.insert(e.repo.clone(), Repo { added: e.clone() });
}

pub(super) fn branch_moved(state: &mut State, e: &BranchMoved) {
    let target = (e.repo.clone(), e.branch.clone());
    let queue = state.lands.get_or_insert_with(&target, LandQueue::default);
    queue.head = Some(e.to.clone());
}

pub(super) fn note_shared(state: &mut State, record: &Record, e: &NoteShared) {
    let note = Note {
        value: e.value,
        confidence: e.confidence,
        paths: e.paths.clone(),
        by: e.by.clone(),
        at: record.at,
        repo: e.repo.clone(),
        task: e.task,
    };
    state.notes.insert(e.key.clone(), note);
}

pub(super) fn framework_published(state: &mut State, e: &FrameworkPublished) {
    state.mesh_mut().framework = Some((e.version, e.text));
}

pub(super) fn framework_read(state: &mut State, e: &FrameworkRead) {
    if let Some(agent) = state.agents.get_mut(&e.actor) {
        agent.framework_read = Some(e.version);
    }
}
