//! The `devmesh` binary: command line, configuration, logging and exit codes.
//!
//! **Architecture invariant:** it mounts every process and decides nothing: what a command does is
//! to send a verb, ask a query, or start a process.
//!
//! **Architecture invariant:** data goes to stdout, talk to stderr, and nowhere else is printed.

mod agents;
mod cli;
mod config;
mod context;
mod error;
mod exit;
mod explain;
mod git;
mod host;
mod keys;
mod logging;
mod mesh;
mod output;
mod process;
mod state_dir;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use mimalloc::MiMalloc;

use crate::exit::Exit;

/// Commands are many small allocations with short lives, made and freed on one thread.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match catch_unwind(AssertUnwindSafe(|| cli::Cli::read()?.run())) {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(error)) => {
            for line in error.lines() {
                output::say(line);
            }
            error.exit().into()
        }
        Err(_) => {
            output::say("hint: this is a fault of devmesh itself; please report what stands above");
            Exit::Bug.into()
        }
    }
}
