//! `devmesh tools`: the coding CLIs of this machine.

use crate::agents;
use crate::context::Context;
use crate::error::Result;
use crate::output::Table;

/// List the coding CLIs that can be driven, and which are installed here
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let tools = agents::tools().await?;
        if context.out.json {
            context.out.json(&tools);
            return Ok(());
        }
        let mut table = Table::new(&["TOOL", "VERSION", "MAY", "PROGRAM"]);
        for tool in tools {
            let version = tool.version.as_deref().unwrap_or("-");
            let may = format!("{:?}", tool.permission).to_lowercase();
            let program = tool.program.as_deref().unwrap_or("not installed");
            let program = if tool.tool == "custom" { "any: give it after --" } else { program };
            table.row(&[&tool.tool, version, &may, program]);
        }
        context.out.table(&table, "no profiles");
        Ok(())
    }
}
