//! The queues between the reading task and the coordinator: bounded, one an actor, served in turns.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use devmesh_protocol::limits::RECEIPTS_PER_ACTOR_MAX;
use devmesh_protocol::subject::Incoming;
use devmesh_protocol::{ActorId, HostId};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::admit::Reason;
use super::{Message, actor_of};

/// What the queues hold at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Commands and queries of one actor.
    pub requests_per_actor: usize,
    /// Bytes of their bodies.
    pub bytes_per_actor: usize,
    /// Bytes of the bodies of all.
    pub bytes: usize,
    /// Heartbeats of one actor; over it the oldest goes.
    pub beats_per_actor: usize,
    /// Requests over a bound that are still to be refused; over it they are dropped.
    pub refusals: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            requests_per_actor: RECEIPTS_PER_ACTOR_MAX,
            bytes_per_actor: 16 * 1024 * 1024,
            bytes: 256 * 1024 * 1024,
            beats_per_actor: 4,
            refusals: 8_192,
        }
    }
}

/// Shared by the reading tasks and the coordinator.
#[derive(Debug)]
pub(super) struct Queues {
    inner: Mutex<Inner>,
    arrival: Notify,
}

#[derive(Debug)]
struct Inner {
    bounds: Bounds,
    requests: Turns,
    beats: Turns,
    /// The newest report of each host.
    reports: HashMap<HostId, Message>,
    refusals: VecDeque<Message>,
    bytes: usize,
    dropped: BTreeMap<Reason, u64>,
}

/// Queues by actor, and the order in which they are served.
#[derive(Debug, Default)]
struct Turns {
    queues: HashMap<ActorId, Queue>,
    /// Those that have something, next first.
    order: VecDeque<ActorId>,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Queues {
    pub(super) fn new(bounds: Bounds) -> Self {
        let inner = Inner {
            bounds,
            requests: Turns::default(),
            beats: Turns::default(),
            reports: HashMap::new(),
            refusals: VecDeque::new(),
            bytes: 0,
            dropped: BTreeMap::new(),
        };
        Self { inner: Mutex::new(inner), arrival: Notify::new() }
    }

    /// Sorts messages in and wakes the coordinator.
    pub(super) fn put(&self, messages: impl IntoIterator<Item = Result<Message, Reason>>) {
        let mut inner = self.lock();
        for message in messages {
            match message {
                Ok(message) => inner.put(message),
                Err(reason) => inner.count(reason),
            }
        }
        drop(inner);
        self.arrival.notify_one();
    }

    /// Completes when something was put after this call, or before and not yet noticed.
    pub(super) fn arrived(&self) -> Notified<'_> {
        self.arrival.notified()
    }

    pub(super) fn take(&self, into: &mut Vec<Message>, limit: usize) -> usize {
        let before = into.len();
        let mut inner = self.lock();
        inner.take(into, limit);
        let has_more = inner.has_some();
        drop(inner);
        if has_more {
            self.arrival.notify_one();
        }
        into.len() - before
    }

    pub(super) fn discard_requests(&self) -> usize {
        let mut inner = self.lock();
        let count = inner.requests.queues.values().map(|queue| queue.messages.len()).sum::<usize>()
            + inner.refusals.len();
        inner.requests = Turns::default();
        inner.refusals.clear();
        inner.bytes = 0;
        count
    }

    pub(super) fn dropped(&self) -> BTreeMap<String, u64> {
        let inner = self.lock();
        inner.dropped.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn put(&mut self, message: Message) {
        if message.is_over_bound {
            return self.refuse(message);
        }
        let Some(actor) = actor_of(&message.incoming).cloned() else {
            return self.put_report(message);
        };
        if matches!(message.incoming, Incoming::Beat { .. }) {
            let max = self.bounds.beats_per_actor.max(1);
            if self.beats.push(&actor, message) > max {
                self.beats.drop_oldest(&actor);
                self.count("beats");
            }
            return;
        }
        let size = message.payload.len();
        let (count, bytes) = self.requests.load(&actor);
        let is_full = count >= self.bounds.requests_per_actor
            || bytes + size > self.bounds.bytes_per_actor
            || self.bytes + size > self.bounds.bytes;
        if is_full {
            return self.refuse(message);
        }
        self.bytes += size;
        self.requests.push(&actor, message);
    }

    fn put_report(&mut self, message: Message) {
        if let Incoming::Report { host } = &message.incoming
            && self.reports.insert(host.clone(), message).is_some()
        {
            self.count("reports");
        }
    }

    fn refuse(&mut self, message: Message) {
        if self.refusals.len() >= self.bounds.refusals {
            return self.count("over_bound");
        }
        self.refusals.push_back(Message { payload: Bytes::new(), is_over_bound: true, ..message });
    }

    fn count(&mut self, reason: Reason) {
        *self.dropped.entry(reason).or_default() += 1;
    }

    fn take(&mut self, into: &mut Vec<Message>, limit: usize) {
        let end = into.len().saturating_add(limit);
        let count = self.refusals.len().min(limit);
        into.extend(self.refusals.drain(..count));
        while into.len() < end
            && let Some(message) = self.beats.pop()
        {
            into.push(message);
        }
        if into.len() < end && !self.reports.is_empty() {
            let hosts: Vec<_> = self.reports.keys().take(end - into.len()).cloned().collect();
            into.extend(hosts.iter().filter_map(|host| self.reports.remove(host)));
        }
        while into.len() < end
            && let Some(message) = self.requests.pop()
        {
            self.bytes = self.bytes.saturating_sub(message.payload.len());
            into.push(message);
        }
    }

    fn has_some(&self) -> bool {
        !(self.refusals.is_empty()
            && self.beats.order.is_empty()
            && self.reports.is_empty()
            && self.requests.order.is_empty())
    }
}

impl Turns {
    /// How many messages of the actor there are, and their bytes.
    fn load(&self, actor: &ActorId) -> (usize, usize) {
        self.queues.get(actor).map_or((0, 0), |queue| (queue.messages.len(), queue.bytes))
    }

    /// Adds a message and returns how many there are then.
    fn push(&mut self, actor: &ActorId, message: Message) -> usize {
        let queue = self.queues.entry(actor.clone()).or_default();
        if queue.messages.is_empty() {
            self.order.push_back(actor.clone());
        }
        queue.bytes += message.payload.len();
        queue.messages.push_back(message);
        queue.messages.len()
    }

    fn drop_oldest(&mut self, actor: &ActorId) {
        if let Some(queue) = self.queues.get_mut(actor)
            && let Some(message) = queue.messages.pop_front()
        {
            queue.bytes -= message.payload.len();
        }
    }

    /// The next message of the next actor, who then goes to the end of the line.
    fn pop(&mut self) -> Option<Message> {
        let actor = self.order.pop_front()?;
        let queue = self.queues.get_mut(&actor)?;
        let message = queue.messages.pop_front()?;
        queue.bytes -= message.payload.len();
        if queue.messages.is_empty() {
            // An actor that is quiet takes no room.
            self.queues.remove(&actor);
        } else {
            self.order.push_back(actor);
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests;
