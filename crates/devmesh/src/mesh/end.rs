//! The end of a mesh, in order: agents give their work back while the coordinator still hears
//! them, the bus goes last.

use std::time::Duration;

use futures::future::join_all;

use super::child::Kind;
use crate::error::Result;
use crate::output::say;
use crate::process::Known;
use crate::state_dir::{RunFile, StateDir};

/// How long an agent may take: it saves its work, ends its tool and gives the task back.
pub(crate) const AGENT_WITHIN: Duration = Duration::from_secs(40);
/// How long the others may take.
const WITHIN: Duration = Duration::from_secs(12);

const ORDER: [&[Kind]; 4] =
    [&[Kind::Agent], &[Kind::Dashboard, Kind::Probe], &[Kind::Coordinator], &[Kind::Bus]];

/// Asks each process to end, kind by kind, and kills those that do not in time.
pub(crate) async fn end_all(run: &RunFile) {
    for kinds in ORDER {
        let within = if kinds == [Kind::Agent] { AGENT_WITHIN } else { WITHIN };
        let ending = of(run, kinds).into_iter().map(|(name, process)| async move {
            if !process.end(within).await {
                say(format!("{name} did not end in time and was killed"));
            }
        });
        join_all(ending).await;
    }
}

/// Ends what an earlier supervising process has left behind. Only for who supervises now.
pub(super) async fn end_left(state: &StateDir) -> Result<()> {
    if let Some(run) = RunFile::read(state)? {
        if !run.all_living().is_empty() {
            say("ending what an earlier `up` has left");
            end_all(&run).await;
        }
        RunFile::remove(state);
    }
    Ok(())
}

/// Kills each process and what it started.
pub(super) async fn kill_all(run: &RunFile) {
    let all = ORDER.concat();
    join_all(of(run, &all).into_iter().map(|(_, process)| async move {
        process.end(Duration::ZERO).await;
    }))
    .await;
}

fn of(run: &RunFile, kinds: &[Kind]) -> Vec<(String, Known)> {
    let mut all = run.all_living();
    all.retain(|(name, _)| kinds.contains(&Kind::of(name)));
    all
}
