//! Refusals of an actor beyond those that are recorded one by one: counted, and told together.

use std::collections::BTreeMap;

use devmesh_protocol::{ActorId, Code};

/// How long they are gathered.
const GATHER_MS: u64 = 60_000;
/// Actors whose refusals are gathered at the same time.
const ACTORS_MAX: usize = 4_096;

/// By actor: since when, and how many with which answer.
#[derive(Debug, Default)]
pub(crate) struct Suppressed {
    by_actor: BTreeMap<ActorId, (u64, BTreeMap<Code, u64>)>,
}

impl Suppressed {
    pub(crate) fn count(&mut self, actor: &ActorId, code: Code, now: u64) {
        if let Some((_, counts)) = self.by_actor.get_mut(actor) {
            *counts.entry(code).or_default() += 1;
        } else if self.by_actor.len() < ACTORS_MAX {
            self.by_actor.insert(actor.clone(), (now, BTreeMap::from([(code, 1)])));
        }
    }

    /// Takes the counts of an actor whose time is over.
    pub(crate) fn take(&mut self, now: u64) -> Option<(ActorId, BTreeMap<Code, u64>)> {
        let is_over = |since: u64| now.saturating_sub(since) >= GATHER_MS;
        let actor = self.by_actor.iter().find(|(_, (since, _))| is_over(*since))?.0.clone();
        self.by_actor.remove(&actor).map(|(_, counts)| (actor, counts))
    }
}

#[cfg(test)]
mod tests;
