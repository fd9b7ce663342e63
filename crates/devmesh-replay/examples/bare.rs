//! Times an exported log folded into SQLite, and the same rows put by nothing but a prepared
//! insert; `cargo xtask bench project` reads what it prints.
#![expect(clippy::print_stdout, reason = "what it measured is what it is run for")]

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mimalloc::MiMalloc;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// As the binary allocates.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// In turn, so that a noisy moment hits both; the best of each is told.
const ROUNDS: usize = 3;

/// A table's layout and rows.
struct Table {
    name: String,
    made_by: String,
    rows: Vec<Vec<Value>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(log), Some(folder)) = (args.next(), args.next()) else {
        return Err("usage: bare LOG FOLDER".into());
    };
    let (mut replay_s, mut bare_s, mut rows) = (f64::INFINITY, f64::INFINITY, 0);
    for round in 0..ROUNDS {
        let projected = folder.join(format!("projected-{round}.db"));
        let begun = Instant::now();
        project(&log, &projected).await?;
        replay_s = replay_s.min(begun.elapsed().as_secs_f64());
        let tables = tables(&projected)?;
        rows = tables.iter().map(|table| table.rows.len()).sum();
        let begun = Instant::now();
        insert(&folder.join(format!("bare-{round}.db")), &tables)?;
        bare_s = bare_s.min(begun.elapsed().as_secs_f64());
    }
    println!("{}", json!({ "rows": rows, "replay_s": replay_s, "bare_s": bare_s }));
    Ok(())
}

/// As `devmesh replay --from LOG --db FILE` does it.
async fn project(log: &Path, db: &Path) -> devmesh_replay::Result<()> {
    let args = devmesh_replay::Args {
        from: Some(log.to_owned()),
        db: Some(db.to_owned()),
        ..Default::default()
    };
    devmesh_replay::run(&args, None, &mut io::sink(), CancellationToken::new()).await
}

fn tables(db: &Path) -> rusqlite::Result<Vec<Table>> {
    let db = Connection::open(db)?;
    let mut made = db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table'")?;
    let made = made.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    made.map(|table| {
        let (name, made_by): (String, String) = table?;
        let mut all = db.prepare(&format!("SELECT * FROM {name}"))?;
        let columns = all.column_count();
        let rows = all.query_map([], |row| (0..columns).map(|i| row.get(i)).collect())?;
        let rows = rows.collect::<rusqlite::Result<_>>()?;
        Ok(Table { name, made_by, rows })
    })
    .collect()
}

/// One transaction, no look-ups, with the settings of a projection.
fn insert(path: &Path, tables: &[Table]) -> rusqlite::Result<()> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "cache_size", -64 * 1024)?;
    for table in tables {
        db.execute_batch(&table.made_by)?;
    }
    db.execute_batch("BEGIN IMMEDIATE")?;
    for Table { name, rows, .. } in tables {
        let Some(first) = rows.first() else { continue };
        let places = vec!["?"; first.len()].join(", ");
        let mut put = db.prepare(&format!("INSERT INTO {name} VALUES ({places})"))?;
        for row in rows {
            put.execute(params_from_iter(row))?;
        }
    }
    db.execute_batch("COMMIT")
}
