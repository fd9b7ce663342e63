//! What a seed makes of a run: how big the mesh is, how fast it lives, and what goes wrong how
//! often. Each kind of fault is on in about half of the runs, so that a run is not always hit by
//! everything at once and rare pairs meet undisturbed.

use crate::rng::Rng;

/// The shape of one run. Rates are per thousand.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Coordinators.
    pub(crate) nodes: usize,
    /// Agents with the real core.
    pub(crate) workers: usize,
    /// Agents that only take and give leases.
    pub(crate) lockers: usize,
    /// People who take and give leases.
    pub(crate) people: usize,
    /// Idle time of those, at most, in milliseconds.
    pub(crate) think_ms: u64,
    /// Time between two tasks, at most.
    pub(crate) tasks_ms: u64,
    /// Tasks in all.
    pub(crate) tasks_max: u64,
    /// Messages lost.
    pub(crate) lose: u64,
    /// Messages that come twice.
    pub(crate) twice: u64,
    /// Messages that come late.
    pub(crate) late: u64,
    /// How late, at most.
    pub(crate) late_ms: u64,
    /// Appends that meet a fault.
    pub(crate) append: u64,
    /// Time between two blows at a process, at most; 0: none.
    pub(crate) blow_ms: u64,
    /// Blows by kind, as weights.
    pub(crate) blows: Blows,
    /// A text that cannot be stored.
    pub(crate) text: u64,
    /// A tool run that ends badly.
    pub(crate) tool: u64,
    /// A verification that fails.
    pub(crate) verify: u64,
    /// Landings that conflict.
    pub(crate) conflict: u64,
    /// Work that is the same as what another task may bring.
    pub(crate) alike: u64,
    /// A person's hand that is not idle: pauses, cancels, edits, leases on tasks' files.
    pub(crate) meddle: u64,
    /// Monotonic clocks run so much too fast or slow, in millionths.
    pub(crate) drift_ppm: u64,
    /// Every command is sent once more, so long after it was answered.
    pub(crate) ghosts: u64,
    /// Invariants are checked after every so many records.
    pub(crate) check_every: u64,
    /// All who want a lease want the same file, and wait for it.
    pub(crate) contends: bool,
}

/// How often what happens to a process, among each other.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Blows {
    /// It dies and comes back.
    pub(crate) crash: u64,
    /// It stands still for a while, its clock running.
    pub(crate) freeze: u64,
    /// Its machine sleeps, and its monotonic clock with it.
    pub(crate) sleep: u64,
    /// Nothing reaches it or leaves it.
    pub(crate) cut: u64,
    /// Its wall clock is set.
    pub(crate) clock: u64,
    /// The store takes nothing for a while.
    pub(crate) full: u64,
    /// One of the long ones: an hour of any of freeze, sleep or cut.
    pub(crate) hour: u64,
    /// A coordinator hears nobody and is heard by nobody, while it reads and writes the log.
    pub(crate) ears: u64,
    /// Several processes are hit at once.
    pub(crate) all: u64,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub(crate) fn of(rng: &mut Rng) -> Plan {
        let mut on = |rate: u64| if rng.chance(500) { rng.within(1, rate) } else { 0 };
        let (lose, twice, late, append) = (on(100), on(100), on(100), on(120));
        let (text, tool, verify, conflict) = (on(100), on(400), on(300), on(300));
        let (meddle, ghosts, alike) = (on(300), on(200), on(200));
        let blows = Blows {
            crash: on(10),
            freeze: on(10),
            sleep: on(6),
            cut: on(10),
            clock: on(4),
            full: on(3),
            hour: u64::from(on(40) == 1),
            ears: on(4),
            all: on(3),
        };
        Plan {
            nodes: if rng.chance(800) { 2 } else { 1 },
            workers: usize::try_from(rng.within(1, 3)).unwrap_or(1),
            lockers: usize::try_from(rng.within(1, 3)).unwrap_or(1),
            people: usize::try_from(rng.within(0, 2)).unwrap_or(0),
            think_ms: rng.pick(&[300, 2_000, 10_000, 20_000]),
            tasks_ms: rng.pick(&[2_000, 10_000, 30_000]),
            tasks_max: rng.within(2, 12),
            lose,
            twice,
            late,
            late_ms: rng.pick(&[500, 3_000, 30_000, 120_000]),
            append,
            blow_ms: rng.pick(&[0, 3_000, 10_000, 30_000]),
            blows,
            text,
            tool,
            verify,
            conflict,
            alike,
            meddle,
            drift_ppm: rng.pick(&[0, 100, 500]),
            ghosts,
            check_every: 1,
            contends: false,
        }
    }

    /// Nothing goes wrong by itself.
    #[must_use]
    pub(crate) fn calm() -> Plan {
        Plan {
            nodes: 2,
            workers: 3,
            lockers: 3,
            people: 1,
            think_ms: 5_000,
            tasks_ms: 20_000,
            tasks_max: u64::MAX,
            lose: 0,
            twice: 0,
            late: 0,
            late_ms: 0,
            append: 0,
            blow_ms: 0,
            blows: Blows::default(),
            text: 0,
            tool: 0,
            verify: 0,
            conflict: 0,
            alike: 0,
            meddle: 0,
            drift_ppm: 100,
            ghosts: 0,
            check_every: 16,
            contends: false,
        }
    }
}
