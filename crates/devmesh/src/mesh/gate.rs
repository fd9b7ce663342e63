//! The gate of a mesh that other hosts may join: opened with it, closed with it.

use std::sync::Arc;

use devmesh_bus::gate::{self, Authority, Place};
use tokio::task::JoinHandle;

use super::watch::Mesh;
use crate::error::{Error, Result};
use crate::host::gate::{Door, answer};
use crate::output::say;

/// An open gate; dropped, it is closed.
pub(super) struct Open(JoinHandle<()>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Mesh {
    /// Opens the gate where one is asked for.
    pub(super) async fn open_gate(&mut self) -> Result<()> {
        let Some(listen) = self.plan.listen.clone() else { return Ok(()) };
        let (host, port) = listen.rsplit_once(':').unwrap_or((&listen, "0"));
        let authority = Authority::open_or_create(&self.state.path)?;
        let bus = self.run.nats_url.trim_start_matches("nats://").to_owned();
        let host = host.trim_matches(['[', ']']).to_owned();
        let place = Place { host, port: port.parse().unwrap_or_default(), bus };
        let open = gate::open(&place, &authority).await;
        let open = open.map_err(|error| {
            Error::from(error).hint("choose an address of this host with --listen HOST:PORT")
        })?;
        let at = open.address().map_or(listen.clone(), |at| {
            let host = listen.rsplit_once(':').map_or("", |(host, _)| host);
            format!("{host}:{}", at.port())
        });
        let door = Arc::new(Door {
            state: self.state.clone(),
            nats_url: self.run.nats_url.clone(),
            authority: authority.pem().to_owned(),
        });
        let serving = open.serve(move |wire| answer(Arc::clone(&door), wire));
        self.gate = Some(Open(tokio::spawn(serving)));
        say(format!("gate         {at}, for hosts that are invited"));
        self.run.listen = Some(at);
        Ok(())
    }
}
