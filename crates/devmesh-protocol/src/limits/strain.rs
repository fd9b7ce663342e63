//! From what on a host is strained, and from what on no longer. Between its two marks a strain
//! stays as it is, so that a figure that trembles around one of them makes no events.
//!
//! Nothing here ends work that runs: below these marks nothing *new* begins. So they lie well
//! before the marks at which others kill: systemd-oomd acts at 60 % of memory pressure and at
//! 90 % of swap (`oomd.conf(5)`), earlyoom at 10 % of free memory and swap, a kubelet evicts at
//! 100 MiB of free memory and 10 % of free disk.

/// Where a strain begins and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// At this, or beyond, it begins.
    pub begins: u64,
    /// Short of this it ends.
    pub ends: u64,
}

/// `some avg10` of memory, in thousandths: a fifth of the time somebody waited for memory.
/// Android's low-memory killer takes 200 ms in a second for the same (`psi_partial_stall_ms`).
pub const MEMORY_PRESSURE_MILLI: Marks = Marks { begins: 200, ends: 100 };
/// Memory that programs can still get, in thousandths of all: earlyoom's tenth.
pub const RAM_FREE_MILLI: Marks = Marks { begins: 100, ends: 150 };
/// Swap in use, in thousandths: systemd-oomd's limit. Only where memory is scarce as well: cold
/// pages fill a small swap on a machine that has room.
pub const SWAP_USED_MILLI: Marks = Marks { begins: 900, ends: 800 };
/// What "scarce" means beside a full swap: free memory in thousandths of all.
pub const RAM_SCARCE_MILLI: Marks = Marks { begins: 200, ends: 250 };
/// `some avg10` of disks, in thousandths. Chosen here: a build may wait for its disk half of the
/// time and gets on; where it is most of the time, one more only slows all of them.
pub const IO_PRESSURE_MILLI: Marks = Marks { begins: 700, ends: 400 };
/// Free space where worktrees lie, in MiB. Chosen here: a checkout and its build want some
/// hundred MiB, and the log, which ends with its disk, may lie there too.
pub const DISK_FREE_MB: Marks = Marks { begins: 1_024, ends: 2_048 };
/// `some avg10` of processors, in thousandths: half of the time somebody waited for one.
pub const CPU_PRESSURE_MILLI: Marks = Marks { begins: 500, ends: 300 };
/// Load average of a minute in thousandths *per processor*: twice what they can do at once.
pub const LOAD_MILLI: Marks = Marks { begins: 2_000, ends: 1_500 };

/// A strain that began lasts so long at least, and one that ended does not begin again before:
/// of one thing there is at most one change in that time. It is what `avg10` looks back on.
pub const TURN_MS: u64 = 10_000;
/// Between two events that tell what is free on a host.
pub const FREE_MS: u64 = 10_000;
/// What is free is told anew when it moved by more than one such part of the whole.
pub const FREE_PARTS: u64 = 8;
/// Where processors are busy, starts on a host are so far apart: the next one sees in the figures
/// what the last one costs (a start's first seconds are its heaviest).
pub const START_GAP_MS: u64 = 5_000;
/// A host whose probe was silent for so long counts as not measured. The same as a session's.
pub const HOST_SILENT_MS: u64 = 30_000;
