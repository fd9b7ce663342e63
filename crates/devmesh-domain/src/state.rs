//! The state of a mesh: what the log says, and nothing else. Only `fold` changes it.

pub mod agent;
pub mod host;
pub mod index;
pub mod lease;
pub mod mesh;
pub mod plan;
pub mod task;

use devmesh_protocol::command::task::Usage;
use devmesh_protocol::event::agent::Capacity;
use devmesh_protocol::limits::{
    BUDGET_USD_PER_DAY, GRACE_MS, LEASE_TTL_MS, SESSION_SILENT_MS, SHARE_AFTER_MS,
};
use devmesh_protocol::{ActorId, At, Digest, HostId, LeaseId, RepoId, TaskId};

use crate::table::{Sum, Table};
use agent::{Actor, Agent};
use host::Gauge;
use index::Index;
use lease::{Lease, Waiter};
use mesh::{Checkout, LandQueue, Mesh, Note, Receipt, ReceiptKey, ReceiptOrder, Refusals, Repo};
use task::Task;

/// A branch that work lands on.
pub type Target = (RepoId, String);

/// Everything a decision can depend on.
#[derive(Clone, Debug)]
pub struct State {
    /// The newest record, 0 before the first.
    pub seq: u64,
    /// When it was decided.
    pub at: At,
    /// Scalars: term, leader, counters, pause, architect, framework.
    pub(crate) mesh: Table<(), Mesh>,
    pub(crate) actors: Table<ActorId, Actor>,
    pub(crate) agents: Table<ActorId, Agent>,
    pub(crate) hosts: Table<HostId, Capacity>,
    /// What is measured of them, where a probe reports.
    pub(crate) gauges: Table<HostId, Gauge>,
    pub(crate) repos: Table<RepoId, Repo>,
    /// What people have changed in their checkouts, by repository and person.
    pub(crate) checkouts: Table<(RepoId, ActorId), Checkout>,
    pub(crate) leases: Table<LeaseId, Lease>,
    /// By the `seq` of their `LockQueued`, which is their place in the queue.
    pub(crate) waiters: Table<u64, Waiter>,
    pub(crate) tasks: Table<TaskId, Task>,
    pub(crate) lands: Table<Target, LandQueue>,
    pub(crate) notes: Table<String, Note>,
    /// Values as JSON text.
    pub(crate) settings: Table<String, String>,
    pub(crate) receipts: Table<ReceiptKey, Receipt>,
    pub(crate) receipt_orders: Table<ActorId, ReceiptOrder>,
    pub(crate) refusals: Table<ActorId, Refusals>,
    pub(crate) redacted: Table<Digest, u64>,
    /// Derived from the tables above, never hashed: look-ups whose cost does not grow.
    pub(crate) index: Index,
}

impl Default for State {
    fn default() -> State {
        let mut mesh = Table::new("mesh");
        mesh.insert((), Mesh::default());
        State {
            seq: 0,
            at: At(0),
            mesh,
            actors: Table::new("actors"),
            agents: Table::new("agents"),
            hosts: Table::new("hosts"),
            gauges: Table::new("gauges"),
            repos: Table::new("repos"),
            checkouts: Table::new("checkouts"),
            leases: Table::new("leases"),
            waiters: Table::new("waiters"),
            tasks: Table::new("tasks"),
            lands: Table::new("lands"),
            notes: Table::new("notes"),
            settings: Table::new("settings"),
            receipts: Table::new("receipts"),
            receipt_orders: Table::new("receipt_orders"),
            refusals: Table::new("refusals"),
            redacted: Table::new("redacted"),
            index: Index::default(),
        }
    }
}

impl State {
    /// The scalars.
    pub fn mesh(&self) -> &Mesh {
        self.mesh.get(&()).expect("the one row is made with the state and never taken out")
    }

    pub(crate) fn mesh_mut(&mut self) -> &mut Mesh {
        self.mesh.get_mut(&()).expect("the one row is made with the state and never taken out")
    }

    /// A number that people can set, or its default.
    fn number(&self, key: &str, default: u64) -> u64 {
        let set = self.settings.get(&key.to_owned()).and_then(|text| text.parse().ok());
        set.unwrap_or(default)
    }

    /// How long an agent's lease lives where no time is asked for, in milliseconds.
    pub fn lock_ttl_ms(&self) -> u64 {
        self.number("lock.ttl_ms", LEASE_TTL_MS)
    }

    /// The wait after which an attempt shares a path with its holder, in milliseconds.
    pub fn share_after_ms(&self) -> u64 {
        self.number("share_after_ms", SHARE_AFTER_MS)
    }

    /// Silence beyond a lease's time before it is freed, in milliseconds.
    pub fn grace_ms(&self) -> u64 {
        self.number("session.grace_ms", GRACE_MS)
    }

    /// Silence that ends a session, in milliseconds.
    pub fn session_silent_ms(&self) -> u64 {
        self.number("session.silent_ms", SESSION_SILENT_MS)
    }

    /// What all tasks may cost in a day, in millionths of a US dollar.
    pub fn budget_per_day(&self) -> u64 {
        self.number("budget.usd_per_day", BUDGET_USD_PER_DAY).saturating_mul(1_000_000)
    }

    /// What was spent on the day of that time, as far as tools told.
    pub fn spent_on_day_of(&self, at: At) -> u64 {
        let spent = self.mesh().spent;
        if spent.day == at.0 / mesh::DAY_MS { spent.micro_usd } else { 0 }
    }

    /// A tool told more of what it has cost.
    pub(crate) fn spend(&mut self, before: Usage, now: Usage) {
        let cost = |usage: Usage| usage.cost_micro_usd.unwrap_or(0);
        let more = cost(now).saturating_sub(cost(before));
        if more == 0 {
            return;
        }
        let (at, micro_usd) = (self.at, self.spent_on_day_of(self.at).saturating_add(more));
        self.mesh_mut().spent = mesh::Spent { day: at.0 / mesh::DAY_MS, micro_usd };
    }

    /// The hash of everything but the indexes. Work only for what changed since the last call.
    pub fn hash(&mut self) -> Digest {
        let mut sum = Sum::default();
        let sums = [
            self.mesh.sum(),
            self.actors.sum(),
            self.agents.sum(),
            self.hosts.sum(),
            self.gauges.sum(),
            self.repos.sum(),
            self.checkouts.sum(),
            self.leases.sum(),
            self.waiters.sum(),
            self.tasks.sum(),
            self.lands.sum(),
            self.notes.sum(),
            self.settings.sum(),
            self.receipts.sum(),
            self.receipt_orders.sum(),
            self.refusals.sum(),
            self.redacted.sum(),
        ];
        for one in &sums {
            sum.add(one);
        }
        let mut bytes = sum.to_bytes().to_vec();
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.extend_from_slice(&self.at.0.to_le_bytes());
        Digest::of(&bytes)
    }
}

/// Whether a field says nothing: such fields are left out of the hash, so that a field that a
/// later version adds changes no hash of an older log.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests;
