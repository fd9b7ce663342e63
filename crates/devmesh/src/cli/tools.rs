//! `devmesh tools`: the coding CLIs of this machine, and whether they do what they are asked.

use devmesh_agent::profile::{Permission, SignIn};

use crate::agents::{self, Tool};
use crate::config::User;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::Table;

mod test;

/// List the coding CLIs that can be driven: which are installed here, and usable
///
/// MAY is what a run would be allowed without a word of yours; a reason stands where a tool cannot
/// be used. A profile of yours in ~/.config/devmesh/tools adds a tool, or replaces one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Test(test::Args),
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<Exit> {
        match self.command {
            Some(Command::Test(args)) => args.run(context).await,
            None => list(context).await.map(|()| Exit::Ok),
        }
    }
}

async fn list(context: &Context) -> Result<()> {
    let user = User::load()?;
    let mut tools = agents::tools_signed_in(&user).await?;
    if context.out.json {
        context.out.json(&tools);
        return Ok(());
    }
    // What is here comes first.
    tools.sort_by_key(|tool| tool.program.is_none());
    let mut table = Table::new(&["TOOL", "VERSION", "SIGNED IN", "MAY", "USABLE"]);
    for tool in &tools {
        let version = tool.version.as_deref().unwrap_or("-");
        // What a program without modes may do is its own affair.
        let may = tool.permission.filter(|_| !tool.modes.is_empty());
        let may = may.map_or("-", Permission::name);
        table.row(&[&tool.tool, version, signed_in(tool), may, &usable(tool)]);
    }
    context.out.table(&table, "no profiles");
    Ok(())
}

fn signed_in(tool: &Tool) -> &'static str {
    match &tool.sign_in {
        Some(SignIn::NotNeeded) => "not needed",
        Some(SignIn::SignedIn { .. }) => "yes",
        Some(SignIn::SignedOut { .. }) => "no",
        Some(SignIn::Unknown { .. }) => "unknown",
        None => "-",
    }
}

fn usable(tool: &Tool) -> String {
    match (&tool.why, tool.proven) {
        (Some(why), _) => why.clone(),
        (None, true) => "yes".to_owned(),
        (None, false) => "yes, as its documentation says".to_owned(),
    }
}
