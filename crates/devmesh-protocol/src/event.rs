//! Events: what has happened. They carry results, never inputs to be judged again, so that an
//! old log means for ever what it meant.

pub mod agent;
mod host;
pub mod lock;
pub mod mesh;
pub mod plan;
pub mod review;
pub mod task;
mod tell;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use agent::Capacity;
pub use mesh::TextRef;
pub use task::Bid;

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident($body:ty) = $kind:literal by |$e:ident| $key:expr,)*) => {
        /// One thing that has happened. Closed: a new event breaks every place that must think
        /// about it.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Event {
            $($(#[$doc])* $variant($body),)*
        }

        impl Event {
            /// The kind, as in the subject of its live notice.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Event::$variant(_) => $kind,)*
                }
            }

            /// What it is about: one token of the subject of its live notice.
            pub fn key(&self) -> String {
                match self {
                    $(Event::$variant($e) => $key,)*
                }
            }
        }

        $(impl From<$body> for Event {
            fn from(body: $body) -> Event {
                Event::$variant(body)
            }
        })*
    };
}

events! {
    /// A term began.
    EpochStarted(mesh::EpochStarted) = "epoch_started" by |e| e.epoch.to_string(),
    /// The state's hash went on record.
    Checkpoint(mesh::Checkpoint) = "checkpoint" by |_e| "mesh".into(),
    /// A command was refused.
    CommandRejected(mesh::CommandRejected) = "command_rejected" by |e| e.about(),
    /// More of an actor's commands were refused than are recorded one by one.
    RefusalsSuppressed(mesh::RefusalsSuppressed) = "refusals_suppressed" by |e| e.actor.to_string(),
    /// The mesh stopped.
    MeshPaused(mesh::MeshPaused) = "mesh_paused" by |_e| "mesh".into(),
    /// The mesh went on.
    MeshResumed(mesh::MeshResumed) = "mesh_resumed" by |_e| "mesh".into(),
    /// A setting changed.
    SettingChanged(mesh::SettingChanged) = "setting_changed" by |_e| "mesh".into(),
    /// A text's bytes were forgotten.
    Redacted(mesh::Redacted) = "redacted" by |_e| "mesh".into(),
    /// A repository joined, or changed.
    RepoAdded(mesh::RepoAdded) = "repo_added" by |e| e.repo.to_string(),
    /// A person's checkout has other changes that are not committed.
    CheckoutChanged(mesh::CheckoutChanged) = "checkout_changed" by |e| e.actor.to_string(),
    /// A branch was moved by somebody who is not devmesh.
    BranchMoved(mesh::BranchMoved) = "branch_moved" by |e| e.repo.to_string(),
    /// Knowledge was shared.
    NoteShared(mesh::NoteShared) = "note_shared" by |e| e.by.to_string(),
    /// The plan text was published.
    FrameworkPublished(mesh::FrameworkPublished) = "framework_published"
        by |e| e.version.to_string(),
    /// An agent has read it.
    FrameworkRead(mesh::FrameworkRead) = "framework_read" by |e| e.actor.to_string(),
    /// An actor got its role.
    ActorAdded(agent::ActorAdded) = "actor_added" by |e| e.actor.to_string(),
    /// An actor was ended.
    ActorEnded(agent::ActorEnded) = "actor_ended" by |e| e.actor.to_string(),
    /// An agent joined.
    AgentJoined(agent::AgentJoined) = "agent_joined" by |e| e.actor.to_string(),
    /// An agent was heard again within the grace.
    AgentResumed(agent::AgentResumed) = "agent_resumed" by |e| e.actor.to_string(),
    /// An agent left.
    AgentLeft(agent::AgentLeft) = "agent_left" by |e| e.actor.to_string(),
    /// An agent gets nothing new.
    AgentDrained(agent::AgentDrained) = "agent_drained" by |e| e.actor.to_string(),
    /// A silent session's leases were freed.
    LeasesLapsed(agent::LeasesLapsed) = "leases_lapsed" by |e| e.actor.to_string(),
    /// A silent session ended.
    SessionLost(agent::SessionLost) = "session_lost" by |e| e.actor.to_string(),
    /// An agent became the architect, or nobody is.
    ArchitectNamed(agent::ArchitectNamed) = "architect_named" by |_e| "mesh".into(),
    /// An agent's host lacks what it needs.
    AgentSuspended(agent::AgentSuspended) = "agent_suspended" by |e| e.actor.to_string(),
    /// An agent's host has again what it needs.
    AgentUnsuspended(agent::AgentUnsuspended) = "agent_unsuspended" by |e| e.actor.to_string(),
    /// A host's capacity, or what is free there, became known or changed.
    HostMeasured(agent::HostMeasured) = "host_measured" by |e| e.host.to_string(),
    /// A host is not measured any more.
    HostSilent(agent::HostSilent) = "host_silent" by |e| e.host.to_string(),
    /// A lease was granted.
    LockGranted(lock::LockGranted) = "lock_granted" by |e| e.actor.to_string(),
    /// A request waits.
    LockQueued(lock::LockQueued) = "lock_queued" by |e| e.actor.to_string(),
    /// A wait ended without a grant.
    LockWithdrawn(lock::LockWithdrawn) = "lock_withdrawn" by |e| e.actor.to_string(),
    /// A lease changed its mode.
    LockConverted(lock::LockConverted) = "lock_converted" by |e| e.lease.to_string(),
    /// A request shares what it has waited for.
    SharingBegan(lock::SharingBegan) = "sharing_began" by |e| e.actor.to_string(),
    /// A lease is its holder's no longer alone.
    LeaseShared(lock::LeaseShared) = "lease_shared" by |e| e.actor.to_string(),
    /// One command of an attempt wrote many files.
    WideWrite(lock::WideWrite) = "wide_write" by |e| e.task.to_string(),
    /// A lease was given back.
    LockReleased(lock::LockReleased) = "lock_released" by |e| e.lease.to_string(),
    /// Leases live on.
    LockRenewed(lock::LockRenewed) = "lock_renewed" by |e| e.actor.to_string(),
    /// A lease's time was over.
    LockExpired(lock::LockExpired) = "lock_expired" by |e| e.lease.to_string(),
    /// A person ended a lease.
    LockBroken(lock::LockBroken) = "lock_broken" by |e| e.lease.to_string(),
    /// A task joined the queue.
    TaskAdded(task::TaskAdded) = "task_added" by |e| e.task.to_string(),
    /// A task was changed.
    TaskEdited(task::TaskEdited) = "task_edited" by |e| e.task.to_string(),
    /// Bids are taken.
    AuctionOpened(task::AuctionOpened) = "auction_opened" by |e| e.task.to_string(),
    /// No bid could win.
    AuctionLapsed(task::AuctionLapsed) = "auction_lapsed" by |e| e.task.to_string(),
    /// A task stands in the queue for its paths.
    PathsQueued(task::PathsQueued) = "paths_queued" by |e| e.task.to_string(),
    /// It stands there no more.
    PathsLeft(task::PathsLeft) = "paths_left" by |e| e.task.to_string(),
    /// An agent won.
    TaskAwarded(task::TaskAwarded) = "task_awarded" by |e| e.task.to_string(),
    /// It began.
    TaskStarted(task::TaskStarted) = "task_started" by |e| e.task.to_string(),
    /// It came to another phase, saved its work, or told its tool's session.
    TaskProgressed(task::TaskProgressed) = "task_progressed" by |e| e.task.to_string(),
    /// A verification ended.
    TaskVerified(task::TaskVerified) = "task_verified" by |e| e.task.to_string(),
    /// A plan waits for a person.
    PlanProposed(plan::PlanProposed) = "plan_proposed" by |e| e.task.to_string(),
    /// A goal is planned.
    TaskPlanned(plan::TaskPlanned) = "task_planned" by |e| e.task.to_string(),
    /// A reviewer judged.
    TaskReviewed(task::TaskReviewed) = "task_reviewed" by |e| e.task.to_string(),
    /// An agent is to look at another's work.
    ReviewAssigned(task::ReviewAssigned) = "review_assigned" by |e| e.task.to_string(),
    /// A reviewer is free again without a verdict.
    ReviewLapsed(task::ReviewLapsed) = "review_lapsed" by |e| e.task.to_string(),
    /// The worker asked.
    TaskAsked(task::TaskAsked) = "task_asked" by |e| e.task.to_string(),
    /// A question was answered.
    TaskAnswered(task::TaskAnswered) = "task_answered" by |e| e.task.to_string(),
    /// Somebody said something to the worker.
    TaskSaid(task::TaskSaid) = "task_said" by |e| e.task.to_string(),
    /// A task is held.
    TaskPaused(task::TaskPaused) = "task_paused" by |e| e.task.to_string(),
    /// It goes on.
    TaskResumed(task::TaskResumed) = "task_resumed" by |e| e.task.to_string(),
    /// Something stands in a task's way.
    TaskBlocked(task::TaskBlocked) = "task_blocked" by |e| e.task.to_string(),
    /// It is out of the way.
    TaskUnblocked(task::TaskUnblocked) = "task_unblocked" by |e| e.task.to_string(),
    /// An attempt waits for its turn to land.
    LandQueued(task::LandQueued) = "land_queued" by |e| e.task.to_string(),
    /// The wait ended without a turn.
    LandWithdrawn(task::LandWithdrawn) = "land_withdrawn" by |e| e.task.to_string(),
    /// It has the turn.
    LandBegan(task::LandBegan) = "land_began" by |e| e.task.to_string(),
    /// The turn ended.
    LandEnded(task::LandEnded) = "land_ended" by |e| e.task.to_string(),
    /// A task is done, proven and landed.
    TaskCompleted(task::TaskCompleted) = "task_completed" by |e| e.task.to_string(),
    /// An attempt ended without landing.
    AttemptEnded(task::AttemptEnded) = "attempt_ended" by |e| e.task.to_string(),
    /// A task was ended for good.
    TaskCancelled(task::TaskCancelled) = "task_cancelled" by |e| e.task.to_string(),
    /// An ended task is back in the queue.
    TaskRetried(task::TaskRetried) = "task_retried" by |e| e.task.to_string(),
}

/// A live notice: an event as JSON on `devmesh.<mesh>.event.<kind>.<key>`. Best effort; a reader
/// that sees a gap in `seq` reads the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// The record it is part of.
    pub seq: u64,
    /// When that was decided.
    pub at: crate::time::At,
    /// Who acted.
    pub actor: crate::id::ActorId,
    /// What happened.
    pub event: Event,
}
