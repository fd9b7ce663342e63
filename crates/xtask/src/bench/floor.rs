//! The floor: what one durable write costs on this disk with nothing around it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::Row;
use super::sample::Times;
use crate::cargo::root;
use crate::error::{Error, Result};

/// About what one record with its envelope takes.
const WRITE_BYTES: usize = 512;
const WARM_UP: usize = 50;
const WRITES: usize = 1000;

/// Appends to a file and waits for the disk, again and again.
pub(super) fn fsync() -> Result<Vec<Row>> {
    // Beside the build, not in /tmp: that is often memory, where an fsync costs nothing.
    let times = append(&root().join("target"), WRITES)
        .map_err(|source| Error::Bench { what: "measure the disk", source: source.into() })?;
    let row = |what: &str, percent| Row {
        bench: "floor",
        what: format!("append and fsync, {what}"),
        value: times.percentile_ms(percent),
        unit: "ms",
        against: None,
    };
    Ok(vec![row("p50", 50), row("p99", 99)])
}

pub(super) fn append(folder: &Path, writes: usize) -> io::Result<Times> {
    let mut file: File = tempfile::tempfile_in(folder)?;
    let bytes = [7_u8; WRITE_BYTES];
    Times::measure(WARM_UP, writes, || {
        file.write_all(&bytes)?;
        file.sync_data()
    })
}
