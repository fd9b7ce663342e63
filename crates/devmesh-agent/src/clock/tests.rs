//! That beliefs are measured on a clock that sleep does not stop.

use super::*;

/// A machine cannot be put to sleep here; which clock is read can be seen all the same, by what
/// the kernel says of it.
#[test]
#[cfg(target_os = "linux")]
fn time_asleep_counts() {
    let clock = Clock { started: Duration::ZERO };
    let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux tells its uptime");
    let (seconds, _) = uptime.split_once(' ').expect("uptime and idle time");
    let told_ms = seconds.parse::<f64>().expect("a number") * 1_000.0;
    let off_ms = clock.now_ms().abs_diff(told_ms as u64);
    // `/proc/uptime` is the time since boot, sleep included.
    assert!(off_ms < 2_000, "the clock is {off_ms} ms off the time since boot");
}

#[test]
fn it_begins_at_zero() {
    assert!(Clock::start().now_ms() < 60_000);
}
