//! Everything that must hold before a change lands, the quick checks first.

use std::process::Command;

use crate::cargo::{cargo, has_subcommand, run};
use crate::error::Result;
use crate::{schemas, suite, tidy};

/// Runs the checks, then the tests unless told otherwise; ends at the first that fails.
pub(crate) fn ci(with_tests: bool) -> Result<()> {
    run(cargo(&["fmt", "--all", "--check"]))?;
    tidy::tidy()?;
    run(clippy(&["--workspace"]))?;
    // What only a bench beside other systems needs is built by nothing else.
    run(clippy(&["--package", "xtask", "--features", "peers"]))?;
    schemas::schemas(schemas::Mode::Check)?;
    run(docs())?;
    if has_subcommand("deny") {
        // Advisories are fetched from the network and change by the day, so they are no gate.
        run(cargo(&["deny", "check", "bans", "licenses", "sources"]))?;
    } else {
        eprintln!("cargo-deny is not installed; licences and sources are not checked");
    }
    if with_tests {
        suite::test(&suite::Args::default())?;
    }
    Ok(())
}

fn clippy(packages: &[&str]) -> Command {
    let mut command = cargo(&["clippy", "--all-targets", "--locked"]);
    command.args(packages).args(["--", "-D", "warnings"]);
    command
}

fn docs() -> Command {
    let mut command = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}
