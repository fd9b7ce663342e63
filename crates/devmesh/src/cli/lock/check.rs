//! `devmesh lock check`: what a request would meet; nothing is taken.

use devmesh_protocol::query::LockCheck;
use serde_json::Value;

use super::why::{by_hand, held};
use super::{Wanted, repo_of};
use crate::cli::{paths::resolve, words};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::output::clean;

/// Say whether leases could be had now; exits 3 and names the holders where not
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    wanted: Wanted,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<Exit> {
        let link = context.connect().await?;
        let query = LockCheck {
            paths: resolve(context, &self.wanted.paths)?,
            mode: self.wanted.mode,
            repo: repo_of(context, &link, self.wanted.repo).await?,
        };
        let body = serde_json::to_value(&query)
            .map_err(|error| Error::failed("write the query").because(error))?;
        let reply = link.ask("lock.check", body).await?;
        let mut exit = Exit::Ok;
        context.out.answer(reply.clone(), |result, _| {
            let holders = result.get("holders").and_then(Value::as_array);
            for holder in holders.into_iter().flatten() {
                context.out.line(held(holder));
            }
            let advisory = result.get("advisory").and_then(Value::as_array);
            for one in advisory.into_iter().flatten() {
                context.out.line(by_hand(one));
            }
            let word = |name: &str| result.get(name).map(words).unwrap_or_default();
            for (lead, said) in [("", word("reason")), ("comes ", word("expected_at"))] {
                if !said.is_empty() && !is_free(result) {
                    context.out.line(clean(&format!("{lead}{said}")));
                }
            }
        })?;
        if let Ok((_, result)) = reply.into_result()
            && !is_free(&result)
        {
            exit = Exit::Rejected;
        }
        Ok(exit)
    }
}

/// Whether nothing stands in the way.
fn is_free(result: &Value) -> bool {
    result.get("free").and_then(Value::as_bool).unwrap_or_default()
}
