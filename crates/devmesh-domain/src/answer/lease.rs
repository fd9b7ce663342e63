//! Answers about leases.

use devmesh_protocol::command::lock::Acquire;
use devmesh_protocol::event::lock::{LeaseShared, LockConverted, WithdrawnWhy};
use devmesh_protocol::{
    ActorId, At, Code, Command, CommandId, Event, LeaseId, Mode, Record, Rejection, RepoId,
    RepoPath,
};
use serde_json::{Value, json};

use crate::state::State;
use crate::state::lease::{Holder, Lease};

/// Paths changed by hand that an answer names.
const ADVISORIES_MAX: usize = 16;

/// A wait that ended with what it was for.
pub(super) const ENDED: WithdrawnWhy = WithdrawnWhy::Ended;

/// A lease that is given, as an answer shows it. Records that older versions wrote do not say of
/// a conversion where it was.
struct Given<'a> {
    id: LeaseId,
    repo: Option<&'a RepoId>,
    path: Option<&'a RepoPath>,
    mode: Mode,
    expires_at: Option<At>,
}

impl Given<'_> {
    fn view(&self) -> Value {
        json!({
            "lease": self.id,
            "repo": self.repo,
            "path": self.path,
            "mode": self.mode,
            "token": self.id.seq,
            "expires_at": self.expires_at,
        })
    }
}

/// The id of a lease after its conversion.
pub(super) fn converted(record: &Record, e: &LockConverted) -> LeaseId {
    e.index.map_or(e.lease, |index| LeaseId { seq: record.seq, index })
}

/// The leases that a record gives to whom `to` says, with whom they are shared: as it was shared
/// then, whatever has become of it since.
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
    let leases = granted(record, to);
    let views: Vec<Value> = leases.iter().map(Given::view).collect();
    let mut given = json!({ "leases": views });
    if !shared.is_empty() {
        given["shared"] = shared.into();
    }
    let advisory = changed_by_hand(state, &leases);
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
fn changed_by_hand(state: &State, given: &[Given<'_>]) -> Vec<Value> {
    if state.checkouts.is_empty() {
        return Vec::new();
    }
    let places = given.iter().filter_map(|given| given.repo.zip(given.path));
    let told = places
        .flat_map(|(repo, path)| crate::look::advisory(state, repo, std::slice::from_ref(path)));
    let mut told: Vec<Value> = told.collect();
    told.dedup();
    told.truncate(ADVISORIES_MAX);
    told
}

/// The leases that a record gives to whom `to` says; as it gave them, whatever has become of
/// them since.
fn granted(record: &Record, to: impl Fn(Option<&CommandId>) -> bool) -> Vec<Given<'_>> {
    let mut given = Vec::new();
    for event in &record.events {
        if let Event::LockGranted(e) = event
            && to(e.waited.as_ref())
        {
            given.push(Given {
                id: LeaseId { seq: record.seq, index: e.index },
                repo: Some(&e.repo),
                path: Some(&e.path),
                mode: e.mode,
                expires_at: e.expires_at,
            });
        } else if let Event::LockConverted(e) = event
            && to(e.waited.as_ref())
        {
            given.push(Given {
                id: converted(record, e),
                repo: e.repo.as_ref(),
                path: e.path.as_ref(),
                mode: e.to,
                expires_at: e.expires_at,
            });
        }
    }
    given
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
    let view = |lease: &Lease| {
        let (repo, path) = (Some(&lease.repo), Some(&lease.path));
        Given { id, repo, path, mode: lease.mode, expires_at: lease.expires_at }.view()
    };
    state.leases.get(&id).map(view).into_iter().collect()
}

/// What somebody is told whose wait ended without what it was for.
pub(super) fn withdrawn(id: &CommandId, why: WithdrawnWhy) -> Rejection {
    let (code, name, text) = match why {
        WithdrawnWhy::TimedOut => {
            (Code::LockTimeout, "timed_out", "the wait is over; others still hold it")
        }
        WithdrawnWhy::Asked => (Code::LockTimeout, "asked", "the wait was withdrawn, as was asked"),
        WithdrawnWhy::Ended => {
            (Code::StaleToken, "ended", "the session, attempt or lease that it was for has ended")
        }
    };
    Rejection::new(code, text).with("request", id.to_string()).with("why", name)
}
