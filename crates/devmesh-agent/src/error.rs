//! What can go wrong around a coding CLI, its worktree and git: one error for the crate.

use std::path::PathBuf;

/// An operation that failed; the text fits behind "failed to".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Git ran and said no.
    #[error("run git {command} (exit {code}): {tail}")]
    Git {
        /// The git command without its configuration flags.
        command: String,
        /// Its exit code; -1 when a signal ended it.
        code: i32,
        /// The end of what it wrote to stderr.
        tail: String,
    },
    /// A ref cannot be made where another one is.
    #[error("make a branch: {reason}")]
    RefInTheWay {
        /// Which, and what to do about it.
        reason: String,
    },
    /// Git did not end in time and was ended.
    #[error("run git {command} within {limit_ms} ms")]
    GitTime {
        /// The git command without its configuration flags.
        command: String,
        /// The limit it ran into.
        limit_ms: u64,
    },
    /// Git wrote more than anybody should read.
    #[error("read the output of git {command}: more than {max_bytes} bytes")]
    GitOutput {
        /// The git command without its configuration flags.
        command: String,
        /// The bound.
        max_bytes: usize,
    },
    /// Git answered in a shape this code does not know.
    #[error("understand what git {command} answered: {answer}")]
    GitAnswer {
        /// The git command without its configuration flags.
        command: String,
        /// The beginning of the answer.
        answer: String,
    },
    /// Git fails in a whole repository at a worktree that is not devmesh's to mend.
    #[error(
        "use the repository, in which a killed git has left a worktree half made; mend it by: \
         echo ../.. > '{}/commondir'",
        entry.display()
    )]
    BrokenWorktree {
        /// Its folder in the repository's store.
        entry: PathBuf,
    },
    /// A file or process operation failed.
    #[error("{doing}")]
    Io {
        /// The operation, with the path it was about.
        doing: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The folder for worktrees lies inside a repository, where tools would find its files.
    #[error(
        "keep worktrees in {}: it lies inside the repository {}",
        root.display(),
        repo.display()
    )]
    RootInsideRepo {
        /// The folder asked for.
        root: PathBuf,
        /// The repository around it.
        repo: PathBuf,
    },
    /// Every slot is taken.
    #[error("find a free worktree slot among {limit} in {}", root.display())]
    NoSlot {
        /// The folder of the slots.
        root: PathBuf,
        /// How many there may be.
        limit: u16,
    },
    /// The setup command of the repository failed.
    #[error("set up the worktree (exit {exit}): {tail}")]
    Setup {
        /// Its exit code; -1 when a signal or the time limit ended it.
        exit: i32,
        /// The end of its output.
        tail: String,
    },
    /// A tool profile cannot be read or used.
    #[error("use the tool profile {profile}: {reason}")]
    Profile {
        /// Its name or file.
        profile: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of our own holds something else than expected.
    #[error("read {}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The bus refused or was not reached.
    #[error("{doing}")]
    Bus {
        /// The operation.
        doing: String,
        /// What the bus said.
        #[source]
        source: Box<devmesh_bus::Error>,
    },
    /// What a repository on another host was asked for is not done.
    #[error("reach {repo} on the host {host}: {why}")]
    Keeper {
        /// The repository.
        repo: String,
        /// The host on which it lies.
        host: String,
        /// What is wrong there.
        why: String,
    },
    /// More is new than a bundle may bring.
    #[error("send {bytes} bytes of a repository to another host: {max_bytes} are allowed")]
    BundleTooLarge {
        /// What it came to.
        bytes: u64,
        /// The bound.
        max_bytes: u64,
    },
    /// Another process works as this actor with this state.
    #[error("run as {actor}: another process does, it holds {}", lock.display())]
    Running {
        /// The actor.
        actor: String,
        /// The file it holds.
        lock: PathBuf,
    },
    /// What the process was started with does not fit together.
    #[error("start the agent: {reason}")]
    Config {
        /// Every problem found.
        reason: String,
    },
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps an I/O error with the operation it belongs to.
    pub fn io(doing: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { doing: doing.into(), source }
    }

    /// The error with its causes in one line, as people and logs read it.
    pub(crate) fn chain(&self) -> String {
        devmesh_bus::chain(self)
    }

    /// Whether the same may go well a moment later: somebody holds a lock, a disk is full.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Git { .. } | Self::Io { .. } | Self::NoSlot { .. })
    }
}

/// Gives I/O results the operation they belong to.
pub(crate) trait Doing<T> {
    /// Names the operation; only evaluated on failure.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::io(what(), source))
    }
}
