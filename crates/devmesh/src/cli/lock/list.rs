//! `devmesh lock list`: who holds what, and who waits.

use devmesh_protocol::ActorId;
use devmesh_protocol::query::Locks;
use devmesh_protocol::view::{LeaseView, WaiterView};
use serde::Deserialize;

use crate::cli::paths::resolve;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::Table;

/// List who holds what, and who waits
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those that overlap this path
    #[arg(value_name = "PATH")]
    path: Option<String>,
    /// Only those of this actor
    #[arg(long, value_name = "NAME")]
    actor: Option<ActorId>,
    /// At most so many, from the first; all where nothing is said
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct Answer {
    leases: Vec<LeaseView>,
    waiters: Vec<WaiterView>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let path = resolve(context, self.path.as_slice())?.into_iter().next();
        let query = Locks { limit: self.limit, after: None, path, actor: self.actor };
        let body = serde_json::to_value(&query)
            .map_err(|error| Error::failed("write the query").because(error))?;
        let reply = context.connect().await?.ask_all::<LeaseView>("locks", body).await?;
        context.show("locks", reply, |answer| show(context, &answer))
    }
}

fn show(context: &Context, answer: &Answer) {
    let mut table = Table::new(&["LEASE", "MODE", "HOLDER", "FOR", "SINCE", "UNTIL", "PATH"]);
    for lease in &answer.leases {
        let until = lease.expires_at.map_or_else(|| "it is silent".to_owned(), |at| at.to_string());
        let task = lease.task.map_or_else(|| "-".to_owned(), |task| task.to_string());
        table.row(&[
            &lease.lease.to_string(),
            &lease.mode.to_string(),
            lease.actor.as_str(),
            &task,
            &lease.granted_at.to_string(),
            &until,
            &format!("{}:{}", lease.repo, lease.path),
        ]);
    }
    context.out.table(&table, "nobody holds anything");
    for waiter in &answer.waiters {
        let paths: Vec<String> = waiter.paths.iter().map(ToString::to_string).collect();
        let holders: Vec<&str> = waiter.waits_for.iter().map(ActorId::as_str).collect();
        context.out.line(format!(
            "{} waits for {} ({}) until {}",
            waiter.actor,
            holders.join(", "),
            paths.join(", "),
            waiter.deadline
        ));
    }
}
