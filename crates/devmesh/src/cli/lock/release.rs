//! `devmesh lock release`: gives leases back.

use devmesh_protocol::command::lock::Release;
use devmesh_protocol::{LeaseId, RepoId, Verb};

use super::repo_of;
use crate::cli::paths::resolve;
use crate::context::Context;
use crate::error::Result;

/// Give your leases back, by id or by path
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leases (l-41-0) or paths, not both
    #[arg(value_name = "LEASE|PATH", required = true)]
    what: Vec<String>,
    /// The repository of the paths; the one you stand in, where nothing is said
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoId>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let link = context.connect().await?;
        let leases: std::result::Result<Vec<LeaseId>, _> =
            self.what.iter().map(|text| text.parse()).collect();
        let body = match leases {
            Ok(leases) => Release { leases, ..Release::default() },
            Err(_) => Release {
                paths: resolve(context, &self.what)?,
                repo: repo_of(context, &link, self.repo).await?,
                ..Release::default()
            },
        };
        let reply = link.submit(Verb::LockRelease(body)).await?;
        context.out.answer(reply, |_, _| context.out.say("given back"))
    }
}
