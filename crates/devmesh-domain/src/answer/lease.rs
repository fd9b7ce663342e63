//! Answers about leases.

use devmesh_protocol::command::lock::Acquire;
use devmesh_protocol::event::lock::{LeaseShared, LockConverted, WithdrawnWhy};
use devmesh_protocol::{
    ActorId, Code, Command, CommandId, Event, LeaseId, Record, Rejection, RepoId, RepoPath,
};
use serde_json::{Value, json};

use crate::state::State;
use crate::state::lease::{Holder, Lease};

/// Paths changed by hand that an answer names.
const ADVISORIES_MAX: usize = 16;

/// A wait that ended with what it was for.
pub(super) const ENDED: WithdrawnWhy = WithdrawnWhy::Ended;

fn one(id: LeaseId, lease: &Lease) -> Value {
    json!({
        "lease": id,
        "repo": lease.repo,
        "path": lease.path,
        "mode": lease.mode,
        "token": id.seq,
        "expires_at": lease.expires_at,
    })
}

/// The id of a lease after its conversion.
pub(super) fn converted(record: &Record, e: &LockConverted) -> LeaseId {
    e.index.map_or(e.lease, |index| LeaseId { seq: record.seq, index })
}

/// The same, with whom they are shared: as it was shared then, whatever has become of it since.
pub(super) fn given(
    state: &State,
    record: &Record,
    actor: &ActorId,
    to: impl Fn(Option<&CommandId>) -> bool,
) -> Value {
    let mut shared = Vec::new();
    for event in &record.events {
        if let Event::LeaseShared(e) = event
            && record.events.iter().any(|given| is_shared_for(e, given, actor, &to))
        {
            shared.push(json!({
                "lease": e.lease, "actor": e.actor, "task": e.task, "path": e.path,
            }));
        }
    }
    let mut given = json!({ "leases": granted(record, to) });
    if !shared.is_empty() {
        given["shared"] = shared.into();
    }
    let advisory = changed_by_hand(state, &given);
    if !advisory.is_empty() {
        given["advisory"] = advisory.into();
    }
    given
}

/// Whether a lease was shared so that this could be given. A conversion does not name its task,
/// and is told by its path.
fn is_shared_for(
    shared: &LeaseShared,
    given: &Event,
    actor: &ActorId,
    to: impl Fn(Option<&CommandId>) -> bool,
) -> bool {
    if let Event::LockGranted(e) = given {
        to(e.waited.as_ref()) && shared.with == e.actor && shared.with_task == e.task
    } else if let Event::LockConverted(e) = given {
        let path = shared.path.case_folded();
        let overlaps = |converted: &RepoPath| converted.case_folded().overlaps(&path);
        let is_there = e.path.as_ref().is_none_or(overlaps);
        to(e.waited.as_ref()) && shared.with == *actor && is_there
    } else {
        false
    }
}

/// What others change by hand of the paths that are given.
fn changed_by_hand(state: &State, given: &Value) -> Vec<Value> {
    if state.checkouts.is_empty() {
        return Vec::new();
    }
    let mut told = Vec::new();
    for lease in given["leases"].as_array().into_iter().flatten() {
        let field = |name: &str| lease.get(name).and_then(Value::as_str);
        let repo = field("repo").and_then(|repo| repo.parse::<RepoId>().ok());
        let path = field("path").and_then(|path| path.parse::<RepoPath>().ok());
        let (Some(repo), Some(path)) = (repo, path) else { continue };
        told.extend(crate::look::advisory(state, &repo, std::slice::from_ref(&path)));
    }
    told.dedup();
    told.truncate(ADVISORIES_MAX);
    told
}

/// The leases that a record gives to whom `to` says; as it gave them, whatever has become of
/// them since.
pub(super) fn granted(record: &Record, to: impl Fn(Option<&CommandId>) -> bool) -> Vec<Value> {
    let mut leases = Vec::new();
    for event in &record.events {
        if let Event::LockGranted(e) = event
            && to(e.waited.as_ref())
        {
            let id = LeaseId { seq: record.seq, index: e.index };
            leases.push(json!({
                "lease": id,
                "repo": e.repo,
                "path": e.path,
                "mode": e.mode,
                "token": id.seq,
                "expires_at": e.expires_at,
            }));
        }
        if let Event::LockConverted(e) = event
            && to(e.waited.as_ref())
        {
            let id = converted(record, e);
            leases.push(json!({
                "lease": id,
                "repo": e.repo,
                "path": e.path,
                "mode": e.to,
                "token": id.seq,
                "expires_at": e.expires_at,
            }));
        }
    }
    leases
}

/// The caller's own leases that give already what it asks for.
pub(super) fn covering(state: &State, command: &Command, body: &Acquire) -> Vec<Value> {
    let Ok(repo) = crate::decide::repo(state, body.repo.as_ref()) else { return Vec::new() };
    let holder =
        Holder { actor: command.actor.clone(), session: command.session.clone(), task: body.task };
    // What is shared already is given as it is shared.
    let ids = body.paths.iter().filter_map(|path| {
        let covering = |mode| state.covering(&holder, &repo, path, mode);
        covering(body.mode).or_else(|| covering(body.mode.shared()))
    });
    let ids: std::collections::BTreeSet<LeaseId> = ids.collect();
    ids.into_iter().flat_map(|id| as_it_is(state, id)).collect()
}

/// One lease as it stands.
pub(super) fn as_it_is(state: &State, id: LeaseId) -> Vec<Value> {
    state.leases.get(&id).map(|lease| one(id, lease)).into_iter().collect()
}

/// What somebody is told whose wait ended without what it was for.
pub(super) fn withdrawn(id: &CommandId, why: WithdrawnWhy) -> Rejection {
    let (code, text) = match why {
        WithdrawnWhy::TimedOut => (Code::LockTimeout, "the wait is over; others still hold it"),
        WithdrawnWhy::Asked => (Code::LockTimeout, "the wait was withdrawn, as was asked"),
        WithdrawnWhy::Ended => {
            (Code::StaleToken, "the session, attempt or lease that it was for has ended")
        }
    };
    let name = match why {
        WithdrawnWhy::TimedOut => "timed_out",
        WithdrawnWhy::Asked => "asked",
        WithdrawnWhy::Ended => "ended",
    };
    Rejection::new(code, text).with("request", id.to_string()).with("why", name)
}
