//! Bounds on everything that comes from outside. Over one of them: `LIMIT_EXCEEDED`, and nothing
//! else is disturbed.

pub mod strain;

/// Bytes of one request body on the command subjects; NATS itself stops at 1 MiB.
pub const REQUEST_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a repository path.
pub const PATH_BYTES_MAX: usize = 1024;
/// Bytes of one component of a path, as on common file systems.
pub const PATH_COMPONENT_BYTES_MAX: usize = 255;
/// Paths in one `lock.acquire` or `task.add`. A grant is one event a path and a record holds
/// [`RECORD_EVENTS_MAX`] events.
pub const PATHS_MAX: usize = 128;
/// Characters of a title, reason, name of a tool or model.
pub const LINE_CHARS_MAX: usize = 300;
/// Bytes of one free text: prompt, comment, note, question, answer.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Entries of a short list: capabilities, options, dependencies, verify commands.
pub const LIST_MAX: usize = 64;
/// Events of one record.
pub const RECORD_EVENTS_MAX: usize = 256;
/// Bytes of one encoded record.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one encoded batch; the stream takes 1 MiB.
pub const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Grants of waiters in one record; the rest follow with the next input.
pub const GRANTS_PER_RECORD_MAX: usize = 64;
/// Command ids remembered for an actor, and commands an actor may have in flight.
pub const RECEIPTS_PER_ACTOR_MAX: usize = 256;
/// How far ahead of the coordinator's clock the time in a command's id may be.
pub const ID_AHEAD_MS: u64 = 10 * 60_000;
/// Recorded refusals of an actor in a minute; the rest are counted.
pub const REFUSALS_PER_MINUTE_MAX: u32 = 30;
/// Records between two checkpoints.
pub const CHECKPOINT_RECORDS: u64 = 10_000;
/// Live leases of one actor.
pub const LEASES_PER_ACTOR_MAX: usize = 10_000;
/// Waiting lock requests in a mesh.
pub const WAITERS_MAX: usize = 10_000;
/// Tasks that are not ended, in a mesh.
pub const TASKS_LIVE_MAX: usize = 100_000;
/// Agents that are joined at once.
pub const AGENTS_MAX: usize = 4_096;
/// MiB of memory that one agent may say it needs: more than any host has, and so little that the
/// sum over all agents is a number.
pub const NEEDS_MB_MAX: u64 = 1 << 30;
/// Places of a host that one agent may say it needs.
pub const NEEDS_SLOTS_MAX: u32 = 4_096;
/// Bids kept in an award, best first.
pub const BIDS_KEPT_MAX: usize = 16;

/// Time to live of an agent's lease where none is asked for (the seed's `DEVMESH_LOCK_TTL_SEC`).
pub const LEASE_TTL_MS: u64 = 15_000;
/// Shortest time to live of a lease.
pub const LEASE_TTL_MS_MIN: u64 = 500;
/// Longest time to live of an agent's lease.
pub const LEASE_TTL_AGENT_MS_MAX: u64 = 5 * 60_000;
/// Time to live of a person's lease where none is asked for.
pub const LEASE_TTL_PERSON_MS: u64 = 30 * 60_000;
/// Longest time to live of a person's lease.
pub const LEASE_TTL_PERSON_MS_MAX: u64 = 24 * 3_600_000;
/// Silence after the time to live before an agent's leases are freed
/// (the seed's `DEVMESH_HEARTBEAT_GRACE_SEC`).
pub const GRACE_MS: u64 = 5_000;
/// Silence after which a session ends (the seed's `DEVMESH_AGENT_RECONNECT_GRACE_SEC`).
pub const SESSION_SILENT_MS: u64 = 30_000;
/// Time between two heartbeats (the seed's `DEVMESH_HEARTBEAT_INTERVAL_SEC`).
pub const BEAT_MS: u64 = 4_000;
/// Longest wait of one `lock.acquire` or `land.begin`.
pub const WAIT_MS_MAX: u64 = 3_600_000;
/// Advice to a refused lock request (the seed's).
pub const RETRY_AFTER_MS: u64 = 2_000;
/// How long bids on a task are taken.
pub const BID_WINDOW_MS: u64 = 150;
/// Auctions in a row that all who could take the task declined, before a person is asked.
pub const DECLINES_MAX: u32 = 3;
/// Times in a row that a task is given back without a try, before a person is asked.
pub const GIVEN_BACK_MAX: usize = 8;
/// Longest time between two auctions of a task that nobody bids on.
pub const AUCTION_AGAIN_MS_MAX: u64 = 30 * 60_000;
/// Time an awarded agent has to start before the auction opens again.
pub const START_MS: u64 = 5_000;
/// How long a held attempt is kept frozen before its agent is freed for other tasks.
pub const PARK_MS: u64 = 10 * 60_000;
/// How long an agent's verdict on another's work is waited for.
pub const REVIEW_MS: u64 = 20 * 60_000;
/// Reviews by agents that may come to nothing, and rejections by agents, before a person is asked.
pub const REVIEWS_MAX: u32 = 3;
/// What stands in the way of landing may be gone after so long: a person has committed. Doubled
/// with each time in vain.
pub const LAND_AGAIN_MS: u64 = 5 * 60_000;
/// Times that landing is tried again by itself.
pub const LAND_AGAIN_MAX: u32 = 8;
/// Tasks of one plan; all of them, with what ends the planning, are one record.
pub const PLAN_TASKS_MAX: usize = 64;
/// Bytes of a plan beside its texts, which are stored elsewhere: its tasks, with all that a task
/// has besides, fit in a record.
pub const PLAN_BYTES_MAX: usize = 96 * 1024;
/// Tries of a task where none is asked for.
pub const ATTEMPTS: u32 = 3;
/// Most tries of a task.
pub const ATTEMPTS_MAX: u32 = 100;
/// Wall-clock limit of an attempt where none is asked for, in seconds.
pub const WALL_S: u64 = 3_600;
/// Cost ceiling of a task where none is asked for, in micro-dollars (5 USD).
pub const COST_MICRO_USD: u64 = 5_000_000;
/// Wait after which an attempt shares a path with the agent that holds it.
pub const SHARE_AFTER_MS: u64 = 30_000;
/// Late paths in one request; more are one wide write, shared at once.
pub const LATE_PATHS_MAX: usize = 50;
/// What all tasks may cost in a day where nothing else is set, in US dollars.
pub const BUDGET_USD_PER_DAY: u64 = 50;
/// Bypasses of a waiter by conflicting requests before it is a barrier.
pub const BYPASSES_MAX: u32 = 16;
