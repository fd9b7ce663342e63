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
/// Shorter ones are renewed so often in their time, but not more often than this.
const TIMES: u32 = 3;
const RENEW_MIN: Duration = Duration::from_millis(100);

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
        let pace = pace(self.terms.ttl);
        let reply = acquire(context, &link, self.wanted, self.terms).await?;
        let (_, result) = reply.into_result().map_err(Error::rejected)?;
        let leases: Vec<LeaseId> = ids(&result).iter().filter_map(|id| id.parse().ok()).collect();
        let ran = run(context, &link, (&leases, pace), &self.command).await;
        // A wait that was interrupted must not leave them behind.
        let given = link.done(Verb::LockRelease(Release { leases, ..Release::default() })).await;
        let exit = ran?;
        given.map(|_| exit)
    }
}

/// How often leases of so many seconds are renewed.
fn pace(ttl_s: Option<u64>) -> Duration {
    ttl_s.map_or(RENEW, |s| (Duration::from_secs(s) / TIMES).clamp(RENEW_MIN, RENEW))
}

async fn run(
    context: &Context,
    link: &Link,
    (leases, pace): (&[LeaseId], Duration),
    command: &[String],
) -> Result<Exit> {
    let Some((program, args)) = command.split_first() else {
        return Err(Error::usage("no command was given"));
    };
    let mut child = Command::new(program)
        .args(args)
        .env("DEVMESH_LEASES", leases.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        .spawn()
        .map_err(|error| Error::usage(format!("{program} cannot be run")).because(error))?;
    let mut renew = tokio::time::interval_at(tokio::time::Instant::now() + pace, pace);
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status
                    .map_err(|error| Error::failed(format!("wait for {program}")).because(error))?;
                return Ok(if status.success() { Exit::Ok } else { Exit::Failed });
            }
            _ = renew.tick() => {
                let renew = Renew { leases: leases.to_vec(), ttl_ms: None };
                // The command goes on, so its end is waited for; giving back says what was lost.
                if let Err(error) = link.done(Verb::LockRenew(renew)).await {
                    error.lines().iter().for_each(|line| context.out.say(line));
                }
            }
            // The command has heard it too; its end is what counts.
            _ = tokio::signal::ctrl_c() => {}
        }
    }
}
