//! Fold: a record has happened; this is what the state is then. Total and deterministic.

mod agent;
mod checkout;
mod lock;
mod mesh;
mod task;

use devmesh_protocol::event::agent::ActorEnded;
use devmesh_protocol::{Event, Record};

use crate::state::State;

/// Folds one record into the state.
pub fn fold(state: &mut State, record: &Record) {
    debug_assert_eq!(record.seq, state.seq + 1, "records come one after the other");
    state.seq = record.seq;
    state.at = record.at;
    mesh::remember(state, record);
    for event in &record.events {
        task::stir_before(state, event);
        apply(state, record, event);
        task::stir_after(state, event);
    }
}

fn actor_ended(state: &mut State, e: &ActorEnded) {
    checkout::forget(state, &e.actor);
    agent::actor_ended(state, e);
}

fn host(state: &mut State, record: &Record, event: &Event) {
    if let Event::HostMeasured(e) = event {
        agent::host_measured(state, record, e);
    } else if let Event::HostSilent(e) = event {
        agent::host_silent(state, record, e);
    }
}

fn apply(state: &mut State, record: &Record, event: &Event) {
    match event {
        Event::EpochStarted(e) => mesh::epoch_started(state, record, e),
        Event::Checkpoint(_) | Event::WideWrite(_) => {}
        Event::CommandRejected(_) => mesh::command_rejected(state, record),
        Event::RefusalsSuppressed(e) => mesh::refusals_suppressed(state, e),
        Event::MeshPaused(e) => mesh::mesh_paused(state, e),
        Event::MeshResumed(_) => mesh::mesh_resumed(state),
        Event::SettingChanged(e) => mesh::setting_changed(state, e),
        Event::Redacted(e) => mesh::redacted(state, e),
        Event::RepoAdded(e) => mesh::repo_added(state, e),
        Event::CheckoutChanged(e) => checkout::changed(state, record, e),
        Event::BranchMoved(e) => mesh::branch_moved(state, e),
        Event::NoteShared(e) => mesh::note_shared(state, record, e),
        Event::FrameworkPublished(e) => mesh::framework_published(state, e),
        Event::FrameworkRead(e) => mesh::framework_read(state, e),
        Event::ActorAdded(e) => agent::actor_added(state, e),
        Event::ActorEnded(e) => actor_ended(state, e),
        Event::AgentJoined(e) => agent::agent_joined(state, record, e),
        Event::AgentResumed(e) => agent::agent_resumed(state, e),
        Event::AgentLeft(e) => agent::agent_left(state, e),
        Event::AgentDrained(e) => agent::agent_drained(state, e),
        Event::LeasesLapsed(e) => agent::leases_lapsed(state, e),
        Event::SessionLost(e) => agent::session_lost(state, e),
        Event::ArchitectNamed(e) => agent::architect_named(state, e),
        Event::AgentSuspended(e) => agent::agent_suspended(state, e),
        Event::AgentUnsuspended(e) => agent::agent_unsuspended(state, e),
        Event::HostMeasured(_) | Event::HostSilent(_) => host(state, record, event),
        Event::LockGranted(e) => lock::granted(state, record, e),
        Event::LockQueued(e) => lock::queued(state, record, e),
        Event::LockWithdrawn(e) => lock::withdrawn(state, e),
        Event::LockConverted(e) => lock::converted(state, record, e),
        Event::SharingBegan(e) => lock::sharing_began(state, e),
        Event::LeaseShared(e) => lock::shared(state, e),
        Event::LockReleased(e) => lock::released(state, e),
        Event::LockRenewed(e) => lock::renewed(state, e),
        Event::LockExpired(e) => lock::expired(state, e),
        Event::LockBroken(e) => lock::broken(state, e),
        Event::TaskAdded(e) => task::added(state, record, e),
        Event::TaskEdited(e) => task::edited(state, e),
        Event::AuctionOpened(e) => task::auction_opened(state, record, e),
        Event::AuctionLapsed(e) => task::auction_lapsed(state, record, e),
        Event::PathsQueued(e) => lock::paths_queued(state, record, e),
        Event::PathsLeft(e) => lock::leave_line(state, e.task),
        Event::TaskAwarded(e) => task::awarded(state, record, e),
        Event::TaskStarted(e) => task::started(state, record, e),
        Event::TaskProgressed(e) => task::progressed(state, e),
        Event::TaskVerified(e) => task::verified(state, e),
        Event::TaskReviewed(e) => task::reviewed(state, record, e),
        Event::ReviewAssigned(e) => task::review_assigned(state, record, e),
        Event::PlanProposed(e) => task::plan_proposed(state, record, e),
        Event::TaskPlanned(e) => task::planned(state, record, e),
        Event::ReviewLapsed(e) => task::review_lapsed(state, record, e),
        Event::TaskAsked(e) => task::asked(state, record, e),
        Event::TaskAnswered(e) => task::answered(state, record, e),
        Event::TaskSaid(e) => task::said(state, record, e),
        Event::TaskPaused(e) => task::paused(state, e),
        Event::TaskResumed(e) => task::resumed(state, e),
        Event::TaskBlocked(e) => task::blocked(state, e),
        Event::TaskUnblocked(e) => task::unblocked(state, e),
        Event::LandQueued(e) => task::land_queued(state, e),
        Event::LandWithdrawn(e) => task::land_withdrawn(state, e),
        Event::LandBegan(e) => task::land_began(state, record, e),
        Event::LandEnded(e) => task::land_ended(state, record, e),
        Event::TaskCompleted(e) => task::completed(state, record, e),
        Event::AttemptEnded(e) => task::attempt_ended(state, record, e),
        Event::TaskCancelled(e) => task::cancelled(state, record, e),
        Event::TaskRetried(e) => task::retried(state, e),
    }
}
