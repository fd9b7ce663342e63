//! `devmesh agents`: who works.

use devmesh_protocol::view::AgentView;
use serde_json::json;

use crate::context::Context;
use crate::error::Result;
use crate::output::Table;

/// List the agents
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        context.list("agents", json!({}), |agents| show(context, agents)).await
    }
}

fn show(context: &Context, agents: Vec<AgentView>) {
    let mut table = Table::new(&["AGENT", "ROLE", "STATE", "TOOL", "HOST", "TASK"]);
    for agent in agents {
        let task = agent.task.map_or_else(|| "-".to_owned(), |task| task.to_string());
        let state = match &agent.suspended {
            Some(why) => format!("{}: {why}", agent.state),
            None => agent.state.clone(),
        };
        table.row(&[
            agent.agent.as_str(),
            &agent.role,
            &state,
            &agent.tool,
            agent.host.as_str(),
            &task,
        ]);
    }
    context.out.table(&table, "no agents; `devmesh agent --tool NAME` starts one");
}
