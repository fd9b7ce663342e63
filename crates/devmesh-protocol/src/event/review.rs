//! Events of reviews.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mesh::TextRef;
use crate::command::agent::Needs;
use crate::command::task::{Judgement, Reviewed};
use crate::id::{ActorId, HostId, SessionId, TaskId};
use crate::time::At;

/// A reviewer judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskReviewed {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// Plan or diff.
    pub what: Reviewed,
    /// The verdict.
    pub verdict: Judgement,
    /// What the worker is to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comments: Option<TextRef>,
    /// The reviewer.
    pub by: ActorId,
}

/// An agent is to look at the work of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewAssigned {
    /// Which task.
    pub task: TaskId,
    /// Whose work: the attempt that made it.
    pub attempt: u32,
    /// Who is to look.
    pub reviewer: ActorId,
    /// Under which session.
    pub session: SessionId,
    /// On which host.
    pub host: HostId,
    /// What is reserved there.
    pub needs: Needs,
    /// The GPU it is reserved on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<u32>,
    /// The tree that is to be judged.
    pub tree: String,
    /// Until when a verdict is waited for.
    pub deadline: At,
}

/// A reviewer is free again without a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewLapsed {
    /// Which task.
    pub task: TaskId,
    /// Who was to look.
    pub reviewer: ActorId,
    /// Why.
    pub why: ReviewLapse,
}

/// Why a review came to nothing.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ReviewLapse {
    /// No verdict came in time.
    TimedOut,
    /// The reviewer could not come to one.
    Abstained,
    /// Its session ended.
    SessionEnded,
    /// Somebody else has judged, or the task has ended: no verdict is needed any more.
    NotNeeded,
}
