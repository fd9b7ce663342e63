//! Everything that the process reacts to: one closed enum, read by one `select!`.

use std::collections::BTreeSet;
use std::time::Duration;

use devmesh_bus::notice::Notices;
use devmesh_protocol::event::Notice;
use devmesh_protocol::report::BeatReply;
use devmesh_protocol::view::{LeaseView, RepoView, TaskView};
use devmesh_protocol::{Rejection, SessionId, TaskId};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Now};
use crate::dialect::Fact;
use crate::error::Error;
use crate::git::Change;
use crate::land::{Landing, Seen};
use crate::process::EndCause;
use crate::verify::Verdict;
use crate::view::{Job, Key, Place, Work};

/// One thing that happened, with its time.
#[derive(Debug)]
pub struct Timed {
    /// When it was taken up.
    pub now: Now,
    /// What.
    pub input: Input,
}

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// Time passed.
    Tick,
    /// The process is to end.
    Shutdown,
    /// The coordinator answered the join.
    Joined {
        /// Of this session.
        session: SessionId,
        /// How.
        answer: Answer,
    },
    /// Another session was begun.
    SessionRenewed(SessionId),
    /// A beat was answered, or not.
    Beaten {
        /// When it was sent, on the process's clock.
        sent_ms: u64,
        /// Of this session.
        session: SessionId,
        /// The answer.
        answer: Option<BeatReply>,
    },
    /// The session was left.
    Left,
    /// An event's live notice.
    Noticed(Box<Notice>),
    /// The tasks that may concern this agent.
    Reconciled(Vec<TaskView>),
    /// The leases of a session were looked at.
    LeasesSeen {
        /// The session.
        session: SessionId,
        /// What it holds.
        seen: LeasesSeen,
    },
    /// A task whose auction is open was looked at.
    LookedAt {
        /// The task.
        task: TaskId,
        /// How well it can be done here, or why it cannot.
        sight: Result<Sight, Unable>,
    },
    /// A task was looked up.
    LookedUp {
        /// The attempt.
        key: Key,
        /// What is to be done, or why that cannot be.
        job: Result<Box<Job>, Unable>,
    },
    /// A command about the attempt was answered.
    Answered {
        /// The attempt.
        key: Key,
        /// The verb's name.
        verb: &'static str,
        /// How.
        answer: Answer,
    },
    /// The posted commands were answered; the first refusal, if any.
    Posted {
        /// The attempt.
        key: Key,
        /// The first refusal.
        refused: Option<Rejection>,
    },
    /// The slot is ready.
    Prepared {
        /// The attempt.
        key: Key,
        /// Where, and the work in it that may land as it is; or why not.
        place: Result<Box<Prepared>, Unable>,
    },
    /// A setup or verify command waits for a place among the builds of this host.
    BuildWaits {
        /// The attempt.
        key: Key,
        /// Who has the places.
        holders: Vec<String>,
    },
    /// The base was verified.
    BaseProven {
        /// The attempt.
        key: Key,
        /// The failure's tail, where it failed.
        red: Option<String>,
    },
    /// The tool told something.
    Told {
        /// The attempt.
        key: Key,
        /// What.
        fact: Fact,
    },
    /// The tool ended.
    ToolEnded {
        /// The attempt.
        key: Key,
        /// How.
        end: ToolEnd,
    },
    /// The work was saved, where there was something new.
    Saved {
        /// The attempt.
        key: Key,
        /// The commit.
        commit: Option<String>,
    },
    /// The work was captured.
    Captured {
        /// The attempt.
        key: Key,
        /// What has been made, and what stands in its way.
        captured: Result<Captured, String>,
    },
    /// Another's work stands in a slot, to be looked at.
    ReviewPrepared {
        /// The attempt that made it.
        key: Key,
        /// What the tool is asked, or why it cannot be.
        prompt: Result<String, String>,
    },
    /// What others have landed was looked at.
    Refreshed {
        /// The attempt.
        key: Key,
        /// What came of it; none where nothing of it meets the work.
        fresh: Result<Option<Refreshed>, String>,
    },
    /// The work was verified.
    Verified {
        /// The attempt.
        key: Key,
        /// How that ended, or why it could not be run.
        verdict: Result<Verdict, String>,
    },
    /// The turn ended.
    Landed {
        /// The attempt.
        key: Key,
        /// How, and who else moved the branch; or why git refused.
        landing: Result<(Landing, Seen), String>,
        /// Trees of the commits found, in their order.
        trees: Vec<String>,
    },
    /// What an earlier process left in the outbox has been answered.
    Resent,
    /// The work was published without the merge queue.
    Published {
        /// The attempt.
        key: Key,
        /// Or why not.
        done: Result<(), String>,
    },
    /// The work stands on another commit.
    Rebased {
        /// The attempt.
        key: Key,
        /// The paths in conflict.
        conflicts: Result<Vec<String>, String>,
    },
    /// What people have said beyond what was known.
    Said {
        /// The attempt.
        key: Key,
        /// The words.
        words: Vec<String>,
    },
    /// The plan was read.
    FrameworkRead(String),
    /// The attempt's tool is stopped, its work saved, its slot given back.
    Dropped(Key),
}

/// A coordinator's answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It happened.
    Done {
        /// The record.
        seq: Option<u64>,
        /// The verb's result.
        result: Value,
    },
    /// It was refused.
    Refused(Rejection),
}

/// What a session holds, by the log.
#[derive(Debug, Clone, Default)]
pub struct LeasesSeen {
    /// Its leases.
    pub leases: Vec<LeaseView>,
    /// The tasks among those they are for that it works on, or that cannot be read.
    pub awarded: BTreeSet<TaskId>,
}

/// How well a task can be done here.
#[derive(Debug, Clone)]
pub struct Sight {
    /// Its repository.
    pub repo: RepoView,
    /// A used worktree of that repository stands ready.
    pub warm: bool,
    /// The commit that it would start from.
    pub base_commit: String,
}

/// Why a task cannot be done here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unable {
    /// There is nothing to start from.
    Base(String),
    /// Its repository, or room for a worktree of it, is not on this host.
    Place(String),
    /// The repository's own setup command fails.
    Setup(String),
    /// The mesh was asked in vain: nothing is known.
    Unheard(String),
}

impl Unable {
    /// Why there is no worktree to work in.
    pub(crate) fn placed(error: &Error) -> Self {
        match error {
            Error::Setup { .. } => Self::Setup(error.chain()),
            error => Self::Place(format!("no worktree can be made: failed to {}", error.chain())),
        }
    }

    /// The reason, in words.
    pub fn why(&self) -> &str {
        match self {
            Unable::Base(why) | Unable::Place(why) | Unable::Setup(why) | Unable::Unheard(why) => {
                why
            }
        }
    }
}

/// A slot made ready.
#[derive(Debug)]
pub struct Prepared {
    /// Where.
    pub place: Place,
    /// The work restored in it.
    pub work: Option<Work>,
    /// How much of what was said is in the prompt.
    pub said: usize,
    /// Paths in which an attempt before left conflict markers.
    pub conflicts: Vec<String>,
}

/// Work on what others have landed.
#[derive(Debug, Clone)]
pub struct Refreshed {
    /// The commit below it now.
    pub base: String,
    /// The paths in conflict.
    pub conflicts: Vec<String>,
    /// What it is now, where nothing is in conflict.
    pub captured: Captured,
}

/// How a tool's run ended.
#[derive(Debug, Clone)]
pub struct ToolEnd {
    /// Why.
    pub cause: EndCause,
    /// Its exit code.
    pub exit: Option<i32>,
    /// Whether its dialect marks the end of a success.
    pub marks_end: bool,
    /// The end of its stderr, or why it could not be started.
    pub tail: String,
    /// Its text is that of a limit.
    pub rate_limited: bool,
    /// Its text asks for a sign-in.
    pub sign_in: bool,
    /// The session that it was to continue is not there.
    pub lost_session: bool,
    /// When its limit ends, as far as its words tell, wall time.
    pub reset_at_ms: Option<u64>,
}

/// What has been made.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    /// The work; none where nothing was changed.
    pub work: Option<Work>,
    /// Paths that still hold conflict markers.
    pub unresolved: Vec<String>,
    /// Paths that no lease can name, as they can be shown.
    pub unnamable: Vec<String>,
    /// Folders with a git repository of their own that is no submodule.
    pub nested: Vec<String>,
    /// Submodules with changes that would not land.
    pub submodules: Vec<String>,
    /// What is not as it was in the repository's configuration and hooks.
    pub change: Change,
}

/// How often time is looked at.
const TICK: Duration = Duration::from_millis(250);

/// All sources of input.
pub(crate) struct Inputs {
    clock: Clock,
    results: mpsc::Receiver<Input>,
    notices: Option<Notices>,
    ticks: Interval,
    shutdown: Option<CancellationToken>,
}

impl Inputs {
    pub(crate) fn new(
        clock: Clock,
        results: mpsc::Receiver<Input>,
        notices: Notices,
        shutdown: CancellationToken,
    ) -> Self {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { clock, results, notices: Some(notices), ticks, shutdown: Some(shutdown) }
    }

    /// The next input, with the time at which it is taken up.
    pub(crate) async fn next(&mut self) -> Timed {
        let input = loop {
            let (notices, shutdown) = (&mut self.notices, &self.shutdown);
            tokio::select! {
                () = until(shutdown) => {
                    self.shutdown = None;
                    break Input::Shutdown;
                }
                Some(result) = self.results.recv() => break result,
                notice = heard(notices) => match notice {
                    Some(notice) => break Input::Noticed(Box::new(notice)),
                    // The connection is closed for good; beats will tell what follows.
                    None => self.notices = None,
                },
                _ = self.ticks.tick() => break Input::Tick,
            }
        };
        Timed { now: self.clock.now(), input }
    }
}

async fn until(shutdown: &Option<CancellationToken>) {
    match shutdown {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}

async fn heard(notices: &mut Option<Notices>) -> Option<Notice> {
    match notices {
        Some(notices) => notices.next().await,
        None => std::future::pending().await,
    }
}
