//! A stand-in for a coding CLI: it does what the fenced blocks of its prompt say.
//!
//! The prompt comes on stdin or from a file. Two kinds of fenced block are read, in order:
//!
//! - `sh` is run by `sh -e` in the working directory, one process for each block;
//! - `scripted` holds one instruction a line: `say TEXT`, `sleep MS`, `hang`, `fail TEXT`,
//!   `rate-limit SECONDS`, `usage INPUT OUTPUT COST_USD`.
//!
//! `attempt=N`, `attempt=N+` or `attempt=N-M` after the kind keeps a block for those attempts;
//! the attempt is `DEVMESH_ATTEMPT`, 1 without it.
//!
//! # The JSONL dialect
//! One object a line on stdout, told apart by `type`:
//!
//! | type | fields | when |
//! |---|---|---|
//! | `started` | `session`, `attempt`, `resumed` | first line |
//! | `message` | `text` | progress in words |
//! | `command` | `command`, `exit_code`, `output`, `ms` | a block has ended |
//! | `stray` | `pid` | a process was left behind on purpose |
//! | `usage` | `input_tokens`, `output_tokens`, `cost_usd` | once, before the end |
//! | `done` | `message` | last line of a success, exit 0 |
//! | `throttled` | `retry_ms` | the provider's limit is reached |
//! | `failed` | `code`, `message`, `status` | last line of a failure, exit 1 |
//!
//! `code` is `error`, `command` or `rate_limit`; `status` is the provider's HTTP status, null
//! where it has nothing to do with it.

mod run;
mod script;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::run::{Ending, Options, run};
pub use self::script::{Block, Instruction, blocks};

/// One line of the dialect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// The run has begun.
    Started {
        /// The session, to resume by.
        session: String,
        /// Which attempt this is.
        attempt: u32,
        /// Whether the session was given.
        resumed: bool,
    },
    /// Progress in words.
    Message {
        /// The words.
        text: String,
    },
    /// A block has ended.
    Command {
        /// The block.
        command: String,
        /// Its exit code; −1 when a signal ended it.
        exit_code: i32,
        /// The end of what it printed, both streams.
        output: String,
        /// How long it took.
        ms: u64,
    },
    /// A process was left behind on purpose.
    Stray {
        /// Its id.
        pid: u32,
    },
    /// What the run claims to have used.
    Usage {
        /// Tokens read.
        input_tokens: u64,
        /// Tokens written.
        output_tokens: u64,
        /// Dollars.
        cost_usd: f64,
    },
    /// The provider's limit is reached.
    Throttled {
        /// Milliseconds until it is worth another try.
        retry_ms: u64,
    },
    /// The end of a success.
    Done {
        /// The last message.
        message: String,
    },
    /// The end of a failure.
    Failed {
        /// `error`, `command` or `rate_limit`.
        code: String,
        /// What went wrong.
        message: String,
        /// The provider's HTTP status.
        status: Option<u16>,
    },
}

/// Where the built `devmesh-scripted` lies: named by `DEVMESH_SCRIPTED`, or in the target
/// directory that the running test was built into. Cargo builds it with this crate's own tests;
/// others run `cargo build -p devmesh-testkit --bins` first.
pub fn binary() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("DEVMESH_SCRIPTED") {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    let exe = std::env::current_exe().ok()?;
    exe.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(format!("devmesh-scripted{}", std::env::consts::EXE_SUFFIX)))
        .find(|path| path.is_file())
}
