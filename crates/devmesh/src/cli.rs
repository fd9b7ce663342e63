//! The command line: one file for each command.

use clap::{Parser, Subcommand};

use crate::context::{Context, Globals};
use crate::error::{Error, Result};
use crate::exit::Exit;

mod agent;
mod agents;
mod completions;
mod config;
mod coordinator;
mod cred;
pub(crate) mod dashboard;
mod doctor;
mod down;
mod environment;
mod explain;
mod hosts;
mod invite;
pub(crate) mod join;
mod lock;
mod log;
mod note;
mod paths;
mod pause;
pub(crate) mod plan;
mod probe;
mod pull;
mod redact;
mod replay;
mod repo;
mod resume;
mod review;
mod run;
mod status;
mod supervise;
mod task;
mod tools;
mod tunnel;
mod up;
mod why;

/// Coordinates AI coding CLIs that work on the same repositories at once
///
/// Nothing is lost or overwritten, "done" means proven, and everything can be explained from the
/// log. Begin with `devmesh up` in a git repository.
#[derive(Debug, Parser)]
#[command(name = "devmesh", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 ok, 1 bug, 2 usage, 3 rejected, 4 unreachable, \
                        5 outcome unknown, 6 failed, 7 waits for a person")]
pub(crate) struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Args),
    Down(down::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Run(run::Args),
    Plan(plan::Args),
    Task(task::Args),
    Review(review::Args),
    Pull(pull::Args),
    Lock(lock::Args),
    Note(note::Args),
    Repo(repo::Args),
    Cred(cred::Args),
    Invite(invite::Args),
    Join(join::Args),
    Agents(agents::Args),
    Hosts(hosts::Args),
    Tools(tools::Args),
    Log(log::Args),
    Why(why::Args),
    Explain(explain::Args),
    Replay(replay::Args),
    Redact(redact::Args),
    Config(config::Args),
    Completions(completions::Args),
    Coordinator(coordinator::Args),
    Agent(agent::Args),
    Probe(probe::Args),
    Dashboard(dashboard::Args),
    #[command(hide = true)]
    Supervise(supervise::Args),
    #[command(hide = true)]
    Tunnel(tunnel::Args),
}

/// What a process logs unless told otherwise; the bus tells each connection, which says little.
const PROCESS_LEVEL: &str = "info,async_nats=warn";

impl Command {
    /// Whether it runs until it is told to end.
    fn is_process(&self) -> bool {
        matches!(
            self,
            Command::Coordinator(_)
                | Command::Agent(_)
                | Command::Probe(_)
                | Command::Dashboard(_)
                | Command::Supervise(_)
        )
    }

    async fn run(self, context: &Context) -> Result<Exit> {
        let done = |result: Result<()>| result.map(|()| Exit::Ok);
        match self {
            Command::Up(args) => done(args.run(context).await),
            Command::Down(args) => done(args.run(context).await),
            Command::Status(args) => done(args.run(context).await),
            Command::Doctor(args) => args.run(context).await,
            Command::Pause(args) => done(args.run(context).await),
            Command::Resume(args) => done(args.run(context).await),
            Command::Run(args) => args.run(context).await,
            Command::Plan(args) => args.run(context).await,
            Command::Task(args) => args.run(context).await,
            Command::Review(args) => done(args.run(context).await),
            Command::Pull(args) => done(args.run(context).await),
            Command::Lock(args) => args.run(context).await,
            Command::Note(args) => done(args.run(context).await),
            Command::Repo(args) => done(args.run(context).await),
            Command::Cred(args) => done(args.run(context).await),
            Command::Invite(args) => done(args.run(context).await),
            Command::Join(args) => done(args.run(context).await),
            Command::Agents(args) => done(args.run(context).await),
            Command::Hosts(args) => done(args.run(context).await),
            Command::Tools(args) => args.run(context).await,
            Command::Log(args) => done(args.run(context).await),
            Command::Why(args) => done(args.run(context).await),
            Command::Explain(args) => done(args.run(context)),
            Command::Replay(args) => done(args.run(context).await),
            Command::Redact(args) => done(args.run(context).await),
            Command::Config(args) => done(args.run(context)),
            Command::Completions(args) => done(args.run(context)),
            Command::Coordinator(args) => done(args.run(context).await),
            Command::Agent(args) => done(args.run(context).await),
            Command::Probe(args) => done(args.run(context).await),
            Command::Dashboard(args) => done(args.run(context).await),
            Command::Supervise(args) => done(args.run(context).await),
            Command::Tunnel(args) => done(args.run(context).await),
        }
    }
}

impl Cli {
    /// Reads the command line and the environment. Clap ends the process itself for --help and for
    /// what it cannot read, with 0 and 2; it does not tell a variable from what was typed.
    pub(crate) fn read() -> Result<Cli> {
        Cli::try_parse().or_else(|error| match environment::culprit(&error) {
            Some(problem) => Err(Error::usage(problem).hint("correct the variable, or unset it")),
            None => error.exit(),
        })
    }

    /// Does what was asked.
    pub(crate) fn run(self) -> Result<Exit> {
        let context = Context::new(self.globals);
        let is_process = self.command.is_process();
        context.globals.logging.start(if is_process { PROCESS_LEVEL } else { "warn" })?;
        let mut builder = if is_process {
            tokio::runtime::Builder::new_multi_thread()
        } else {
            tokio::runtime::Builder::new_current_thread()
        };
        let runtime = builder
            .enable_all()
            .build()
            .map_err(|error| Error::failed("start the runtime").because(error))?;
        let outcome = runtime.block_on(self.command.run(&context));
        // A read of a terminal that nobody answers would keep the process.
        runtime.shutdown_background();
        outcome
    }
}

/// A value of an answer in words.
fn words(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => String::new(),
        Value::String(word) => word.replace('_', " "),
        Value::Object(fields) => {
            let one = |(name, value): (&String, &Value)| {
                format!("{} {}", name.replace('_', " "), words(value)).trim().to_owned()
            };
            fields.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
