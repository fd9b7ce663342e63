//! `up` on a host that joined the mesh of another: its probe and its agents; bus, coordinator and
//! dashboard are the other's.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Args, tell};
use crate::agents;
use crate::config::User;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::host::Joined;
use crate::mesh::{self, Membership, Plan};
use crate::state_dir::{RunFile, StateDir};

impl Args {
    pub(super) async fn on_joined(&self, context: &Context, state: &StateDir) -> Result<()> {
        let joined = Joined::here(state)?;
        if self.listen.is_some() || self.lite || self.port.is_some() {
            return Err(Error::usage("the bus of this mesh runs on another host")
                .because(format!("this host joined it through {}", joined.address))
                .hint("leave --listen, --lite and --port out; --mesh NAME begins one here"));
        }
        if RunFile::read(state)?.is_some_and(|run| run.supervisor().is_some()) {
            return Err(Error::usage(format!("mesh {} runs here already", state.mesh))
                .hint("`devmesh agent --tool NAME` adds an agent, `devmesh down` ends it"));
        }
        let plan = self.joined_plan(context, state, &joined).await?;
        if self.detach {
            let run = mesh::detach(state, &plan).await?;
            run.iter().for_each(|run| tell(context, state, run, true));
            return Ok(());
        }
        let told = |run: &RunFile| tell(context, state, run, false);
        mesh::supervise(state, plan, told).await.map(|_| ())
    }

    async fn joined_plan(
        &self,
        context: &Context,
        state: &StateDir,
        joined: &Joined,
    ) -> Result<Plan> {
        let user = User::load()?;
        let mut wanted = match self.said(&user).await? {
            Some(said) => said,
            None if self.yes => {
                let tools = agents::tools(&user).await?;
                let offered = agents::offered(&tools);
                agents::spread(&offered, offered.len())
            }
            None => {
                context.out.say("no agent is started: nobody said which (--agent, --agents)");
                Vec::new()
            }
        };
        let here = crate::git::here()?;
        wanted = agents::named(wanted, &user, &here, BTreeSet::new())?;
        for agent in &mut wanted {
            let Some(name) = agent.name.take() else { continue };
            let name = joined.own(&name)?;
            joined.ensure(state, &name).await?;
            agent.name = Some(name);
        }
        Ok(Plan {
            nats_server: PathBuf::new(),
            port: None,
            dashboard_port: None,
            lite: false,
            agents: wanted,
            env_pass: Vec::new(),
            person: joined.person.clone(),
            repo: None,
            settings: Vec::new(),
            listen: None,
            joined: Some(Membership { nats_url: joined.nats_url(), host: joined.host.clone() }),
        })
    }
}
