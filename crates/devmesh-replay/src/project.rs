//! The projection: rows of SQLite made from records.
//!
//! A batch of messages is one transaction that also moves the head, so that a projection is
//! always exactly some prefix of its log.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use devmesh_domain::look::task_view;
use devmesh_domain::state::State;
use devmesh_protocol::TaskId;
use devmesh_protocol::batch::Chain;
use rusqlite::{Connection, OptionalExtension};

use crate::error::{Error, Result};
use crate::read::Head;
use crate::told::Told;
use leases::Leases;
use rows::Placed;

mod leases;
mod rows;

/// The layout of the tables; a file of another one is made again.
const LAYOUT: &str = "1";

/// More than there are, so that none is made again.
const STATEMENTS: usize = 64;

/// Pages that are kept in memory.
const CACHE_KIB: i64 = 64 * 1024;

/// A database that holds the projection of a log.
pub struct Projection {
    db: Connection,
    path: PathBuf,
    /// Tasks whose rows are older than their state.
    changed: BTreeSet<TaskId>,
    /// Those granted in this transaction, whose rows are put when it ends.
    leases: Leases,
}

impl Projection {
    /// Opens the database, or makes it.
    pub fn open(path: &Path) -> Result<Projection> {
        let mut projection = Projection::with(Connection::open(path)?)?;
        path.clone_into(&mut projection.path);
        Ok(projection)
    }

    /// A projection in memory.
    pub fn in_memory() -> Result<Projection> {
        Projection::with(Connection::open_in_memory()?)
    }

    fn with(db: Connection) -> Result<Projection> {
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        // Look-ups are made by reading the largest table once for each.
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        let made: bool = db.query_row(
            "SELECT count(*) > 0 FROM sqlite_master WHERE name = 'meta'",
            [],
            |row| row.get(0),
        )?;
        let (path, changed, leases) = Default::default();
        let projection = Projection { db, path, changed, leases };
        if made {
            projection.check_layout()?;
        } else {
            projection.db.execute_batch(include_str!("project/schema.sql"))?;
            projection.set("layout", LAYOUT)?;
        }
        Ok(projection)
    }

    fn check_layout(&self) -> Result<()> {
        match self.get("layout")? {
            Some(layout) if layout == LAYOUT => Ok(()),
            found => {
                Err(self.foreign(format!("its layout is {found:?}, and {LAYOUT:?} is written")))
            }
        }
    }

    fn foreign(&self, why: String) -> Error {
        Error::Foreign { path: self.path.clone(), why }
    }

    fn get(&self, key: &str) -> Result<Option<String>> {
        let mut query = self.db.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
        Ok(query.query_row([key], |row| row.get(0)).optional()?)
    }

    fn set(&self, key: &str, value: &str) -> Result<()> {
        let mut put = self.db.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?;
        put.execute([key, value])?;
        Ok(())
    }

    /// How far it has come, as [`Head`] prints it; none where it is new.
    pub fn head(&self) -> Result<Option<String>> {
        self.get("head")
    }

    /// The newest record it holds, 0 where it holds none.
    pub fn seq(&self) -> Result<u64> {
        let seq: Option<i64> =
            self.db.query_row("SELECT max(seq) FROM records", [], |row| row.get(0))?;
        Ok(seq.map_or(0, |seq| seq as u64))
    }

    /// Compares the projection's head with that of its log at the same place.
    pub(crate) fn check_head(&self, chain: &Chain) -> Result<()> {
        match self.head()? {
            Some(head) if head != Head::of(chain).to_string() => {
                Err(self.foreign("it was made from another log".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The message that the head stands at.
    pub(crate) fn stream_seq(&self) -> Result<u64> {
        let head = self.head()?;
        Ok(head.and_then(|head| head.split(':').next()?.parse().ok()).unwrap_or(0))
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Result<()> {
        Ok(self.db.execute_batch("BEGIN IMMEDIATE")?)
    }

    /// Writes the rows of tasks that changed, moves the head and ends the transaction. `state` is
    /// the one after the last record that was put.
    pub fn commit(&mut self, state: &State, chain: &Chain) -> Result<()> {
        for task in std::mem::take(&mut self.changed) {
            self.put_task(state, task)?;
        }
        self.leases.put(&self.db)?;
        self.set("head", &Head::of(chain).to_string())?;
        self.set("epoch", &chain.epoch.to_string())?;
        Ok(self.db.execute_batch("COMMIT")?)
    }

    /// Makes the look-ups that are worth their cost once the log is caught up with.
    pub fn finish(&self) -> Result<()> {
        Ok(self.db.execute_batch(include_str!("project/finish.sql"))?)
    }

    /// Puts the rows of some messages.
    pub(crate) fn put(&mut self, messages: &[Told]) -> Result<()> {
        let (mut records, mut events) = (Vec::new(), Vec::new());
        for Told { stream_seq, records: told, texts } in messages {
            let mut texts = texts.iter();
            for record in told {
                records.push((*stream_seq, record));
                for ((place, event), text) in record.events.iter().enumerate().zip(&mut texts) {
                    events.push(Placed { record, place, event, text });
                }
            }
        }
        rows::records(&self.db, &records)?;
        rows::commands(&self.db, &records)?;
        rows::events(&self.db, &events)?;
        for Placed { record, event, text, .. } in events {
            self.leases.project(&self.db, record, event)?;
            rows::project(&self.db, record, event)?;
            // An event about a task makes its row old.
            if text.key.starts_with("t-") {
                self.changed.extend(text.key.parse::<TaskId>());
            }
        }
        Ok(())
    }

    fn put_task(&self, state: &State, task: TaskId) -> Result<()> {
        match task_view(state, task) {
            Some(view) => rows::task(&self.db, &view),
            None => Ok(()),
        }
    }

    /// Rows as text, for tests and for people: each row its values, parted by ` | `.
    pub fn query(&self, sql: &str) -> Result<Vec<String>> {
        let mut query = self.db.prepare(sql)?;
        let columns = query.column_count();
        let rows = query.query_map([], |row| {
            let cells = (0..columns).map(|i| Ok(rows::text(row.get_ref(i)?)));
            cells.collect::<rusqlite::Result<Vec<_>>>().map(|cells| cells.join(" | "))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
