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
    /// When anything at all was heard last.
    heard_at: u64,
}

impl Sessions {
    /// Silence counts from now at the earliest: nobody was listened to before.
    pub(crate) fn listen_from(&mut self, now: u64) {
        self.listening_since = now;
    }

    /// Something has come over the connection that heartbeats come by. Leaders beat there ten times
    /// a second, and hear themselves. Where nothing came for a while, this process stood still or
    /// its connection was dead, and others may have been heard and answered by somebody else: it
    /// begins to listen now. In a shorter time nobody misses more than one heartbeat.
    pub(crate) fn hears(&mut self, now: u64) {
        if !self.is_listening(now) {
            self.listen_from(now);
        }
        self.heard_at = now;
    }

    /// Whether anything is heard at all, so that a silence says something.
    pub(crate) fn is_listening(&self, now: u64) -> bool {
        now.saturating_sub(self.heard_at) < BEAT_MS
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
        self.silence(heard.unwrap_or(0), now)
    }

    /// For how long somebody has been silent who was heard last then.
    pub(crate) fn silence(&self, heard_at: u64, now: u64) -> u64 {
        now.saturating_sub(heard_at.max(self.listening_since))
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
