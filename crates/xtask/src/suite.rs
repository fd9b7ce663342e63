//! The whole test suite in one command, ended by one line that counts it.
//!
//! cargo-nextest runs the tests where it is installed (each in a process of its own), plain
//! `cargo test` where it is not. A test that finds its tool missing prints `SKIP: why` and returns;
//! both runners call that passed, the closing line calls it skipped.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::cargo::{cargo, has_subcommand, line_of};
use crate::error::{Error, Result};
use crate::setup;

mod libtest;
mod nextest;
mod tally;

#[cfg(test)]
mod tests;

use tally::{Reader, Tally};

/// What of the suite to run.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Args {
    /// Use plain `cargo test` even where cargo-nextest is installed.
    #[arg(long)]
    plain: bool,
    /// Passed on to the runner: a filter, `-p CRATE`, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Sets up what the tests need, runs them all, prints the closing line.
pub(crate) fn test(args: &Args) -> Result<()> {
    setup::nats_server(None)?;
    // Once, before the tests: each of those that run the programs would ask cargo again.
    crate::cargo::run(cargo(&["build", "-p", "devmesh", "-p", "devmesh-testkit", "--bins"]))?;
    let mut tally = Tally::default();
    for mut run in runs(args) {
        run.command.env("DEVMESH_TEST_PROGRAMS", crate::demo::built());
        tally.add(stream(&mut run)?);
    }
    println!("{tally}");
    if tally.failed == 0 { Ok(()) } else { Err(Error::Tests) }
}

/// Everything but what explores so much that it has to be optimised, and is built with deliberate
/// bugs inside, which nothing else may share.
const WORKSPACE: [&str; 5] =
    ["--workspace", "--exclude", "devmesh-model", "--exclude", "devmesh-sim"];
const OPTIMISED: [&str; 5] = ["--release", "-p", "devmesh-model", "-p", "devmesh-sim"];

struct Run {
    command: Command,
    reader: Box<dyn Reader>,
}

fn runs(args: &Args) -> Vec<Run> {
    // Cargo takes the whole workspace over the packages that are named beside it.
    let names_packages = args.rest.iter().any(|a| a.starts_with("-p") || a.starts_with("--pack"));
    let scopes: &[&[&str]] = if names_packages { &[&[]] } else { &[&WORKSPACE, &OPTIMISED] };
    let libtest = |scope: &[&str], what: &[&str]| {
        let mut command = cargo(&["test", "--no-fail-fast"]);
        command.args(scope).args(what).args(&args.rest).args(["--", "--show-output"]);
        Run { command, reader: Box::<libtest::Libtest>::default() }
    };
    if args.plain || !has_subcommand("nextest") {
        return scopes.iter().map(|scope| libtest(scope, &[])).collect();
    }
    let nextest = |scope: &&[&str]| {
        let mut command = cargo(&["nextest", "run", "--no-fail-fast"]);
        command.args(["--success-output", "immediate", "--failure-output", "immediate"]);
        command.args(["--no-tests", "pass"]).args(*scope).args(&args.rest);
        Run { command, reader: Box::<nextest::Nextest>::default() }
    };
    let mut runs: Vec<Run> = scopes.iter().map(nextest).collect();
    if args.rest.is_empty() {
        // nextest runs no examples of the documentation.
        runs.push(libtest(&WORKSPACE, &["--doc"]));
    }
    runs
}

/// Runs a runner to its end, showing what its reader lets through.
fn stream(run: &mut Run) -> Result<Tally> {
    let line = line_of(&run.command);
    eprintln!("$ {line}");
    let start_error = |source| Error::Start { command: line.clone(), source };
    let mut child = run
        .command
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start_error)?;
    let (sender, lines) = channel();
    let pumps = [
        child.stdout.take().map(|out| pump(out, sender.clone())),
        child.stderr.take().map(|err| pump(err, sender)),
    ];
    for line in lines {
        if let Some(shown) = run.reader.line(&line) {
            eprintln!("{shown}");
        }
    }
    for pump in pumps.into_iter().flatten() {
        pump.join().expect("a pump only reads and sends");
    }
    let status = child.wait().map_err(start_error)?;
    Ok(settled(run.reader.tally(), status))
}

/// A runner that failed without naming a failed test (it did not compile, it was killed) must not
/// read as a suite without failures.
fn settled(mut tally: Tally, status: ExitStatus) -> Tally {
    if !status.success() && tally.failed == 0 {
        eprintln!("the runner ended with {status} and named no failed test; counted as one");
        tally.failed = 1;
    }
    tally
}

fn pump(from: impl Read + Send + 'static, to: Sender<String>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut bytes = Vec::new();
        while matches!(from.read_until(b'\n', &mut bytes), Ok(1..)) {
            let line = String::from_utf8_lossy(&bytes);
            if to.send(line.trim_end_matches(['\r', '\n']).to_owned()).is_err() {
                return;
            }
            bytes.clear();
        }
    })
}
