//! `devmesh pause`: the panic button.

use devmesh_protocol::Verb;
use devmesh_protocol::command::mesh::Pause;

use crate::context::Context;
use crate::error::Result;

/// Start nothing new; with --now, stop every running tool where it is
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stop running tools too, within a second; leases are kept
    #[arg(long)]
    now: bool,
    /// Why, for the log
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let verb = Verb::MeshPause(Pause { now: self.now, reason: self.reason });
        let said = "the mesh is paused; `devmesh resume` lets it go on";
        context.act(verb, |_, _| context.out.say(said)).await
    }
}
