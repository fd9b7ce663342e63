//! `devmesh task logs`: what a task's tool printed.

use std::time::Duration;

use devmesh_bus::media::output::{Of, Output};
use devmesh_protocol::TaskId;
use devmesh_protocol::report::{OutputFrom, OutputLine};

use super::follow::{self, Ending};
use crate::context::Context;
use crate::error::Result;
use crate::output::clean;

/// Lines that were printed before the task ended come within this: an agent sends them in
/// batches, a second apart.
const QUIET: Duration = Duration::from_millis(1_500);

/// Show what a task's tool and checks printed
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The task
    #[arg(value_name = "TASK", value_parser = super::task_id)]
    task: TaskId,
    /// Only this try
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Go on until the task ends
    #[arg(long, short)]
    follow: bool,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let link = context.connect().await?;
        // A task that is none is told as that, not as one without output.
        super::one(&link, self.task).await?;
        let of = Of { task: self.task, attempt: self.attempt };
        let mut output = Output::of(&link.client, of, self.follow);
        if !self.follow {
            while let Some(line) = output.next().await? {
                print(context, &line);
            }
            return Ok(());
        }
        let ended = follow::until(&link, vec![self.task], Ending::Ended);
        tokio::pin!(ended);
        loop {
            tokio::select! {
                line = output.next() => match line? {
                    Some(line) => print(context, &line),
                    None => return Ok(()),
                },
                ended = &mut ended => {
                    ended?;
                    break;
                }
            }
        }
        while let Ok(Ok(Some(line))) = tokio::time::timeout(QUIET, output.next()).await {
            print(context, &line);
        }
        Ok(())
    }
}

fn print(context: &Context, line: &OutputLine) {
    if context.out.json {
        context.out.json(line);
        return;
    }
    let from = match line.from {
        OutputFrom::Stdout => " ",
        OutputFrom::Stderr => "!",
        OutputFrom::Verify => "v",
        OutputFrom::Agent => "*",
    };
    context.out.line(format!("{from} {}", clean(&line.text)));
}
