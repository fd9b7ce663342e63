//! `devmesh lock break`: a person ends somebody's lease.

use devmesh_protocol::command::lock::Break;
use devmesh_protocol::{LeaseId, Verb};

use crate::context::Context;
use crate::error::Result;

/// End somebody's lease; its holder is told, and cannot land under it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which
    #[arg(value_name = "LEASE")]
    lease: LeaseId,
    /// Why; the holder reads it
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: String,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let lease = self.lease;
        let verb = Verb::LockBreak(Break { lease, reason: self.reason });
        context.act(verb, |_, _| context.out.say(format!("{lease} is broken"))).await
    }
}
