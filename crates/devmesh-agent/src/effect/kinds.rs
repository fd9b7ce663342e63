//! What `step` asks for, as plain values.

use std::collections::{BTreeMap, BTreeSet};

use devmesh_protocol::command::agent::Join;
use devmesh_protocol::command::mesh::NoteShare;
use devmesh_protocol::command::task::Flow;
use devmesh_protocol::event::TextRef;
use devmesh_protocol::{SessionId, TaskId, Verb};

use crate::prompt::Lore;
use crate::view::{Job, Key, Work};

/// Something to be done outside. Each that has an answer comes back as one `Input`.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Join the mesh.
    Join {
        /// Under this session.
        session: SessionId,
        /// As this.
        join: Join,
    },
    /// Forget the session and begin another.
    RenewSession(SessionId),
    /// Send a heartbeat.
    Beat {
        /// Of this session.
        session: SessionId,
        /// The highest `seq` seen.
        seen: u64,
    },
    /// Leave the mesh, then end.
    Leave {
        /// Under this session.
        session: SessionId,
    },
    /// Send again what an earlier process did not get answered.
    Resend,
    /// Look for attempts of this session and for open auctions.
    Reconcile,
    /// Look at the task that the mesh says this session works on or reviews.
    FindWork(TaskId),
    /// Ask what the leases of the session are for.
    LookAtLeases(SessionId),
    /// Look at a task whose auction is open, to see whether it can be done here.
    LookAt(TaskId),
    /// Bid for it.
    Bid {
        /// Under this session.
        session: SessionId,
        /// The task.
        task: TaskId,
        /// The score by terms.
        score: BTreeMap<String, i64>,
    },
    /// Say that it cannot be done here.
    Decline {
        /// Under this session.
        session: SessionId,
        /// The task.
        task: TaskId,
        /// Why not.
        why: String,
    },
    /// Look up what an awarded task is about.
    LookUp {
        /// The attempt.
        key: Key,
        /// The record of its award: what is looked up must not be older.
        seen: u64,
    },
    /// Send a command about the attempt until it is answered.
    Send {
        /// The attempt.
        key: Key,
        /// Under this session.
        session: SessionId,
        /// The command.
        verb: Box<Verb>,
    },
    /// Send a command whose answer changes nothing.
    Tell {
        /// Under this session.
        session: SessionId,
        /// The command.
        verb: Box<Verb>,
    },
    /// Put commands that end something on disk, then send them until they are answered.
    Post {
        /// The attempt.
        key: Key,
        /// Under this session.
        session: SessionId,
        /// The commands, in order.
        verbs: Vec<Verb>,
    },
    /// Make a slot ready and bring the last save into it.
    Prepare {
        /// The attempt.
        key: Key,
        /// What is to be done.
        job: Box<Job>,
        /// What all work to, for the prompt.
        lore: Lore,
    },
    /// Make a slot ready for planning a goal, and the question about it.
    PreparePlan {
        /// The attempt.
        key: Key,
        /// What is to be planned.
        job: Box<Job>,
        /// What all work to, for the prompt.
        lore: Lore,
    },
    /// Verify the base in the slot, unless that is known.
    ProveBase {
        /// The attempt.
        key: Key,
    },
    /// Run the tool.
    Run {
        /// The attempt.
        key: Key,
        /// What it is told.
        prompt: String,
        /// The session to continue.
        session: Option<String>,
    },
    /// Stop the tool where it stands.
    Freeze(Key),
    /// Let it go on.
    Thaw(Key),
    /// End it; its end comes as an input.
    StopTool(Key),
    /// Save the worktree.
    Save(Key),
    /// Take what has been made.
    Capture {
        /// The attempt.
        key: Key,
        /// Paths that must be free of conflict markers.
        conflicts: Vec<String>,
    },
    /// Bring another's work into a slot, to be looked at.
    PrepareReview {
        /// The attempt that made it.
        key: Key,
        /// The tree that is to be judged.
        tree: String,
    },
    /// Stop the tool that only looks, or plans; give its slot back as it was.
    Vacate(Key),
    /// Bring in what others have landed on the paths of the work.
    Refresh {
        /// The attempt.
        key: Key,
        /// What has been made.
        work: Work,
    },
    /// Verify it.
    Verify {
        /// The attempt.
        key: Key,
        /// What has been made.
        work: Work,
    },
    /// Land it: the attempt has the turn.
    Land {
        /// The attempt.
        key: Key,
        /// What is landed, and under which conditions.
        order: Box<LandOrder>,
    },
    /// Publish it without the merge queue.
    Publish {
        /// The attempt.
        key: Key,
        /// What is to be done.
        job: Box<Job>,
        /// What has been made.
        work: Work,
        /// As what.
        flow: Flow,
        /// The tool's final message, for the commit.
        message: String,
    },
    /// Put the work on another commit.
    Rebase {
        /// The attempt.
        key: Key,
        /// What has been made.
        work: Work,
        /// The commit.
        onto: String,
    },
    /// Tell others what the tool has learned.
    ShareNotes {
        /// Under this session.
        session: SessionId,
        /// What it has learned.
        notes: Vec<NoteShare>,
    },
    /// Read what people have said about the task beyond the first so many.
    ReadSaid {
        /// The attempt.
        key: Key,
        /// So many are known.
        known: usize,
    },
    /// Read the plan and say so.
    ReadFramework {
        /// Under this session.
        session: SessionId,
        /// Its version.
        version: u64,
        /// Its text.
        text: TextRef,
    },
    /// Stop whatever is being done for the attempt; its slot stays.
    Halt(Key),
    /// Stop the attempt's tool, save its work, give its slot back.
    Drop(Key),
    /// Give its slot back; its work has landed and its saves are forgotten.
    Finish(Key),
    /// End the process.
    Exit,
}

/// What a turn needs to know.
#[derive(Debug, Clone)]
pub struct LandOrder {
    /// What is to be done.
    pub job: Job,
    /// What has been made.
    pub work: Work,
    /// The turn's token.
    pub turn: u64,
    /// The target's head as the log knows it.
    pub head: Option<String>,
    /// Paths that are leased.
    pub leased: BTreeSet<String>,
    /// Until when the leases live for sure, on the process's clock.
    pub until_ms: u64,
    /// The tool's final message, for the commit.
    pub message: String,
}
