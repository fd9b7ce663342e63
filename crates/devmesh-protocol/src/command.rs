//! Commands: what an actor wants to happen. `verb` stands in the subject, everything else in the
//! body: `{"id": "…", "session": "…", …the verb's own fields}`.

pub mod agent;
pub mod internal;
pub mod lock;
pub mod mesh;
pub mod task;

mod bounds;
mod parse;
mod straight;

pub use parse::Encoding;
pub(crate) use parse::{object, take, unread};
use serde::{Deserialize, Serialize};

use crate::id::{ActorId, CommandId, SessionId};

/// One command of one actor.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The attempt's name, minted once where the intent arose. The same id is the same attempt.
    pub id: CommandId,
    /// Who acts, as the credential says.
    pub actor: ActorId,
    /// The agent's session; people need none.
    pub session: Option<SessionId>,
    /// What is to happen.
    pub verb: Verb,
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $variant:ident($body:ty) = $name:literal,)*) => {
        /// Every verb with its body. Closed: a new verb breaks each place that must think of it.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Verb {
            $($(#[$doc])* $variant($body),)*
            /// What the coordinator itself puts in: time, silence, measured capacity.
            Internal(internal::Internal),
        }

        impl Verb {
            /// The names of all verbs that can be sent.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            /// The name, as in the subject.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Verb::$variant(_) => $name,)*
                    Verb::Internal(internal) => internal.name(),
                }
            }

            /// The body as JSON, without `id` and `session`.
            pub(crate) fn body(&self) -> Result<serde_json::Value, serde_json::Error> {
                match self {
                    $(Verb::$variant(body) => serde_json::to_value(body),)*
                    Verb::Internal(body) => serde_json::to_value(body),
                }
            }

            /// Reads the body of the verb of that name; `None` where there is no such verb.
            pub(crate) fn from_body(
                name: &str,
                body: serde_json::Value,
            ) -> Option<Result<Verb, serde_path_to_error::Error<serde_json::Error>>> {
                match name {
                    $($name => Some(serde_path_to_error::deserialize(body).map(Verb::$variant)),)*
                    _ => None,
                }
            }

            /// Reads the body of the verb of that name from the fields of an object.
            pub(crate) fn from_fields<'de, A: serde::de::MapAccess<'de>>(
                name: &str,
                fields: A,
            ) -> Result<Verb, A::Error> {
                let body = serde::de::value::MapAccessDeserializer::new(fields);
                match name {
                    $($name => <$body>::deserialize(body).map(Verb::$variant),)*
                    _ => Err(serde::de::Error::custom("no such verb")),
                }
            }

            /// The JSON schemas of all bodies, by verb.
            pub(crate) fn schemas() -> Vec<(&'static str, schemars::Schema)> {
                vec![$(($name, schemars::schema_for!($body)),)*]
            }
        }
    };
}

verbs! {
    /// An agent says who it is and what it can do.
    AgentJoin(agent::Join) = "agent.join",
    /// It goes: leases released, task back in the queue.
    AgentLeave(agent::Leave) = "agent.leave",
    /// It finishes what it has and gets nothing new.
    AgentDrain(agent::Drain) = "agent.drain",
    /// The administrator names an actor and its role.
    ActorAdd(agent::ActorAdd) = "actor.add",
    /// The administrator ends an actor: its session ends, its id is never honoured again.
    ActorEnd(agent::ActorEnd) = "actor.end",
    /// A repository joins the mesh.
    RepoAdd(mesh::RepoAdd) = "repo.add",
    /// A person's checkout has changes that are not committed.
    CheckoutReport(mesh::CheckoutReport) = "checkout.report",
    /// A task joins the queue.
    TaskAdd(task::Add) = "task.add",
    /// A bid in an open auction.
    TaskBid(task::Bid) = "task.bid",
    /// The awarded agent begins.
    TaskStart(task::Start) = "task.start",
    /// Facts on the way: phase, session of the tool, use, saves.
    TaskProgress(task::Progress) = "task.progress",
    /// The outcome of a verification.
    TaskVerified(task::Verified) = "task.verified",
    /// The landed task is done.
    TaskComplete(task::Complete) = "task.complete",
    /// The attempt failed.
    TaskFail(task::Fail) = "task.fail",
    /// The attempt ends without a result; the task goes back to the queue.
    TaskAbandon(task::Abandon) = "task.abandon",
    /// Holds a task.
    TaskPause(task::Reasoned) = "task.pause",
    /// Lets a held task go on.
    TaskResume(task::Reasoned) = "task.resume",
    /// Ends a task for good.
    TaskCancel(task::Reasoned) = "task.cancel",
    /// Puts an ended task back into the queue.
    TaskRetry(task::Reasoned) = "task.retry",
    /// Changes a task that is not running.
    TaskEdit(task::Edit) = "task.edit",
    /// Asks for the inverse of a landed task.
    TaskRevert(task::Reasoned) = "task.revert",
    /// Says something to the task's worker, for its next turn.
    TaskSay(task::Say) = "task.say",
    /// The worker asks a person.
    TaskAsk(task::Ask) = "task.ask",
    /// A person answers.
    TaskAnswer(task::Answer) = "task.answer",
    /// A verdict on a plan or a diff.
    TaskReview(task::Review) = "task.review",
    /// Asks for a turn of the branch's merge queue.
    LandBegin(task::LandBegin) = "land.begin",
    /// Ends the turn.
    LandEnd(task::LandEnd) = "land.end",
    /// Asks for leases.
    LockAcquire(lock::Acquire) = "lock.acquire",
    /// Gives leases back, or withdraws a wait.
    LockRelease(lock::Release) = "lock.release",
    /// Keeps leases alive.
    LockRenew(lock::Renew) = "lock.renew",
    /// Changes a lease's mode in place.
    LockConvert(lock::Convert) = "lock.convert",
    /// A person ends somebody's lease.
    LockBreak(lock::Break) = "lock.break",
    /// The architect publishes the plan text.
    FrameworkPublish(mesh::FrameworkPublish) = "framework.publish",
    /// An agent has read it.
    FrameworkRead(mesh::FrameworkRead) = "framework.read",
    /// Knowledge shared with the mesh.
    NoteShare(mesh::NoteShare) = "note.share",
    /// A setting of the mesh.
    SettingSet(mesh::SettingSet) = "setting.set",
    /// Stops everything.
    MeshPause(mesh::Pause) = "mesh.pause",
    /// Lets everything go on.
    MeshResume(mesh::Resume) = "mesh.resume",
    /// Forgets the bytes of a free text; the record that names it stays.
    Redact(mesh::Redact) = "redact",
}

#[cfg(test)]
mod tests;
