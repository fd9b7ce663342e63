//! Look-ups derived from the tables. They are rebuilt by folding and never hashed; each is there
//! so that the cost of a decision does not grow with the number of leases, tasks or agents.

mod path;
mod task;

use std::collections::{BTreeMap, BTreeSet};

use devmesh_protocol::command::agent::Needs;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{ActorId, At, CommandId, HostId, LeaseId, RepoId, SessionId, TaskId};

pub use path::Paths;
pub use task::TaskIndex;

use super::task::Place;

/// What becomes due at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A person's lease ends.
    Lease(LeaseId),
    /// A waiter begins to share what it waits for; before its wait ends.
    Share(u64),
    /// A wait for leases ends.
    Waiter(u64),
    /// An award must have started.
    Start(TaskId),
    /// An auction may open again.
    Auction(TaskId),
    /// A wait for a turn ends.
    Land(TaskId),
    /// A question's default counts.
    Question(TaskId),
    /// An attempt that waits is parked.
    Park(TaskId),
    /// A verdict is no longer waited for.
    Review(TaskId),
    /// A rate limit is over, or landing is worth another try.
    Unblock(TaskId),
}

impl Due {
    /// Whether it is a lease's or a wait's for one; else it is a task's.
    pub fn is_of_locks(&self) -> bool {
        matches!(self, Due::Lease(_) | Due::Share(_) | Due::Waiter(_))
    }
}

/// All look-ups.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// Leases by repository and path key (case folded where the repository says so); a folder's
    /// contents are a range, what is above it a few exact look-ups.
    pub leases_by_path: Paths<LeaseId>,
    /// Leases of an actor's session (none for people).
    pub leases_by_session: BTreeMap<(ActorId, Option<SessionId>), BTreeSet<LeaseId>>,
    /// How many leases an actor has, where any.
    pub leases_of_actor: BTreeMap<ActorId, usize>,
    /// Leases for a task.
    pub leases_by_task: BTreeMap<TaskId, BTreeSet<LeaseId>>,
    /// Waiters by repository and path key, without those for a conversion.
    pub waiters_by_path: Paths<u64>,
    /// Waiters for a conversion by repository and path key: they stand before the others.
    pub conversions_by_path: Paths<u64>,
    /// Waiters for a conversion by the lease to be converted.
    pub conversions_by_lease: BTreeMap<LeaseId, BTreeSet<u64>>,
    /// Waiters for a task.
    pub waiters_by_task: BTreeMap<TaskId, BTreeSet<u64>>,
    /// Waiters of an actor's session.
    pub waiters_by_session: BTreeMap<(ActorId, Option<SessionId>), BTreeSet<u64>>,
    /// Waiters by their request.
    pub waiters_by_id: BTreeMap<(ActorId, CommandId), u64>,
    /// How many leases stand in a waiter's way, where any do.
    pub held_up: BTreeMap<u64, u32>,
    /// Waiters in whose way no lease stands, and that were free to go when last looked at, in
    /// the order of the queue. None that is free is missing; one that no longer is may be here.
    pub grantable: BTreeSet<u64>,
    /// The other waiters in whose way no lease stands: they are behind another waiter.
    pub stalled: BTreeSet<u64>,
    /// Those of them that are behind a waiter whom their own holder waits for.
    pub entangled: BTreeSet<u64>,
    /// What becomes due, soonest first.
    pub due: BTreeSet<(At, Due)>,
    /// Tasks that are queued, neither paused nor blocked, their dependencies completed, and
    /// without an open auction.
    pub ready: BTreeSet<Place>,
    /// More look-ups of tasks.
    pub tasks: TaskIndex,
    /// Tasks with an open auction.
    pub auctions: BTreeSet<TaskId>,
    /// Tasks that wait for a task to be completed.
    pub dependants: BTreeMap<TaskId, BTreeSet<TaskId>>,
    /// Tasks by repository and key.
    pub task_keys: BTreeMap<(RepoId, String), TaskId>,
    /// Tasks that have not ended.
    pub live_tasks: u64,
    /// Tasks by the name of their state, for counts.
    pub task_counts: BTreeMap<&'static str, u64>,
    /// Agents in the order of joining: the first is the architect's successor.
    pub line: BTreeSet<(u64, ActorId)>,
    /// Agents that are suspended and need not be, or should be and are not.
    pub misjudged: BTreeSet<ActorId>,
    /// Agents by host.
    pub agents_by_host: BTreeMap<HostId, BTreeSet<ActorId>>,
    /// Hosts whose processors are busy, so that starts there are spread out.
    pub busy_hosts: BTreeSet<HostId>,
    /// Agents that could take a task now: joined, heard, idle, neither draining nor suspended.
    pub idle: BTreeSet<ActorId>,
    /// Those of them for whose sake no auction opens, and until when.
    pub deaf: BTreeMap<ActorId, At>,
    /// What the running attempts have reserved, by host.
    pub reserved: BTreeMap<HostId, Reserved>,
}

/// What the running attempts on a host have reserved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Memory in MiB.
    pub ram_mb: u64,
    /// Memory of each GPU in MiB, by device.
    pub vram_mb: BTreeMap<u32, u64>,
    /// Places.
    pub slots: u32,
    /// Running attempts.
    pub attempts: u32,
}

impl Index {
    /// Puts what an awarded attempt reserves on the account of its host.
    pub fn reserve(&mut self, host: &HostId, needs: &Needs, device: Option<u32>) {
        let reserved = self.reserved.entry(host.clone()).or_default();
        reserved.ram_mb += needs.ram_mb;
        reserved.slots += needs.slots.max(1);
        reserved.attempts += 1;
        if let Some(device) = device {
            *reserved.vram_mb.entry(device).or_default() += needs.vram_mb;
        }
    }

    /// Takes it off again.
    pub fn unreserve(&mut self, host: &HostId, needs: &Needs, device: Option<u32>) {
        let Some(reserved) = self.reserved.get_mut(host) else { return };
        if planted::is(Fault::ReservationKept) {
            return;
        }
        reserved.ram_mb = reserved.ram_mb.saturating_sub(needs.ram_mb);
        reserved.slots = reserved.slots.saturating_sub(needs.slots.max(1));
        reserved.attempts = reserved.attempts.saturating_sub(1);
        if let Some(device) = device
            && let Some(vram_mb) = reserved.vram_mb.get_mut(&device)
        {
            *vram_mb = vram_mb.saturating_sub(needs.vram_mb);
            if *vram_mb == 0 {
                reserved.vram_mb.remove(&device);
            }
        }
        if reserved.attempts == 0 {
            self.reserved.remove(host);
        }
    }
}

/// What a look-up by session has of an actor, session by session.
pub(crate) fn of_actor<'m, T>(
    map: &'m BTreeMap<(ActorId, Option<SessionId>), T>,
    actor: &ActorId,
) -> impl Iterator<Item = (&'m Option<SessionId>, &'m T)> + use<'m, T> {
    let actor = actor.clone();
    let from = map.range((actor.clone(), None)..);
    let own = from.take_while(move |((of, _), _)| *of == actor);
    own.map(|((_, session), things)| (session, things))
}

/// Takes a thing out of a look-up, and the entry with its last thing.
pub(crate) fn drop_from<K: Ord, T: Ord>(map: &mut BTreeMap<K, BTreeSet<T>>, key: &K, thing: &T) {
    if let Some(things) = map.get_mut(key) {
        things.remove(thing);
        if things.is_empty() {
            map.remove(key);
        }
    }
}
