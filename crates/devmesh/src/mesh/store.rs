//! A store that takes nothing: noticed, said, and taken up again when there is room.
//!
//! nats-server does not get over a write that failed until it is started again, so it is, once its
//! folder has room and can be written. Until then it is left as it is: it still answers what is
//! read, and a server that is started on a full disk would not come up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use devmesh_bus::cred::Trust;
use devmesh_bus::server::{self, ServerOptions};
use nix::sys::signal::Signal;

use super::bus;
use super::watch::{BUS, Mesh, News};
use crate::error::{Result, chain};
use crate::output::say;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// Between two restarts for this reason: fewer than make a process one that is given up.
const AGAIN: Duration = Duration::from_secs(30);

/// What is known of the store.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// It was said that it takes nothing.
    is_told: bool,
    /// When the server was last ended to be started again.
    ended_at: Option<Instant>,
}

/// What a look has shown.
#[derive(Debug)]
pub(super) struct Look {
    /// The write that failed, in the server's words.
    failed: Option<String>,
    /// Why there is no room; none where there is.
    no_room: Option<String>,
}

impl Mesh {
    /// Looks at the store after a while, for ever.
    pub(super) fn look_at_store(&mut self) -> Result<()> {
        let options = bus::options(&self.state, &self.plan, self.keys()?)?;
        let (trust, url) = (Arc::clone(self.keys()?), self.run.nats_url.clone());
        self.news.spawn(async move {
            tokio::time::sleep(LOOK).await;
            News::Store(look(&trust, &url, &options).await)
        });
        Ok(())
    }

    /// What follows from a look.
    pub(super) fn store_looked_at(&mut self, look: &Look) -> Result<()> {
        self.look_at_store()?;
        let Some(failed) = &look.failed else {
            if std::mem::take(&mut self.store.is_told) {
                say("the store takes again what is sent to it");
                tracing::info!("the store takes again what is sent to it");
            }
            return Ok(());
        };
        if let Some(no_room) = &look.no_room {
            if !std::mem::replace(&mut self.store.is_told, true) {
                say(format!("nothing can be recorded: {no_room}"));
                tracing::error!(failed, no_room, "the store takes nothing");
            }
            return Ok(());
        }
        if self.store.ended_at.is_some_and(|at| at.elapsed() < AGAIN) {
            return Ok(());
        }
        if let Some(server) = self.run.living(BUS) {
            say("there is room for the store again; starting nats-server again");
            tracing::warn!(failed, "there is room again: the server takes nothing until restarted");
            self.store.ended_at = Some(Instant::now());
            server.signal(Signal::SIGTERM);
        }
        Ok(())
    }

    /// Whether the bus can be started; where it cannot it is looked at again after a while, and
    /// that counts as no crash.
    pub(super) fn has_room(&mut self) -> Result<bool> {
        let options = bus::options(&self.state, &self.plan, self.keys()?)?;
        let Err(error) = server::room(&options) else { return Ok(true) };
        let no_room = chain(&error);
        if !std::mem::replace(&mut self.store.is_told, true) {
            say(format!("nats-server cannot be started again: {no_room}"));
            tracing::error!(no_room, "the bus waits for room");
        }
        self.news.spawn(async {
            tokio::time::sleep(LOOK).await;
            News::Again { name: BUS.to_owned() }
        });
        Ok(false)
    }
}

async fn look(trust: &Trust, url: &str, options: &ServerOptions) -> Look {
    let failed = match trust.failed_write(url).await {
        Ok(failed) => failed,
        Err(error) => {
            // A server that is gone is heard of elsewhere.
            tracing::debug!(error, "the server does not tell how it is");
            None
        }
    };
    // The block that is written for a look is spared where all is well.
    let no_room = failed.as_ref().and_then(|_| server::room(options).err());
    Look { failed, no_room: no_room.map(|error| chain(&error)) }
}
