//! `devmesh why`: the chain of records that led to a task, lease or agent.

use crate::context::Context;
use crate::error::Result;

/// Tell why something is as it is: the records that led to a task, lease or agent
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A task (t-17), a lease (l-41-0) or an agent's name
    #[arg(value_name = "ID")]
    about: String,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let args = devmesh_replay::Args {
            why: Some(self.about),
            json: context.out.json,
            ..devmesh_replay::Args::default()
        };
        super::replay::print(&args, Some(super::log::source(context)?)).await
    }
}
