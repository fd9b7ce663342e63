//! `devmesh down`: ends the mesh on this machine.

use std::time::Duration;

use devmesh_protocol::Verb;
use devmesh_protocol::command::agent::Drain;
use devmesh_protocol::view::AgentView;
use futures::future::join_all;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::context::{Context, Link};
use crate::error::Result;
use crate::mesh::{AGENT_WITHIN, end_all};
use crate::process::{program, told};
use crate::state_dir::{RunFile, StateDir};

/// How long the whole end may take before its processes are ended one by one.
const WITHIN: Duration = Duration::from_secs(AGENT_WITHIN.as_secs() + 40);
/// How often working agents are looked at while they drain.
const LOOK: Duration = Duration::from_millis(300);

/// End the mesh on this machine: work is saved and given back, no try is spent
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Let running tasks finish first; nothing new is started
    #[arg(long)]
    drain: bool,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let state = context.state()?;
        let run = match RunFile::read(&state) {
            Ok(Some(run)) => run,
            Ok(None) => {
                context.out.say(format!("mesh {} does not run on this machine", state.mesh));
                return Ok(());
            }
            Err(damaged) => {
                damaged.lines().iter().take(1).for_each(|line| context.out.say(line));
                end_told(&state).await;
                return self.ended(context, &state);
            }
        };
        if self.drain {
            drain(context).await?;
        }
        if let Some(supervisor) = run.supervisor() {
            context.out.say(format!("ending mesh {}: agents save their work first", state.mesh));
            supervisor.signal(Signal::SIGTERM);
            supervisor.gone(WITHIN).await;
        }
        // What a supervisor that was killed has left.
        let left = RunFile::read(&state)?.unwrap_or(run);
        if left.supervisor().is_none() {
            end_all(&left).await;
            RunFile::remove(&state);
        }
        self.ended(context, &state)
    }

    fn ended(&self, context: &Context, state: &StateDir) -> Result<()> {
        if context.out.json {
            context.out.json(&json!({ "mesh": state.mesh, "ended": true }));
        } else {
            context.out.say(format!("mesh {} has ended; its log and work are kept", state.mesh));
        }
        Ok(())
    }
}

/// Ends what runs on this state, found by its command line: nothing else says what that is.
async fn end_told(state: &StateDir) {
    // The one that supervises ends the others in order.
    let of = |name: &str| {
        let mut all = told(&state.path);
        all.retain(|process| program(process) == name);
        all
    };
    let (others, bus) = (of("devmesh"), of("nats-server"));
    join_all(others.iter().map(|process| process.end(AGENT_WITHIN))).await;
    join_all(bus.iter().map(|process| process.end(AGENT_WITHIN))).await;
    RunFile::remove(state);
}

async fn drain(context: &Context) -> Result<()> {
    let link = context.connect().await?;
    for agent in agents(&link).await? {
        link.done(Verb::AgentDrain(Drain { agent: agent.agent, reason: Some("down".into()) }))
            .await?;
    }
    let mut said = usize::MAX;
    loop {
        let busy = agents(&link).await?.iter().filter(|agent| agent.task.is_some()).count();
        if busy == 0 {
            return Ok(());
        }
        if busy != said {
            context.out.say(format!("{busy} at work still"));
            said = busy;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn agents(link: &Link) -> Result<Vec<AgentView>> {
    link.list("agents", json!({})).await
}
