//! What an event may change on a page. Too much costs a comparison; too little is a row that
//! stays old, so every event is named.

use devmesh_protocol::Event;

use super::Touched;

/// Marks it.
pub(super) fn touch(touched: &mut Touched, event: &Event) {
    // Events about a task carry its id as their key.
    if let Ok(task) = event.key().parse() {
        touched.tasks.insert(task);
    }
    touched.all_tasks |= matches!(
        event,
        Event::EpochStarted(_) | Event::MeshPaused(_) | Event::MeshResumed(_) | Event::RepoAdded(_)
    );
    touched.parts.extend(parts(event));
}

const ALL: &[&str] = &["agents", "hosts", "leases", "repos", "waiters"];
const LEASES: &[&str] = &["leases", "waiters"];
const AGENTS: &[&str] = &["agents"];
const REPOS: &[&str] = &["repos"];

/// The parts beside tasks whose rows it may change.
fn parts(event: &Event) -> &'static [&'static str] {
    match event {
        Event::EpochStarted(_) | Event::MeshPaused(_) | Event::MeshResumed(_) => ALL,
        Event::AgentJoined(_)
        | Event::AgentResumed(_)
        | Event::AgentLeft(_)
        | Event::ActorEnded(_)
        | Event::LeasesLapsed(_)
        | Event::SessionLost(_) => ALL,
        Event::AgentDrained(_)
        | Event::ArchitectNamed(_)
        | Event::AgentSuspended(_)
        | Event::AgentUnsuspended(_)
        | Event::FrameworkRead(_) => AGENTS,
        Event::HostMeasured(_) | Event::HostSilent(_) => &["agents", "hosts"],
        Event::CheckoutChanged(_)
        | Event::LockGranted(_)
        | Event::LockQueued(_)
        | Event::LockWithdrawn(_)
        | Event::LockConverted(_)
        | Event::SharingBegan(_)
        | Event::LeaseShared(_)
        | Event::WideWrite(_)
        | Event::LockReleased(_)
        | Event::LockRenewed(_)
        | Event::LockExpired(_)
        | Event::LockBroken(_)
        // A task takes its place in the queue for its paths, and leaves it with its readiness.
        | Event::PathsQueued(_)
        | Event::PathsLeft(_)
        | Event::TaskEdited(_)
        | Event::TaskPaused(_)
        | Event::TaskBlocked(_) => LEASES,
        Event::TaskAwarded(_)
        | Event::TaskStarted(_)
        | Event::TaskCompleted(_)
        | Event::AttemptEnded(_)
        | Event::ReviewAssigned(_)
        | Event::ReviewLapsed(_)
        | Event::TaskReviewed(_)
        | Event::PlanProposed(_)
        | Event::TaskPlanned(_)
        | Event::TaskCancelled(_)
        | Event::TaskRetried(_) => ALL,
        Event::RepoAdded(_)
        | Event::BranchMoved(_)
        | Event::LandQueued(_)
        | Event::LandWithdrawn(_)
        | Event::LandBegan(_)
        | Event::LandEnded(_) => REPOS,
        Event::Checkpoint(_)
        | Event::CommandRejected(_)
        | Event::RefusalsSuppressed(_)
        | Event::SettingChanged(_)
        | Event::Redacted(_)
        | Event::NoteShared(_)
        | Event::FrameworkPublished(_)
        | Event::ActorAdded(_)
        | Event::TaskAdded(_)
        | Event::AuctionOpened(_)
        | Event::AuctionLapsed(_)
        | Event::TaskProgressed(_)
        | Event::TaskVerified(_)
        | Event::TaskAsked(_)
        | Event::TaskAnswered(_)
        | Event::TaskSaid(_)
        | Event::TaskResumed(_)
        | Event::TaskUnblocked(_) => &[],
    }
}
