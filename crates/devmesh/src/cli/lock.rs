//! `devmesh lock`: leases, for people and scripts.

use clap::Subcommand;
use devmesh_protocol::{Mode, RepoId};
use serde_json::Value;

use crate::context::{Context, Link, repo_here};
use crate::error::Result;
use crate::exit::Exit;

mod acquire;
mod breaking;
mod check;
mod hold;
mod list;
mod release;
mod renew;
mod why;

/// Take, give back and look at leases on paths
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Acquire(acquire::Args),
    Release(release::Args),
    Renew(renew::Args),
    List(list::Args),
    Check(check::Args),
    Why(why::Args),
    Hold(hold::Args),
    Break(breaking::Args),
}

/// What a request for leases asks for.
#[derive(Debug, clap::Args)]
struct Wanted {
    /// Files and folders; a folder means all in it
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<String>,
    /// How: read, intent, co_write, write
    #[arg(long, value_name = "MODE", default_value = "write", value_parser = mode)]
    mode: Mode,
    /// The repository; the one you stand in, where nothing is said
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoId>,
}

fn mode(text: &str) -> std::result::Result<Mode, String> {
    serde_json::from_value(Value::from(text))
        .map_err(|_| "it is one of read, intent, co_write, write".to_owned())
}

/// The repository that is meant.
async fn repo_of(context: &Context, link: &Link, said: Option<RepoId>) -> Result<Option<RepoId>> {
    match said {
        Some(repo) => Ok(Some(repo)),
        None => repo_here(context, link).await,
    }
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<Exit> {
        let done = |result: Result<()>| result.map(|()| Exit::Ok);
        match self.command {
            Command::Acquire(args) => done(args.run(context).await),
            Command::Release(args) => done(args.run(context).await),
            Command::Renew(args) => done(args.run(context).await),
            Command::List(args) => done(args.run(context).await),
            Command::Check(args) => args.run(context).await,
            Command::Why(args) => done(args.run(context).await),
            Command::Hold(args) => args.run(context).await,
            Command::Break(args) => done(args.run(context).await),
        }
    }
}
