//! `devmesh probe`: measures this host.

use devmesh_bus::client::Client;
use devmesh_bus::cred::Role;
use devmesh_probe::Probe;
use devmesh_protocol::ActorId;

use crate::context::Context;
use crate::error::{Error, Result, chain};
use crate::keys;
use crate::mesh::shutdown;

/// Run a probe: measures this host and reports it
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    inner: devmesh_probe::Args,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let inner = self.inner;
        let failed = |error| Error::failed("measure this host").because(chain(&error));
        if inner.once {
            let mut probe =
                Probe::new(inner.host_id(), inner.limits(), inner.disk.clone()).map_err(failed)?;
            context.out.json(&probe.measure());
            return Ok(());
        }
        let state = context.state()?;
        let url = context.nats_url(&state)?;
        // The name on a probe's credential is the host's.
        let actor = ActorId::new(inner.host_id().as_str())
            .map_err(|error| Error::usage("the host's name is no actor's").because(error))?;
        let creds = context.globals.creds.clone();
        let creds = match creds {
            Some(creds) => creds,
            None => {
                if state.has_keys() {
                    keys::ensure(&keys::open(&state)?, &actor, Role::Probe)?;
                }
                state.creds_of(actor.as_str())
            }
        };
        let client = Client::connect(&url, Some(&creds), &state.mesh, &actor).await?;
        devmesh_probe::run(inner, client, shutdown()?).await.map_err(failed)
    }
}
