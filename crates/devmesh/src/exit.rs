//! What the process's exit code says; scripts rely on it.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As asked.
    Ok,
    /// A fault of devmesh itself.
    Bug,
    /// The command line or a configuration is not right; nothing was done.
    Usage,
    /// The mesh refused.
    Rejected,
    /// The mesh, or what it needs, could not be reached.
    Unreachable,
    /// No answer came: it may have happened, or happen later.
    Unknown,
    /// It was tried and did not succeed.
    Failed,
    /// A person must look first.
    Person,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Bug => 1,
            Exit::Usage => 2,
            Exit::Rejected => 3,
            Exit::Unreachable => 4,
            Exit::Unknown => 5,
            Exit::Failed => 6,
            Exit::Person => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
