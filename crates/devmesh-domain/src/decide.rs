//! Decide: what follows from a command in this state at this time. A refusal is an answer.

mod agent;
mod checkout;
mod framework;
mod lock;
mod mesh;
mod task;

use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::{At, Command, Event, Rejection, Verb};

use crate::state::State;

pub(crate) use agent::free;
pub use checkout::{Advisory, advisories};
pub(crate) use lock::repo;
pub use mesh::{SETTINGS, refusal, suppressed};
pub use task::{bidders, eligible, open_auctions};
pub(crate) use task::{changed_by_hand, lasting_unfit};

/// What a command leads to: the events of its record, or the refusal. No events: nothing changes,
/// nothing is recorded, and the answer is made from the state as it stands.
///
/// Whoever calls has looked the command's id up before ([`crate::answer::known`]).
pub fn decide(state: &State, command: &Command, at: At) -> Result<Vec<Event>, Rejection> {
    agent::check_actor(state, command)?;
    match &command.verb {
        Verb::AgentJoin(body) => agent::join(state, command, body),
        Verb::AgentLeave(body) => agent::leave(state, command, body),
        Verb::AgentDrain(body) => agent::drain(state, command, body),
        Verb::ActorAdd(body) => agent::actor_add(state, command, body),
        Verb::ActorEnd(body) => agent::actor_end(state, command, body),
        Verb::RepoAdd(body) => mesh::repo_add(state, command, body),
        Verb::CheckoutReport(body) => checkout::report(state, command, body),
        Verb::TaskAdd(body) => task::add(state, command, body),
        Verb::TaskBid(body) => task::bid(state, command, body),
        Verb::TaskStart(body) => task::start(state, command, body),
        Verb::TaskProgress(body) => task::progress(state, command, body),
        Verb::TaskVerified(body) => task::verified(state, command, body),
        Verb::TaskComplete(body) => task::complete(state, command, body),
        Verb::TaskFail(body) => task::fail(state, command, body),
        Verb::TaskAbandon(body) => task::abandon(state, command, body),
        Verb::TaskPause(body) => task::pause(state, command, body, at),
        Verb::TaskResume(body) => task::resume(state, command, body),
        Verb::TaskCancel(body) => task::cancel(state, command, body),
        Verb::TaskRetry(body) => task::retry(state, command, body),
        Verb::TaskEdit(body) => task::edit(state, command, body),
        Verb::TaskRevert(body) => task::revert(state, command, body),
        Verb::TaskSay(body) => task::say(state, command, body),
        Verb::TaskAsk(body) => task::ask(state, command, body, at),
        Verb::TaskAnswer(body) => task::answer(state, command, body),
        Verb::TaskReview(body) => task::review(state, command, body),
        Verb::LandBegin(body) => task::land_begin(state, command, body, at),
        Verb::LandEnd(body) => task::land_end(state, command, body),
        Verb::LockAcquire(body) => lock::acquire(state, command, body, at),
        Verb::LockRelease(body) => lock::release(state, command, body),
        Verb::LockRenew(body) => lock::renew(state, command, body, at),
        Verb::LockConvert(body) => lock::convert(state, command, body, at),
        Verb::LockBreak(body) => lock::break_lease(state, command, body),
        Verb::FrameworkPublish(body) => framework::publish(state, command, body),
        Verb::FrameworkRead(body) => framework::read(state, command, body),
        Verb::NoteShare(body) => mesh::note_share(state, command, body),
        Verb::SettingSet(body) => mesh::setting_set(state, command, body),
        Verb::MeshPause(body) => mesh::pause(state, command, body),
        Verb::MeshResume(_) => mesh::resume(state, command),
        Verb::Redact(body) => mesh::redact(state, command, body),
        Verb::Internal(body) => Ok(internal(state, body, at)),
    }
}

fn internal(state: &State, body: &Internal, at: At) -> Vec<Event> {
    match body {
        Internal::EpochStart { epoch, node, nonce, hash } => {
            mesh::epoch_start(*epoch, node, *nonce, *hash)
        }
        Internal::Checkpoint { hash } => mesh::checkpoint(*hash),
        Internal::Tick => follow(state, at),
        Internal::SessionSilent { actor, session, silent_ms } => {
            agent::session_silent(state, actor, session, *silent_ms)
        }
        Internal::HostMeasured { host, capacity, report } => {
            agent::host_measured(state, host, capacity, report.as_deref(), at)
        }
        Internal::HostSilent { host, silent_ms } => agent::host_silent(state, host, *silent_ms),
        Internal::AuctionClose { task, bids } => task::auction_close(state, *task, bids, at),
    }
}

/// What follows from the state itself at this time: waits that can be granted, deadlines that
/// have come, auctions that can open. One record's worth; the caller folds it and asks again
/// until there is nothing. Cheap when there is nothing.
pub fn follow(state: &State, at: At) -> Vec<Event> {
    let mut events = lock::follow(state, at);
    if events.is_empty() {
        events = agent::follow(state);
    }
    if events.is_empty() {
        events = task::follow(state, at);
    }
    events
}
