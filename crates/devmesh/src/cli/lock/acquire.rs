//! `devmesh lock acquire`: all paths or none.

use std::time::Duration;

use devmesh_protocol::Verb;
use devmesh_protocol::command::lock::Acquire;
use devmesh_protocol::reply::Reply;
use serde_json::Value;

use super::{Wanted, repo_of};
use crate::cli::paths::resolve;
use crate::context::{Context, Link};
use crate::error::Result;

/// Take leases: all paths or none; prints their ids
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    terms: Terms,
}

/// For how long, and how long to wait.
#[derive(Debug, clap::Args)]
pub(super) struct Terms {
    /// Seconds until they end by themselves; 30 minutes where nothing is said
    #[arg(long, value_name = "SECONDS")]
    pub(super) ttl: Option<u64>,
    /// Seconds to wait where somebody else holds them
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// Why, for those who wait
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let link = context.connect().await?;
        let reply = acquire(context, &link, self.wanted, self.terms).await?;
        context.out.answer(reply, |result, _| {
            for lease in ids(result) {
                context.out.line(lease);
            }
        })
    }
}

/// Sends the request.
pub(super) async fn acquire(
    context: &Context,
    link: &Link,
    wanted: Wanted,
    terms: Terms,
) -> Result<Reply> {
    let body = Acquire {
        paths: resolve(context, &wanted.paths)?,
        mode: wanted.mode,
        repo: repo_of(context, link, wanted.repo).await?,
        task: None,
        ttl_ms: terms.ttl.map(|s| s.saturating_mul(1_000)),
        share: None,
        wait_ms: (terms.wait > 0).then(|| terms.wait.saturating_mul(1_000)),
        reason: terms.reason,
    };
    let within = context.within() + Duration::from_secs(terms.wait);
    link.submit_within(Verb::LockAcquire(body), within).await
}

/// The ids of granted leases.
pub(super) fn ids(result: &Value) -> Vec<String> {
    let leases = result.get("leases").and_then(Value::as_array).into_iter().flatten();
    leases.filter_map(|lease| lease.get("lease")?.as_str().map(str::to_owned)).collect()
}
