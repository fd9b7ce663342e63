//! One statement for each kind of row.

use devmesh_protocol::command::task::Usage;
use devmesh_protocol::view::TaskView;
use devmesh_protocol::{At, Event, LeaseId, Record};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use serde::Serialize;

use crate::error::Result;

fn ms(at: At) -> i64 {
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

pub(super) fn command(db: &Connection, record: &Record) -> Result<()> {
    let refused = record.events.iter().find_map(|event| match event {
        Event::CommandRejected(e) => Some(&e.rejection),
        _ => None,
    });
    let mut put = db.prepare_cached("INSERT INTO commands VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    put.execute(params![
        record.seq as i64,
        ms(record.at),
        record.actor.as_str(),
        record.command_id.as_ref().map(devmesh_protocol::CommandId::as_str),
        refused.map(|rejection| rejection.code.as_str()),
        refused.map(|rejection| &rejection.message),
    ])?;
    Ok(())
}

pub(super) fn event(db: &Connection, record: &Record, place: usize, event: &Event) -> Result<()> {
    let mut put = db.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    put.execute(params![
        record.seq as i64,
        place as i64,
        event.kind(),
        event.key(),
        event.to_string(),
        serde_json::to_string(event).unwrap_or_default(),
    ])?;
    Ok(())
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

/// What an event changes in the tables of agents, leases, attempts and hosts.
pub(super) fn project(db: &Connection, record: &Record, event: &Event) -> Result<()> {
    agent(db, record, event)?;
    lease(db, record, event)?;
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

fn lease(db: &Connection, record: &Record, event: &Event) -> Result<()> {
    match event {
        Event::LockGranted(e) => {
            let mut put = db.prepare_cached(
                "INSERT INTO leases VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL, NULL)",
            )?;
            put.execute(params![
                record.seq as i64,
                e.index,
                e.actor.as_str(),
                e.session.as_ref().map(devmesh_protocol::SessionId::as_str),
                e.task.map(|task| task.0 as i64),
                e.repo.as_str(),
                e.path.to_string(),
                e.mode.as_str(),
                ms(record.at),
            ])?;
        }
        Event::LockConverted(e) => convert(db, record, e.lease, e.to.as_str(), e.index)?,
        Event::LeaseShared(e) => convert(db, record, e.lease, e.to.as_str(), None)?,
        Event::LockReleased(e) => end_lease(db, record, e.lease, "released")?,
        Event::LockExpired(e) => end_lease(db, record, e.lease, "expired")?,
        Event::LockBroken(e) => end_lease(db, record, e.lease, "broken")?,
        Event::LeasesLapsed(e) => {
            end_session_leases(db, record, e.actor.as_str(), e.session.as_str(), "lapsed")?;
        }
        Event::SessionLost(e) => {
            end_session_leases(db, record, e.actor.as_str(), e.session.as_str(), "session lost")?;
        }
        Event::AgentLeft(e) => {
            end_session_leases(db, record, e.actor.as_str(), e.session.as_str(), "left")?;
        }
        Event::TaskCompleted(e) => end_task_leases(db, record, e.task.0, "completed")?,
        Event::AttemptEnded(e) => end_task_leases(db, record, e.task.0, "attempt ended")?,
        _ => {}
    }
    Ok(())
}

/// A stronger mode is a new lease in the same place.
fn convert(
    db: &Connection,
    record: &Record,
    lease: LeaseId,
    to: &str,
    index: Option<u32>,
) -> Result<()> {
    let Some(index) = index else {
        let mut change =
            db.prepare_cached("UPDATE leases SET mode = ?1 WHERE seq = ?2 AND place = ?3")?;
        change.execute(params![to, lease.seq as i64, lease.index])?;
        return Ok(());
    };
    let mut put = db.prepare_cached(
        "INSERT INTO leases SELECT ?1, ?2, actor, session, task, repo, path, ?3, ?4, NULL, NULL \
         FROM leases WHERE seq = ?5 AND place = ?6",
    )?;
    put.execute(params![
        record.seq as i64,
        index,
        to,
        ms(record.at),
        lease.seq as i64,
        lease.index
    ])?;
    end_lease(db, record, lease, "converted")
}

fn end_lease(db: &Connection, record: &Record, lease: LeaseId, why: &str) -> Result<()> {
    let mut end = db.prepare_cached(
        "UPDATE leases SET ended_ms = ?1, why = ?2 WHERE seq = ?3 AND place = ?4",
    )?;
    end.execute(params![ms(record.at), why, lease.seq as i64, lease.index])?;
    Ok(())
}

fn end_session_leases(
    db: &Connection,
    record: &Record,
    actor: &str,
    session: &str,
    why: &str,
) -> Result<()> {
    let mut end = db.prepare_cached(
        "UPDATE leases SET ended_ms = ?1, why = ?2 \
         WHERE actor = ?3 AND session = ?4 AND ended_ms IS NULL",
    )?;
    end.execute(params![ms(record.at), why, actor, session])?;
    Ok(())
}

fn end_task_leases(db: &Connection, record: &Record, task: u64, why: &str) -> Result<()> {
    let mut end = db.prepare_cached(
        "UPDATE leases SET ended_ms = ?1, why = ?2 WHERE task = ?3 AND ended_ms IS NULL",
    )?;
    end.execute(params![ms(record.at), why, task as i64])?;
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
