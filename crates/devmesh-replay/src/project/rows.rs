//! One statement for each kind of row.

use devmesh_protocol::command::task::Usage;
use devmesh_protocol::view::TaskView;
use devmesh_protocol::{At, CommandId, Event, Record};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement, ToSql, params};
use serde::Serialize;

use crate::error::Result;
use crate::told::Text;

pub(super) fn ms(at: At) -> i64 {
    at.0 as i64
}

/// A closed enum's name as on the wire.
fn word(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    text.trim_matches('"').to_owned()
}

pub(super) fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "-".to_owned(),
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(n) => n.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}

/// Rows to a statement. To begin and end one costs SQLite about as much as a row does.
const ROWS: usize = 8;

/// The values of a statement, bound one after the other.
pub(super) struct Values<'s, 'db> {
    put: &'s mut Statement<'db>,
    bound: usize,
}

impl Values<'_, '_> {
    pub(super) fn bind(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.bound += 1;
        self.put.raw_bind_parameter(self.bound, value)
    }
}

/// Puts rows into a table of so many columns.
pub(super) fn put_all<R>(
    db: &Connection,
    (table, columns): (&str, usize),
    rows: &[R],
    bind: impl Fn(&R, &mut Values<'_, '_>) -> rusqlite::Result<()>,
) -> Result<()> {
    let (whole, rest) = rows.as_chunks::<ROWS>();
    let put = |rows: &[R], put: &mut Statement<'_>| {
        let mut values = Values { put, bound: 0 };
        rows.iter().try_for_each(|row| bind(row, &mut values))?;
        put.raw_execute().map(drop)
    };
    let statement = |rows: usize| {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let rows = vec![row; rows].join(", ");
        db.prepare_cached(&format!("INSERT INTO {table} VALUES {rows}"))
    };
    if !whole.is_empty() {
        let mut many = statement(ROWS)?;
        whole.iter().try_for_each(|rows| put(rows, &mut many))?;
    }
    if !rest.is_empty() {
        let mut one = statement(1)?;
        rest.chunks(1).try_for_each(|row| put(row, &mut one))?;
    }
    Ok(())
}

/// Records, each with the message that holds it.
pub(super) fn records(db: &Connection, rows: &[(u64, &Record)]) -> Result<()> {
    put_all(db, ("records", 6), rows, |(stream_seq, record), row| {
        row.bind(record.seq as i64)?;
        row.bind(ms(record.at))?;
        row.bind(*stream_seq as i64)?;
        row.bind(record.actor.as_str())?;
        row.bind(record.command_id.as_ref().map(CommandId::as_str))?;
        row.bind(record.causation.map(|seq| seq as i64))
    })
}

/// The commands among these records.
pub(super) fn commands(db: &Connection, rows: &[(u64, &Record)]) -> Result<()> {
    let rows = rows.iter().copied().filter(|(_, record)| record.command_id.is_some());
    let rows: Vec<(u64, &Record)> = rows.collect();
    put_all(db, ("commands", 6), &rows, |(_, record), row| {
        let refused = record.events.iter().find_map(|event| match event {
            Event::CommandRejected(e) => Some(&e.rejection),
            _ => None,
        });
        row.bind(record.seq as i64)?;
        row.bind(ms(record.at))?;
        row.bind(record.actor.as_str())?;
        row.bind(record.command_id.as_ref().map(CommandId::as_str))?;
        row.bind(refused.map(|rejection| rejection.code.as_str()))?;
        row.bind(refused.map(|rejection| &rejection.message))
    })
}

/// An event, its record, and its place in that.
pub(super) struct Placed<'r> {
    pub(super) record: &'r Record,
    pub(super) place: usize,
    pub(super) event: &'r Event,
    pub(super) text: Text<'r>,
}

pub(super) fn events(db: &Connection, rows: &[Placed<'_>]) -> Result<()> {
    put_all(db, ("events", 6), rows, |Placed { record, place, event, text }, row| {
        row.bind(record.seq as i64)?;
        row.bind(*place as i64)?;
        row.bind(event.kind())?;
        row.bind(text.key)?;
        row.bind(text.told)?;
        row.bind(text.body)
    })
}

pub(super) fn task(db: &Connection, view: &TaskView) -> Result<()> {
    let mut put = db.prepare_cached(
        "INSERT OR REPLACE INTO tasks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    put.execute(params![
        view.task.0 as i64,
        view.title,
        view.state,
        view.repo.as_str(),
        view.priority,
        view.by.as_str(),
        ms(view.added_at),
        view.ended_at.map(ms),
        view.commit,
        view.tries,
        word(&view.review),
        view.blocked.as_ref().map(ToString::to_string),
    ])?;
    Ok(())
}

/// What an event changes in the tables of agents, attempts and hosts.
pub(super) fn project(db: &Connection, record: &Record, event: &Event) -> Result<()> {
    agent(db, record, event)?;
    attempt(db, record, event)
}

fn agent(db: &Connection, record: &Record, event: &Event) -> Result<()> {
    match event {
        Event::AgentJoined(e) => {
            let mut put = db.prepare_cached(
                "INSERT INTO agents VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, NULL)",
            )?;
            put.execute(params![
                record.seq as i64,
                e.actor.as_str(),
                e.session.as_str(),
                e.tool,
                e.host.as_str(),
                e.model,
                ms(record.at),
            ])?;
        }
        Event::AgentLeft(e) => end_agent(db, record, e.actor.as_str(), "left")?,
        Event::SessionLost(e) => end_agent(db, record, e.actor.as_str(), "lost")?,
        Event::ActorEnded(e) => end_agent(db, record, e.actor.as_str(), "revoked")?,
        Event::HostMeasured(e) => {
            let mut put =
                db.prepare_cached("INSERT OR REPLACE INTO hosts VALUES (?1, ?2, ?3, ?4, ?5)")?;
            put.execute(params![
                e.host.as_str(),
                e.capacity.ram_mb as i64,
                serde_json::to_string(&e.capacity.vram_mb).unwrap_or_default(),
                e.capacity.slots,
                ms(record.at),
            ])?;
        }
        _ => {}
    }
    Ok(())
}

fn end_agent(db: &Connection, record: &Record, actor: &str, why: &str) -> Result<()> {
    let mut end = db.prepare_cached(
        "UPDATE agents SET ended_ms = ?1, why = ?2 WHERE actor = ?3 AND ended_ms IS NULL",
    )?;
    end.execute(params![ms(record.at), why, actor])?;
    Ok(())
}

fn attempt(db: &Connection, record: &Record, event: &Event) -> Result<()> {
    match event {
        Event::TaskAwarded(e) => {
            let mut put = db.prepare_cached(
                "INSERT INTO attempts (task, attempt, token, actor, session, host, awarded_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            put.execute(params![
                e.task.0 as i64,
                e.attempt,
                record.seq as i64,
                e.actor.as_str(),
                e.session.as_str(),
                e.host.as_str(),
                ms(record.at),
            ])?;
        }
        Event::TaskStarted(e) => {
            let sql = "UPDATE attempts SET started_ms = ?1 WHERE task = ?2 AND attempt = ?3";
            db.prepare_cached(sql)?.execute(params![ms(record.at), e.task.0 as i64, e.attempt])?;
        }
        Event::TaskProgressed(e) => used(db, e.task.0, e.attempt, e.usage.as_ref())?,
        Event::TaskVerified(e) => {
            let sql =
                "UPDATE attempts SET verdict = ?1, tree = ?2 WHERE task = ?3 AND attempt = ?4";
            let verdict = word(&e.receipt.verdict);
            let row = params![verdict, e.receipt.tree, e.task.0 as i64, e.attempt];
            db.prepare_cached(sql)?.execute(row)?;
            used(db, e.task.0, e.attempt, e.usage.as_ref())?;
        }
        Event::TaskCompleted(e) => {
            let sql = "UPDATE attempts SET ended_ms = ?1, why = 'completed', commit_id = ?2, \
                       tree = ?3 WHERE task = ?4 AND attempt = ?5";
            let row = params![ms(record.at), e.commit, e.tree, e.task.0 as i64, e.attempt];
            db.prepare_cached(sql)?.execute(row)?;
            used(db, e.task.0, e.attempt, e.usage.as_ref())?;
        }
        Event::AttemptEnded(e) => {
            let sql =
                "UPDATE attempts SET ended_ms = ?1, why = ?2 WHERE task = ?3 AND attempt = ?4";
            let row = params![ms(record.at), e.why.to_string(), e.task.0 as i64, e.attempt];
            db.prepare_cached(sql)?.execute(row)?;
            used(db, e.task.0, e.attempt, e.usage.as_ref())?;
        }
        _ => {}
    }
    Ok(())
}

fn used(db: &Connection, task: u64, attempt: u32, usage: Option<&Usage>) -> Result<()> {
    let Some(usage) = usage else { return Ok(()) };
    let mut set = db.prepare_cached(
        "UPDATE attempts SET input_tokens = ?1, output_tokens = ?2, cost_micro_usd = ?3 \
         WHERE task = ?4 AND attempt = ?5",
    )?;
    set.execute(params![
        usage.input_tokens as i64,
        usage.output_tokens as i64,
        usage.cost_micro_usd.map(|cost| cost as i64),
        task as i64,
        attempt,
    ])?;
    Ok(())
}
