//! The keeper of a host that joined: answers for the repositories that lie there. It runs in the
//! supervising process, and so until the last agent of the host has ended.

use devmesh_bus::client::Client;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::watch::Mesh;
use crate::error::{Error, Result};
use crate::host::Joined;

/// A keeper at work; dropped, it ends.
pub(super) struct Kept(JoinHandle<()>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Mesh {
    /// Starts to answer for this host's repositories.
    pub(super) async fn keep_repositories(&mut self) -> Result<()> {
        let state = &self.state;
        let Some(host) = Joined::host_at(state)? else { return Ok(()) };
        let name = devmesh_agent::keeper::name_of(&host).ok_or_else(|| {
            Error::usage(format!("the name of the host {host} is too long"))
                .hint("join again with a shorter --host")
        })?;
        Joined::here(state)?.ensure(state, &name).await?;
        let creds = state.creds_of(name.as_str());
        let url = &self.run.nats_url;
        let client = Client::connect(url, Some(&creds), &state.mesh, &name).await?;
        let keeping = devmesh_agent::keeper::run(client, host, CancellationToken::new());
        self.keeper = Some(Kept(tokio::spawn(keeping)));
        Ok(())
    }
}
