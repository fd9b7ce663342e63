//! `devmesh repo`: the repositories of the mesh.

use clap::Subcommand;

use crate::context::Context;
use crate::error::Result;

mod add;
mod list;

/// Add and list repositories
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(add::Args),
    List(list::Args),
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        match self.command {
            Command::Add(args) => args.run(context).await,
            Command::List(args) => args.run(context).await,
        }
    }
}
