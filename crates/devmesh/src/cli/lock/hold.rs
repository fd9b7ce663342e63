//! `devmesh lock hold PATHS -- CMD`: leases for as long as a command runs.

use std::time::Duration;

use devmesh_protocol::command::lock::{Release, Renew};
use devmesh_protocol::{LeaseId, Verb};
use tokio::process::Command;

use super::Wanted;
use super::acquire::{Terms, acquire, ids};
use crate::context::{Context, Link};
use crate::error::{Error, Result};
use crate::exit::Exit;

/// Leases of a person live 30 minutes where nothing is said; long before that they are renewed.
const RENEW: Duration = Duration::from_secs(300);

/// Take leases, run a command, give them back; exits 6 where the command failed
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    terms: Terms,
    /// The command, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<Exit> {
        let link = context.connect().await?;
        let reply = acquire(context, &link, self.wanted, self.terms).await?;
        let (_, result) = reply.into_result().map_err(Error::rejected)?;
        let leases: Vec<LeaseId> = ids(&result).iter().filter_map(|id| id.parse().ok()).collect();
        let ran = run(&link, &leases, &self.command).await;
        // A wait that was interrupted must not leave them behind.
        let given = link.done(Verb::LockRelease(Release { leases, ..Release::default() })).await;
        let exit = ran?;
        given.map(|_| exit)
    }
}

async fn run(link: &Link, leases: &[LeaseId], command: &[String]) -> Result<Exit> {
    let Some((program, args)) = command.split_first() else {
        return Err(Error::usage("no command was given"));
    };
    let mut child = Command::new(program)
        .args(args)
        .env("DEVMESH_LEASES", leases.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        .spawn()
        .map_err(|error| Error::usage(format!("{program} cannot be run")).because(error))?;
    let mut renew = tokio::time::interval_at(tokio::time::Instant::now() + RENEW, RENEW);
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status
                    .map_err(|error| Error::failed(format!("wait for {program}")).because(error))?;
                return Ok(if status.success() { Exit::Ok } else { Exit::Failed });
            }
            _ = renew.tick() => {
                link.done(Verb::LockRenew(Renew { leases: leases.to_vec(), ttl_ms: None })).await?;
            }
            // The command has heard it too; its end is what counts.
            _ = tokio::signal::ctrl_c() => {}
        }
    }
}
