//! `devmesh lock renew`: leases live on from now.

use devmesh_protocol::command::lock::Renew;
use devmesh_protocol::{LeaseId, Verb};

use crate::context::Context;
use crate::error::Result;

/// Let your leases live on from now; all of them where none is named
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which
    #[arg(value_name = "LEASE")]
    leases: Vec<LeaseId>,
    /// Seconds from now; as before where nothing is said
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u64>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let ttl_ms = self.ttl.map(|s| s.saturating_mul(1_000));
        let verb = Verb::LockRenew(Renew { leases: self.leases, ttl_ms });
        context.act(verb, |_, _| context.out.say("renewed")).await
    }
}
