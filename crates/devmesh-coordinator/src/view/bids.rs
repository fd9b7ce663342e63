//! Sealed bids on open auctions. They live in memory only: after a takeover the window opens again.

use std::collections::{BTreeMap, BTreeSet};

use devmesh_protocol::event::Bid;
use devmesh_protocol::{ActorId, At, TaskId};

/// Bids of one auction.
const BIDS_MAX: usize = devmesh_protocol::limits::AGENTS_MAX;

/// The bids on each open auction, and when each closes.
#[derive(Debug, Default)]
pub(crate) struct Bids {
    by_task: BTreeMap<TaskId, BTreeMap<ActorId, Bid>>,
    closing: BTreeSet<(At, TaskId)>,
    expected: BTreeMap<TaskId, usize>,
}

impl Bids {
    /// An auction is open. An earlier one of the task may have ended without being closed here, by
    /// a person's pause: neither its bids nor its end are this one's.
    pub(crate) fn open(&mut self, task: TaskId, closes_at: At) {
        drop(self.close(task));
        self.closing.insert((closes_at, task));
    }

    /// Puts a bid; a later one of the same actor replaces it. Returns whether it leads.
    pub(crate) fn put(&mut self, task: TaskId, bid: Bid) -> bool {
        let bids = self.by_task.entry(task).or_default();
        let behind = |other: &Bid| other.declined.is_some() || other.total < bid.total;
        let leads = bids.values().all(|other| other.actor == bid.actor || behind(other));
        if bids.len() < BIDS_MAX || bids.contains_key(&bid.actor) {
            bids.insert(bid.actor.clone(), bid);
        }
        leads
    }

    /// Whether as many have bid as could the last time that somebody looked.
    pub(crate) fn may_be_all(&self, task: TaskId) -> bool {
        let count = self.by_task.get(&task).map_or(0, BTreeMap::len);
        count >= self.expected.get(&task).copied().unwrap_or(1)
    }

    /// Whether all of these have bid.
    pub(crate) fn are_all(&mut self, task: TaskId, actors: &[ActorId]) -> bool {
        self.expected.insert(task, actors.len().max(1));
        let bids = self.by_task.get(&task);
        !actors.is_empty()
            && bids.is_some_and(|bids| actors.iter().all(|actor| bids.contains_key(actor)))
    }

    /// The first auction that closes.
    pub(crate) fn first(&self) -> Option<(At, TaskId)> {
        self.closing.first().copied()
    }

    /// Takes an auction's bids: it closes.
    pub(crate) fn close(&mut self, task: TaskId) -> Vec<Bid> {
        self.closing.retain(|(_, other)| *other != task);
        self.expected.remove(&task);
        self.by_task.remove(&task).unwrap_or_default().into_values().collect()
    }

    /// Forgets all: the term is over.
    pub(crate) fn clear(&mut self) {
        self.by_task.clear();
        self.closing.clear();
        self.expected.clear();
    }
}

#[cfg(test)]
mod tests;
