//! The attempt that the agent works on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use devmesh_protocol::TaskId;
use devmesh_protocol::command::task::{Change, Kind, Receipt, Usage};
use devmesh_protocol::view::{RepoView, TaskView};

use crate::dialect::{Done, Ledger};
use crate::prompt::Learned;

/// Which attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its task.
    pub task: TaskId,
    /// Its number within the task.
    pub attempt: u32,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.task, self.attempt)
    }
}

/// An attempt from its award to its end.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Which.
    pub key: Key,
    /// The token of every command about it.
    pub token: u64,
    /// Where it is.
    pub phase: Phase,
    /// What is to be done, once looked up.
    pub job: Option<Job>,
    /// Where it is done, once there is a slot.
    pub place: Option<Place>,
    /// The tool's own session.
    pub tool_session: Option<String>,
    /// What is booked of the tool's session.
    pub ledger: Ledger,
    /// What was used in all.
    pub used: Usage,
    /// Retries so far.
    pub retries: u32,
    /// The last failure, to see whether asking again brought anything.
    pub failed_as: Option<String>,
    /// A failure being told to the coordinator.
    pub failure: Option<Failure>,
    /// What people have said and the tool has not read.
    pub news: Vec<String>,
    /// What the tool learns with its next turn, and needs no turn of its own.
    pub asides: Vec<String>,
    /// How much of what was said has been seen.
    pub said: usize,
    /// The tool's last word in this run.
    pub done: Option<Done>,
    /// All that the tool has said in this run, where it plans.
    pub words: String,
    /// The last thing the model said.
    pub last_message: String,
    /// What the tool wants others to know, by what it is about.
    pub learned: BTreeMap<String, Learned>,
    /// What has been made.
    pub work: Option<Work>,
    /// Paths that it holds a writing lease on.
    pub leased: BTreeSet<String>,
    /// The newest landing of another on a shared file that is brought in, by its record.
    pub brought_in: Option<u64>,
    /// Leases were granted since what others have landed was last looked at.
    pub unfresh: bool,
    /// Paths with conflict markers to be resolved.
    pub conflicts: Vec<String>,
    /// The evidence for the work.
    pub receipt: Option<Receipt>,
    /// The token of its turn to land.
    pub turn: Option<u64>,
    /// Its tool stands still.
    pub frozen: bool,
    /// When the work was last saved.
    pub saved_ms: u64,
    /// Since when landing is blocked, once time was looked at.
    pub blocked_ms: Option<u64>,
    /// It had started under an earlier process of this session.
    pub adopted: bool,
}

/// Where an attempt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The task is looked up.
    Looking,
    /// `task.start` is under way.
    Starting,
    /// The slot is made ready.
    Preparing,
    /// The base is verified.
    ProvingBase,
    /// The tool runs.
    Running,
    /// The work is captured.
    Capturing,
    /// Leases on what changed are asked for; those still to come.
    Leasing {
        /// Paths not yet asked for.
        rest: Vec<String>,
        /// How often the current ones were refused.
        refused: u32,
        /// It is verified already and goes on to land.
        verified: bool,
    },
    /// What others have landed on its paths is brought in.
    Refreshing,
    /// It is told that the work is about to be verified.
    Announcing,
    /// The work is verified.
    Verifying,
    /// The outcome is told.
    Telling,
    /// The plan is told.
    Proposing,
    /// A reviewer looks.
    Reviewing,
    /// It waits for its turn to land.
    Queueing,
    /// It lands.
    Landing,
    /// It is published without a turn.
    Publishing,
    /// A turn that did not land is given back; then this.
    Yielding(After),
    /// The work is put on what has landed meanwhile.
    Rebasing {
        /// What the tool is told, where there are no conflicts.
        prompt: String,
    },
    /// Something that only a person can change stands in the way of landing.
    Blocked,
    /// Its last commands are on their way.
    Ending,
    /// Tool stopped, work saved, slot given back.
    Dropping,
}

/// What follows a turn given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// The work goes onto that commit and back to the tool.
    Rebase {
        /// The commit.
        onto: String,
        /// What the tool is told, where there are no conflicts.
        prompt: String,
    },
    /// More leases, and another turn.
    Lease(Vec<String>),
    /// Another turn.
    Queue,
    /// The tool.
    Run,
    /// Nothing until somebody has looked.
    Wait,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Job {
    /// The task as it was when the attempt began.
    pub task: TaskView,
    /// Its repository.
    pub repo: RepoView,
    /// Where that lies on this host.
    pub repo_path: PathBuf,
    /// The commit that the worktree starts from.
    pub base_commit: String,
}

/// Where it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The worktree.
    pub worktree: PathBuf,
    /// The commit below the work.
    pub base: String,
    /// The first prompt.
    pub prompt: String,
    /// Work of an earlier attempt stands in it.
    pub continues: bool,
}

/// What has been made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The commit that holds it.
    pub commit: String,
    /// Its tree.
    pub tree: String,
    /// The commit below it.
    pub base: String,
    /// The paths that it changes.
    pub changed: Vec<String>,
    /// What it changes, file by file.
    pub change: Option<Change>,
}

/// A failure of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its class.
    pub class: String,
    /// What the model is told.
    pub hint: String,
    /// The end of the output behind it.
    pub tail: String,
    /// The same for two failures that differ in numbers only.
    pub fingerprint: String,
    /// No retry would mend it.
    pub hard: bool,
}

impl Attempt {
    /// An attempt just awarded.
    pub fn awarded(key: Key, token: u64) -> Self {
        Self {
            key,
            token,
            phase: Phase::Looking,
            job: None,
            place: None,
            tool_session: None,
            ledger: Ledger::default(),
            used: Usage::default(),
            retries: 0,
            failed_as: None,
            failure: None,
            news: Vec::new(),
            asides: Vec::new(),
            said: 0,
            done: None,
            words: String::new(),
            last_message: String::new(),
            learned: BTreeMap::new(),
            work: None,
            leased: BTreeSet::new(),
            brought_in: None,
            unfresh: false,
            conflicts: Vec::new(),
            receipt: None,
            turn: None,
            frozen: false,
            saved_ms: 0,
            blocked_ms: None,
            adopted: false,
        }
    }

    /// Whether a goal is planned, and nothing changed.
    pub fn plans(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.task.kind == Kind::Plan)
    }

    /// What was used, where anything is known.
    pub fn usage(&self) -> Option<Usage> {
        (self.used != Usage::default()).then_some(self.used)
    }
}
