//! Chores of the workspace, run as `cargo xtask CHORE`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to the person who runs it: data on stdout, talk on stderr"
)]

use std::error::Error as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod cargo;
mod ci;
mod demo;
mod error;
mod model;
mod schemas;
mod setup;
mod sim;
mod suite;
mod tidy;

/// Chores of the workspace.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand, Debug)]
enum Chore {
    /// Find or fetch what a fresh machine lacks.
    Setup(setup::Args),
    /// Show a mesh at work in a temporary folder, and check what came of it.
    Demo(demo::Args),
    /// Record the log of a mesh at work for replay/histories.
    History(demo::record::Args),
    /// Run all tests; the last line counts them.
    Test(suite::Args),
    /// Run every check of a change, then all tests.
    Ci {
        /// Leave the tests to `cargo xtask test`.
        #[arg(long)]
        checks_only: bool,
    },
    /// Explore every world of the model check in full, and find every deliberate bug.
    Model(model::Args),
    /// Check the rules of the tree that no other tool holds.
    Tidy,
    /// Write schemas/*.json from the types of devmesh-protocol.
    Schemas {
        /// Change nothing; fail if a file is not up to date.
        #[arg(long)]
        check: bool,
    },
    /// Simulate whole meshes from seeds, on all cores.
    Sim(sim::Args),
    /// Measure, each figure as a ratio to a floor measured in the same run.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Setup(args) => setup::setup(&args),
        Chore::Demo(args) => demo::demo(&args),
        Chore::History(args) => demo::record::record(&args),
        Chore::Test(args) => suite::test(&args),
        Chore::Ci { checks_only } => ci::ci(!checks_only),
        Chore::Model(args) => model::model(&args),
        Chore::Tidy => tidy::tidy(),
        Chore::Schemas { check: true } => schemas::schemas(schemas::Mode::Check),
        Chore::Schemas { check: false } => schemas::schemas(schemas::Mode::Write),
        Chore::Sim(args) => sim::sim(&args),
        Chore::Bench(args) => bench::bench(&args),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    eprintln!("error: failed to {error}");
    let mut cause = error.source();
    while let Some(source) = cause {
        eprintln!("  because: {source}");
        cause = source.source();
    }
    if let Some(hint) = error.hint() {
        eprintln!("hint: {hint}");
    }
    ExitCode::FAILURE
}
