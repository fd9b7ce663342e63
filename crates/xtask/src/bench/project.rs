//! A log folded into SQLite beside the same rows put by a bare prepared insert. SQL stands in
//! devmesh-replay alone, and so does what is timed: its example `bare`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde::Deserialize;
use tempfile::TempDir;

use super::world::failed;
use super::{Aim, Row, fold};
use crate::cargo::{cargo, root, stdout_of};
use crate::error::{Error, Result};

/// What the example prints.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measured {
    rows: u64,
    replay_s: f64,
    bare_s: f64,
}

/// Writes a log, then has it measured.
pub(super) fn into_sqlite() -> Result<Vec<Row>> {
    let folder = TempDir::with_prefix_in("bench-", root().join("target"));
    let folder = folder.map_err(failed("make a folder"))?;
    let log = folder.path().join("log");
    export(&log).map_err(failed("write a log"))?;
    let example = ["--quiet", "--release", "--package", "devmesh-replay", "--example", "bare"];
    let mut command = cargo(&["run"]);
    command.args(example).arg("--").args([&log, folder.path()]);
    let printed = stdout_of(command)?;
    let measured: Measured = serde_json::from_slice(&printed).map_err(Error::Json)?;
    Ok(rows(&measured))
}

/// As `devmesh replay --export` writes it: place and length before each message.
fn export(path: &Path) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for (place, payload) in (1_u64..).zip(fold::messages()) {
        let length = u32::try_from(payload.len()).expect("a batch is far below the bound");
        file.write_all(&place.to_be_bytes())?;
        file.write_all(&length.to_be_bytes())?;
        file.write_all(&payload)?;
    }
    file.flush()
}

pub(super) fn rows(measured: &Measured) -> Vec<Row> {
    let Measured { rows, replay_s, bare_s } = *measured;
    let rate = |seconds: f64| rows as f64 / seconds;
    let row = Row::new("project", "replay into SQLite, rows", rate(replay_s), "/s");
    vec![row.against("a bare prepared insert", rate(bare_s), Some(Aim::AtLeast(0.7)))]
}
