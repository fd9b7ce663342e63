//! `devmesh coordinator`: the single writer, or a standby of it.

use crate::context::Context;
use crate::error::{Error, Result, chain};
use crate::mesh::shutdown;

/// Run a coordinator: decides, appends, answers; a standby where another leads
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    inner: devmesh_coordinator::Args,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let mut inner = self.inner;
        let state = context.state()?;
        if inner.creds.is_none() && !inner.trust_everybody {
            inner.creds = Some(state.creds_of("coordinator"));
            inner.nats_url = context.nats_url(&state)?;
            inner.mesh = state.mesh.clone();
        }
        inner.state_dir.get_or_insert_with(|| state.path.join("coordinator"));
        devmesh_coordinator::run(inner, shutdown()?)
            .await
            .map_err(|error| Error::failed("coordinate the mesh").because(chain(&error)))
    }
}
