//! `devmesh review`: what waits for me.

use super::status::{Waiting, show_waiting, waiting};
use crate::context::Context;
use crate::error::Result;

/// List what waits for you: diffs, questions, decisions
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let link = context.connect().await?;
        let all = waiting(&link).await?;
        if context.out.json {
            context.out.json(&all.iter().map(Waiting::to_json).collect::<Vec<_>>());
        } else if all.is_empty() {
            context.out.say("nothing waits for you");
        } else {
            show_waiting(context, &all);
        }
        Ok(())
    }
}
