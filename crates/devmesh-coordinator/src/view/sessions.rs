//! Who was heard when. Standbys keep this too.

use std::collections::BTreeMap;

use devmesh_protocol::limits::BEAT_MS;
use devmesh_protocol::{ActorId, SessionId};

/// Sessions that are kept, whether the state knows them or not.
const HEARD_MAX: usize = 16_384;
/// How long one that the state does not know is kept.
const STRANGER_MS: u64 = 120_000;

/// The last heartbeat of each session, by the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    heard: BTreeMap<ActorId, Vec<(SessionId, u64)>>,
    count: usize,
    /// Nobody can have been heard before this.
    listening_since: u64,
    ran_at: u64,
}

impl Sessions {
    /// Silence counts from now at the earliest: nobody was listened to before.
    pub(crate) fn listen_from(&mut self, now: u64) {
        self.listening_since = now;
    }

    /// This process runs. One that stood still has listened to nobody meanwhile: what was sent to
    /// it may have been dropped before it could read it, while somebody else led and answered.
    /// Of what comes in a shorter time nobody misses more than one heartbeat.
    pub(crate) fn runs(&mut self, now: u64) {
        if now.saturating_sub(self.ran_at) >= BEAT_MS {
            self.listen_from(now);
        }
        self.ran_at = now;
    }

    /// A session was heard.
    pub(crate) fn hear(&mut self, actor: &ActorId, session: &SessionId, now: u64) {
        if let Some(sessions) = self.heard.get_mut(actor)
            && let Some((_, heard)) = sessions.iter_mut().find(|(known, _)| known == session)
        {
            *heard = now;
            return;
        }
        if self.count < HEARD_MAX {
            let sessions = self.heard.entry(actor.clone()).or_default();
            sessions.push((session.clone(), now));
            self.count += 1;
        }
    }

    /// For how long a session has been silent.
    pub(crate) fn silent_ms(&self, actor: &ActorId, session: &SessionId, now: u64) -> u64 {
        let sessions = self.heard.get(actor).map(Vec::as_slice).unwrap_or_default();
        let heard = sessions.iter().find(|(known, _)| known == session).map(|(_, heard)| *heard);
        now.saturating_sub(heard.unwrap_or(0).max(self.listening_since))
    }

    /// Forgets those that have long been silent; the state has ended them, or never knew them.
    pub(crate) fn prune(&mut self, now: u64) {
        self.heard.retain(|_, sessions| {
            sessions.retain(|(_, heard)| now.saturating_sub(*heard) < STRANGER_MS);
            !sessions.is_empty()
        });
        self.count = self.heard.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests;
