//! `devmesh resume`: after a pause.

use devmesh_protocol::Verb;
use devmesh_protocol::command::mesh::Resume;

use crate::context::Context;
use crate::error::Result;

/// Let a paused mesh go on
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Why, for the log
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let verb = Verb::MeshResume(Resume { reason: self.reason });
        context.act(verb, |_, _| context.out.say("the mesh goes on")).await
    }
}
