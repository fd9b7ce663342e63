//! `devmesh agent`: runs a coding CLI on the tasks it wins.

use std::collections::BTreeMap;

use devmesh_bus::client::Client;
use devmesh_bus::cred::Role;
use devmesh_protocol::{ActorId, HostId};

use crate::context::Context;
use crate::error::{Error, Result, chain};
use crate::host::Joined;
use crate::keys;
use crate::mesh::shutdown;

/// Run an agent: a coding CLI that works on the tasks it wins
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// The agent's name; the tool's with a number, where nothing is said
    #[arg(long, value_name = "NAME")]
    name: Option<ActorId>,
    #[command(flatten)]
    inner: devmesh_agent::Args,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let state = context.state()?;
        let url = context.nats_url(&state)?;
        let name = match self.name {
            Some(name) => name,
            None => crate::agents::numbered(&self.inner.tool, 1)?,
        };
        let joined = if Joined::is_at(&state) { Some(Joined::here(&state)?) } else { None };
        let name = match &joined {
            Some(joined) => joined.own(&name)?,
            None => name,
        };
        let creds = match context.globals.creds.clone() {
            Some(creds) => creds,
            None => {
                if let Some(joined) = &joined {
                    joined.ensure(&state, &name).await?;
                } else if state.has_keys() {
                    keys::ensure(&keys::open(&state)?, &name, Role::Agent)?;
                    let admin = keys::admin(&state, &url, context.within()).await?;
                    let actor = BTreeMap::from([(name.to_string(), Role::Agent)]);
                    keys::register(&admin, &actor).await?;
                }
                state.creds_of(name.as_str())
            }
        };
        let client = Client::connect(&url, Some(&creds), &state.mesh, &name).await?;
        let mut inner = self.inner;
        if let Some(joined) = &joined {
            inner.origin = Some(Joined::origin(&state)?);
            inner.host = inner.host.or_else(|| HostId::new(joined.host.as_str()).ok());
        }
        inner.state_dir = Some(state.path);
        use devmesh_agent::Error as AgentError;
        devmesh_agent::run(inner, client, shutdown()?).await.map_err(|error| match error {
            AgentError::Config { .. } | AgentError::Profile { .. } => {
                Error::usage(format!("agent {name} cannot be started: {}", chain(&error)))
                    .hint("`devmesh tools` lists what can be driven here")
            }
            error => Error::failed(format!("run agent {name}")).because(chain(&error)),
        })
    }
}
