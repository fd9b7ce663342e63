//! Pressure stall information of the Linux kernel: the share of time in which something waited.

use std::path::Path;

use devmesh_protocol::report::Pressure;

/// Reads `some avg10` of all three; `None` where the kernel does not tell.
pub(crate) fn read(folder: &Path) -> Option<Pressure> {
    let one = |name| {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        some_avg10_milli(&text)
    };
    Some(Pressure { cpu_milli: one("cpu")?, memory_milli: one("memory")?, io_milli: one("io")? })
}

/// `some avg10=1.53 avg60=… avg300=… total=…`: 1.53 percent are 15 thousandths.
fn some_avg10_milli(text: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    let percent = line.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?;
    let (whole, part) = percent.split_once('.')?;
    let tenth = part.chars().next()?.to_digit(10)?;
    whole.parse::<u32>().ok()?.checked_mul(10)?.checked_add(tenth)
}

#[cfg(test)]
mod tests;
