//! Answers that left no record. What they say rests on a state that has moved on since, so that a
//! late copy of the same command must not be decided anew: it would be granted what its sender was
//! told it did not get.

use std::collections::{BTreeMap, VecDeque};

use devmesh_domain::answer::{expired, reused};
use devmesh_protocol::limits::RECEIPTS_PER_ACTOR_MAX;
use devmesh_protocol::{ActorId, Code, Command, CommandId, Digest, Rejection, Reply, Verb};

/// Actors whose answers are kept at the same time.
const ACTORS_MAX: usize = 1_024;

/// The newest of them, by actor. They live as long as the process.
#[derive(Debug, Default)]
pub(crate) struct Given {
    by_actor: BTreeMap<ActorId, Row>,
    clock: u64,
}

#[derive(Debug, Default)]
struct Row {
    answers: BTreeMap<CommandId, (Digest, Reply)>,
    /// Oldest first.
    order: VecDeque<CommandId>,
    /// The greatest UUIDv7 time that was forgotten, in milliseconds.
    forgotten_ms: u64,
    used: u64,
}

impl Given {
    /// Remembers an answer, where a second decision could differ from it and do harm.
    pub(crate) fn put(&mut self, command: &Command, reply: &Reply) {
        if !spends(command, reply) {
            return;
        }
        self.clock += 1;
        if self.by_actor.len() >= ACTORS_MAX && !self.by_actor.contains_key(&command.actor) {
            let idle = self.by_actor.iter().min_by_key(|(_, row)| row.used);
            if let Some(actor) = idle.map(|(actor, _)| actor.clone()) {
                self.by_actor.remove(&actor);
            }
        }
        let row = self.by_actor.entry(command.actor.clone()).or_default();
        row.used = self.clock;
        row.answers.insert(command.id.clone(), (command.digest(), reply.clone()));
        row.order.push_back(command.id.clone());
        while row.order.len() > RECEIPTS_PER_ACTOR_MAX {
            let Some(oldest) = row.order.pop_front() else { break };
            row.answers.remove(&oldest);
            row.forgotten_ms = row.forgotten_ms.max(oldest.uuid_v7_ms().unwrap_or(0));
        }
    }

    /// What a command of that id was told, if it was told anything.
    pub(crate) fn get(&self, command: &Command) -> Option<Reply> {
        let row = self.by_actor.get(&command.actor)?;
        let rejection = match row.answers.get(&command.id) {
            Some((digest, reply)) if *digest == command.digest() => return Some(reply.clone()),
            Some(_) => reused(command),
            None if command.id.uuid_v7_ms().is_some_and(|ms| ms <= row.forgotten_ms) => {
                expired(command)
            }
            None => return None,
        };
        Some(Reply::Err { seq: None, error: rejection })
    }

    /// The answer never left.
    pub(crate) fn take_back(&mut self, command: &Command) {
        if let Some(row) = self.by_actor.get_mut(&command.actor) {
            row.answers.remove(&command.id);
            row.order.retain(|id| *id != command.id);
        }
    }
}

/// Bids and progress change nothing that lasts; and who is not known yet may join and ask again.
fn spends(command: &Command, reply: &Reply) -> bool {
    if matches!(command.verb, Verb::TaskBid(_) | Verb::TaskProgress(_)) {
        return false;
    }
    !matches!(
        reply,
        Reply::Err {
            error: Rejection { code: Code::AgentNotRegistered | Code::NotPermitted, .. },
            ..
        }
    )
}

#[cfg(test)]
mod tests;
