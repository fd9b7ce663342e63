//! The signals that a supervising process hears.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::output::say;

/// What a supervising process is told by a signal.
pub(super) enum Heard {
    /// It is to end.
    End,
    /// Something is to be added.
    More,
}

/// Ctrl-C and SIGTERM end; SIGHUP, a closed terminal, only detaches; SIGUSR1 adds.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    more: Signal,
}

impl Signals {
    /// Begins to hear them.
    pub(crate) fn listen() -> Result<Signals> {
        let hear =
            |kind| signal(kind).map_err(|error| Error::failed("hear signals").because(error));
        Ok(Signals {
            interrupt: hear(SignalKind::interrupt())?,
            terminate: hear(SignalKind::terminate())?,
            hangup: hear(SignalKind::hangup())?,
            more: hear(SignalKind::user_defined1())?,
        })
    }

    /// Returns when the process is to end.
    pub(crate) async fn end(&mut self) {
        while !matches!(self.next().await, Heard::End) {}
    }

    /// The next that means something.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return Heard::End,
                _ = self.terminate.recv() => return Heard::End,
                _ = self.more.recv() => return Heard::More,
                _ = self.hangup.recv() => {
                    say("detached; `devmesh down` ends the mesh");
                }
            }
        }
    }
}

/// The start was ended by a signal; all is said.
pub(super) fn interrupted() -> Error {
    say("ended before all had started");
    Error::silent(Exit::Failed)
}

/// What a process ends by: cancelled by Ctrl-C, SIGTERM or a closed terminal.
pub(crate) fn shutdown() -> Result<CancellationToken> {
    let mut signals = Signals::listen()?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = signals.interrupt.recv() => {}
            _ = signals.terminate.recv() => {}
            _ = signals.hangup.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(token)
}
