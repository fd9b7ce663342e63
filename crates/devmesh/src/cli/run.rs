//! `devmesh run`: add a task, follow it, exit by its outcome.

use super::task::add::{Spec, build};
use super::task::follow::{self, exit_of};
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;

/// Add a task and follow it: exits 0 landed, 6 failed, 7 waits for a person
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is to be done
    text: String,
    #[command(flatten)]
    spec: Spec,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<Exit> {
        let link = context.connect().await?;
        let body = build(context, &link, self.spec, &self.text).await?;
        let out = context.out;
        let task = follow::added(out, &link, body, "is queued").await?;
        if out.json {
            out.json(&task);
        } else {
            let commit = task.commit.as_deref().unwrap_or("-");
            out.line(format!("{} {} {commit}", task.task, task.state));
            follow::say_waiting(out, std::iter::once(&task));
        }
        Ok(exit_of(std::iter::once(&task)))
    }
}
