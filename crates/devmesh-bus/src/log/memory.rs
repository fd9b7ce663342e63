//! The in-memory twin of the log, for simulation and tests.
//!
//! Handles of any number of terms and rivals share one store. It knows no time: what goes wrong is
//! a scripted queue of [`Fault`]s, one per append, so the same script gives the same log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tokio::sync::{oneshot, watch};

use super::strict::{Strict, Take, beyond_end, made_anew};
use super::{AppendError, Entries, Entry, Log, Open, PAYLOAD_BYTES_MAX};
use crate::error::Result;

#[cfg(test)]
mod tests;

/// What happens to one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it is stored and acknowledged.
    Pass,
    /// It never arrives; the caller's outcome is unknown.
    LoseRequest,
    /// It is stored; the acknowledgement never arrives.
    LoseAck,
    /// It is under way until [`MemoryOpen::release`]; the caller waits for it.
    Delay,
    /// The caller's outcome is unknown; it is sent at [`MemoryOpen::release`], however late.
    LateSend,
    /// The disk is full: the store refuses it.
    Refuse,
    /// There is no stream, or no leader: nobody answers for it.
    NoResponders,
    /// Nothing is stored, yet it is acknowledged as a duplicate of what is.
    Duplicate,
    /// It is stored, yet the acknowledgement names another position.
    WrongSeq,
}

type Outcome = std::result::Result<u64, AppendError>;

/// Opens handles on one shared store, and is the hand that breaks it.
#[derive(Debug, Clone)]
pub struct MemoryOpen {
    store: Arc<Store>,
}

/// One handle on the shared store.
#[derive(Debug, Clone)]
pub struct MemoryLog {
    store: Arc<Store>,
}

#[derive(Debug)]
struct Store {
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Position p stands at index p - 1; `None` is a hole.
    entries: Vec<Option<Bytes>>,
    script: VecDeque<Fault>,
    held: VecDeque<Held>,
    refusing: bool,
    /// Counts how often the stream was made anew.
    made: u64,
    /// Counts how often every consumer was lost.
    lost: u64,
}

/// An append that is under way.
#[derive(Debug)]
struct Held {
    expected_last: u64,
    payload: Bytes,
    answer: Option<oneshot::Sender<Outcome>>,
}

impl Default for MemoryOpen {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryOpen {
    /// An empty log without faults.
    #[must_use]
    pub fn new() -> Self {
        let store = Store { inner: Mutex::default(), changed: watch::Sender::new(0) };
        Self { store: Arc::new(store) }
    }

    /// A log that already holds `payloads`, at the positions 1, 2, 3 ….
    #[must_use]
    pub fn holding(payloads: impl IntoIterator<Item = Bytes>) -> Self {
        let log = Self::new();
        log.store.lock().entries = payloads.into_iter().map(Some).collect();
        log
    }

    /// Another handle, without the ceremony of [`Open::open`].
    #[must_use]
    pub fn handle(&self) -> MemoryLog {
        MemoryLog { store: Arc::clone(&self.store) }
    }

    /// Adds to the faults that the next appends meet, one each, whoever makes them.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.store.lock().script.extend(faults);
    }

    /// How many scripted faults no append has met yet.
    #[must_use]
    pub fn scripted(&self) -> usize {
        self.store.lock().script.len()
    }

    /// From now on the disk is full, or has room again.
    pub fn refuse(&self, refusing: bool) {
        self.store.lock().refusing = refusing;
    }

    /// Lets every append that is under way arrive, in the order in which it was sent. Returns how
    /// many there were.
    pub fn release(&self) -> usize {
        let held = std::mem::take(&mut self.store.lock().held);
        let count = held.len();
        for append in held {
            let outcome = self.store.lock().put(append.expected_last, append.payload);
            if let Some(answer) = append.answer {
                // The caller may have given up; the append is stored all the same.
                let _ = answer.send(outcome);
            }
        }
        self.store.touch();
        count
    }

    /// Lets every caller that waits give up; what it sent stays under way.
    pub fn time_out(&self) {
        for append in &mut self.store.lock().held {
            if let Some(answer) = append.answer.take() {
                let _ = answer.send(Err(AppendError::unknown("no answer in time")));
            }
        }
    }

    /// Moves the end of the log back to `last`, as a store does that lost what it acknowledged.
    pub fn roll_back(&self, last: u64) {
        self.store.lock().entries.truncate(index(last + 1));
        self.store.touch();
    }

    /// Deletes the log and makes an empty one of the same name.
    pub fn make_anew(&self) {
        let mut inner = self.store.lock();
        inner.entries.clear();
        inner.made += 1;
        drop(inner);
        self.store.touch();
    }

    /// Every consumer is lost and begins again at position 1, which is what a client may do whose
    /// consumer was lost before its first message.
    pub fn lose_consumers(&self) {
        self.store.lock().lost += 1;
        self.store.touch();
    }

    /// Removes the entry at `stream_seq`, so that readers meet a hole.
    pub fn remove(&self, stream_seq: u64) {
        if let Some(entry) = self.store.lock().entries.get_mut(index(stream_seq)) {
            *entry = None;
        }
    }

    /// Puts other bytes in the place of those at `stream_seq`.
    pub fn overwrite(&self, stream_seq: u64, payload: Bytes) {
        if let Some(entry) = self.store.lock().entries.get_mut(index(stream_seq)) {
            *entry = Some(payload);
        }
    }

    /// All that is stored.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let inner = self.store.lock();
        let numbered = (1..).zip(&inner.entries);
        let entry = |(stream_seq, payload): (u64, &Option<Bytes>)| {
            payload.clone().map(|payload| Entry { stream_seq, payload })
        };
        numbered.filter_map(entry).collect()
    }

    /// How many appends are under way.
    #[must_use]
    pub fn held(&self) -> usize {
        self.store.lock().held.len()
    }
}

impl Open for MemoryOpen {
    type Log = MemoryLog;

    async fn open(&self) -> Result<MemoryLog> {
        Ok(self.handle())
    }
}

impl MemoryLog {
    /// [`Log::append`] without waiting; `Err(waiting)` where the append is delayed.
    fn begin(&self, expected_last: u64, payload: Bytes) -> Begun {
        if payload.len() > PAYLOAD_BYTES_MAX {
            let what = format!("{} bytes, {PAYLOAD_BYTES_MAX} are allowed", payload.len());
            return Begun::Done(Err(AppendError::NotStored(what)));
        }
        let mut inner = self.store.lock();
        let fault = inner.script.pop_front().unwrap_or(Fault::Pass);
        let done = match fault {
            Fault::Pass => inner.put(expected_last, payload),
            Fault::LoseRequest => Err(AppendError::unknown("no answer in time")),
            Fault::LoseAck => {
                // Whether it was stored or refused, the caller hears nothing.
                let _ = inner.put(expected_last, payload);
                Err(AppendError::unknown("no answer in time"))
            }
            Fault::Delay => {
                let (answer, waiting) = oneshot::channel();
                inner.held.push_back(Held { expected_last, payload, answer: Some(answer) });
                return Begun::Waiting(waiting);
            }
            Fault::LateSend => {
                inner.held.push_back(Held { expected_last, payload, answer: None });
                Err(AppendError::unknown("no answer in time"))
            }
            Fault::Refuse => Err(disk_full()),
            Fault::NoResponders => Err(AppendError::NotStored("no responders".into())),
            Fault::Duplicate => Err(AppendError::unknown("acknowledged as a duplicate")),
            Fault::WrongSeq => inner.put(expected_last, payload).and_then(|seq| {
                Err(AppendError::unknown(format!("acknowledged at {}, not {seq}", seq + 1)))
            }),
        };
        drop(inner);
        self.store.touch();
        Begun::Done(done)
    }
}

/// An append that was made: answered, or under way.
enum Begun {
    Done(Outcome),
    Waiting(oneshot::Receiver<Outcome>),
}

impl Log for MemoryLog {
    async fn append(&self, expected_last: u64, _epoch: u64, payload: Bytes) -> Outcome {
        match self.begin(expected_last, payload) {
            Begun::Done(outcome) => outcome,
            Begun::Waiting(waiting) => {
                waiting.await.unwrap_or_else(|_| Err(AppendError::unknown("no answer in time")))
            }
        }
    }

    async fn last(&self) -> Result<u64> {
        Ok(self.store.lock().last())
    }

    fn read(&self, from: u64, to: u64) -> Entries {
        let order = Strict::from(from);
        let state = Some((Arc::clone(&self.store), order));
        let entries = stream::unfold(state, move |state| async move {
            let (store, mut order) = state?;
            if order.next() > to {
                return None;
            }
            let next = order.next();
            match store.lock().at(next) {
                At::Entry(entry) => {
                    order.take(next);
                    Some((Ok(entry), Some((Arc::clone(&store), order))))
                }
                At::Hole(seq) => Some((Err(order.gap(seq)), None)),
                At::End(last) => Some((Err(beyond_end(to, last)), None)),
            }
        });
        entries.boxed()
    }

    fn tail(&self, from: u64) -> Entries {
        let inner = self.store.lock();
        let follower = Follower {
            changed: self.store.changed.subscribe(),
            order: Strict::from(from),
            cursor: from.max(1),
            made: inner.made,
            lost: inner.lost,
            store: Arc::clone(&self.store),
        };
        drop(inner);
        let entries = stream::unfold(Some(follower), |follower| async move {
            let mut follower = follower?;
            let entry = follower.next_entry().await;
            let go_on = entry.is_ok().then_some(follower);
            Some((entry, go_on))
        });
        entries.boxed()
    }
}

/// A tail: reads at its cursor, which a lost consumer puts back to 1.
struct Follower {
    store: Arc<Store>,
    changed: watch::Receiver<u64>,
    order: Strict,
    cursor: u64,
    made: u64,
    lost: u64,
}

impl Follower {
    async fn next_entry(&mut self) -> Result<Entry> {
        loop {
            self.changed.mark_unchanged();
            if let Some(entry) = self.step()? {
                return Ok(entry);
            }
            // The store, and with it the sender, lives as long as this follower.
            if self.changed.changed().await.is_err() {
                futures::future::pending::<()>().await;
            }
        }
    }

    /// The next entry, `None` at the end of the log.
    fn step(&mut self) -> Result<Option<Entry>> {
        let store = Arc::clone(&self.store);
        let inner = store.lock();
        if inner.made != self.made {
            return Err(made_anew());
        }
        if inner.last() + 1 < self.order.next() {
            return Err(self.order.rolled_back(inner.last()));
        }
        if inner.lost != self.lost {
            self.lost = inner.lost;
            self.cursor = 1;
        }
        loop {
            let entry = match inner.at(self.cursor) {
                At::Entry(entry) => entry,
                At::Hole(seq) if seq <= self.order.next() => {
                    self.cursor = seq;
                    continue;
                }
                At::Hole(seq) => return Err(self.order.gap(seq)),
                At::End(_) => return Ok(None),
            };
            self.cursor += 1;
            match self.order.take(entry.stream_seq) {
                Take::Apply => return Ok(Some(entry)),
                Take::Skip => {}
                Take::Jump => return Err(self.order.gap(entry.stream_seq)),
            }
        }
    }
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes every tail.
    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// What stands at a position.
enum At {
    Entry(Entry),
    /// Nothing; the next entry stands here, or would.
    Hole(u64),
    /// The log ends before it, here.
    End(u64),
}

impl Inner {
    fn last(&self) -> u64 {
        self.entries.len() as u64
    }

    fn at(&self, stream_seq: u64) -> At {
        match self.entries.get(index(stream_seq)) {
            None => At::End(self.last()),
            Some(Some(payload)) => At::Entry(Entry { stream_seq, payload: payload.clone() }),
            Some(None) => {
                let after = (stream_seq + 1..).zip(&self.entries[index(stream_seq + 1)..]);
                let found = after.into_iter().find(|(_, entry)| entry.is_some());
                At::Hole(found.map_or(self.last() + 1, |(seq, _)| seq))
            }
        }
    }

    fn put(&mut self, expected_last: u64, payload: Bytes) -> Outcome {
        if self.refusing {
            return Err(disk_full());
        }
        let last = self.last();
        if expected_last != last {
            return Err(AppendError::Conflict(format!("wrong last sequence: {last}")));
        }
        self.entries.push(Some(payload));
        Ok(last + 1)
    }
}

fn disk_full() -> AppendError {
    AppendError::Unknown { code: Some(10077), what: "no space left on device".into() }
}

/// Where the entry of a position stands; positions begin at 1.
fn index(stream_seq: u64) -> usize {
    usize::try_from(stream_seq.saturating_sub(1)).unwrap_or(usize::MAX)
}
