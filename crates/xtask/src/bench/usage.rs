//! What a process uses of the machine, as the kernel tells it.

use std::fs;

use nix::time::{ClockId, clock_gettime};

use super::world::failed;
use crate::error::Result;

/// Of `utime` and `stime`; the kernel's `USER_HZ` is 100 wherever Linux runs.
const TICK_US: f64 = 10_000.0;

/// The processor time that a process has used, in microseconds.
pub(super) fn cpu_us(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(failed("read the processor time of a process"))?;
    let ticks = ticks(&stat).ok_or("its /proc/PID/stat is not as expected");
    Ok(ticks.map_err(failed("read the processor time of a process"))? as f64 * TICK_US)
}

/// The processor time that this thread has used, in microseconds: unlike the clock on the wall, it
/// stands still while others have the processor.
pub(super) fn own_cpu_us() -> Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    let time = time.map_err(failed("read the processor time of this thread"))?;
    Ok(time.tv_sec() as f64 * 1e6 + time.tv_nsec() as f64 / 1e3)
}

/// The memory that a process holds, in MiB.
pub(super) fn resident_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .map_err(failed("read the memory of a process"))?;
    let kib = resident_kib(&status).ok_or("its /proc/PID/status is not as expected");
    Ok(kib.map_err(failed("read the memory of a process"))? as f64 / 1024.0)
}

/// Fields 14 and 15. The second is the program's name in brackets and may hold anything.
pub(super) fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

pub(super) fn resident_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
