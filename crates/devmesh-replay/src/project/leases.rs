//! Rows of leases. Most leases come and go within a transaction: the row of one that was granted
//! in it is kept here until it ends, and then written once, as it is; only what was written by an
//! earlier transaction is changed where it stands.

use std::collections::{BTreeMap, HashMap};

use devmesh_protocol::event::lock::{LockConverted, LockGranted};
use devmesh_protocol::{ActorId, Event, LeaseId, Mode, Record, RepoId, SessionId, TaskId};
use rusqlite::Connection;

use super::rows::{ms, put_all};
use crate::error::Result;

/// The rows that the transaction has made.
#[derive(Debug, Default)]
pub(super) struct Leases {
    rows: BTreeMap<LeaseId, Row>,
    /// Those of a session and of a task; some may have ended since.
    by_session: HashMap<(ActorId, SessionId), Vec<LeaseId>>,
    by_task: HashMap<TaskId, Vec<LeaseId>>,
}

#[derive(Clone, Debug)]
struct Row {
    actor: ActorId,
    session: Option<SessionId>,
    task: Option<TaskId>,
    repo: RepoId,
    path: String,
    mode: Mode,
    granted_ms: i64,
    ended: Option<(i64, &'static str)>,
}

impl Leases {
    /// What an event changes.
    pub(super) fn project(
        &mut self,
        db: &Connection,
        record: &Record,
        event: &Event,
    ) -> Result<()> {
        match event {
            Event::LockGranted(e) => self.grant(record, e),
            Event::LockConverted(e) => self.convert(db, record, e)?,
            Event::LeaseShared(e) => self.change_mode(db, e.lease, e.to)?,
            Event::LockReleased(e) => self.end(db, record, e.lease, "released")?,
            Event::LockExpired(e) => self.end(db, record, e.lease, "expired")?,
            Event::LockBroken(e) => self.end(db, record, e.lease, "broken")?,
            Event::LeasesLapsed(e) => {
                self.end_session(db, record, (&e.actor, &e.session), "lapsed")?;
            }
            Event::SessionLost(e) => {
                self.end_session(db, record, (&e.actor, &e.session), "session lost")?;
            }
            Event::AgentLeft(e) => {
                self.end_session(db, record, (&e.actor, &e.session), "left")?;
            }
            Event::TaskCompleted(e) => self.end_task(db, record, e.task, "completed")?,
            Event::AttemptEnded(e) => self.end_task(db, record, e.task, "attempt ended")?,
            _ => {}
        }
        Ok(())
    }

    /// Writes the rows; with the transaction they are the database's.
    pub(super) fn put(&mut self, db: &Connection) -> Result<()> {
        self.by_session.clear();
        self.by_task.clear();
        let rows: Vec<(LeaseId, Row)> = std::mem::take(&mut self.rows).into_iter().collect();
        put_all(db, ("leases", 11), &rows, |(id, lease), row| {
            row.bind(id.seq as i64)?;
            row.bind(id.index)?;
            row.bind(lease.actor.as_str())?;
            row.bind(lease.session.as_ref().map(SessionId::as_str))?;
            row.bind(lease.task.map(|task| task.0 as i64))?;
            row.bind(lease.repo.as_str())?;
            row.bind(&lease.path)?;
            row.bind(lease.mode.as_str())?;
            row.bind(lease.granted_ms)?;
            row.bind(lease.ended.map(|(at, _)| at))?;
            row.bind(lease.ended.map(|(_, why)| why))
        })
    }

    fn grant(&mut self, record: &Record, e: &LockGranted) {
        let row = Row {
            actor: e.actor.clone(),
            session: e.session.clone(),
            task: e.task,
            repo: e.repo.clone(),
            path: e.path.to_string(),
            mode: e.mode,
            granted_ms: ms(record.at),
            ended: None,
        };
        self.insert(LeaseId { seq: record.seq, index: e.index }, row);
    }

    fn insert(&mut self, id: LeaseId, row: Row) {
        if let Some(session) = &row.session {
            let key = (row.actor.clone(), session.clone());
            self.by_session.entry(key).or_default().push(id);
        }
        if let Some(task) = row.task {
            self.by_task.entry(task).or_default().push(id);
        }
        self.rows.insert(id, row);
    }

    /// A stronger mode is a new lease in the same place.
    fn convert(&mut self, db: &Connection, record: &Record, e: &LockConverted) -> Result<()> {
        let Some(index) = e.index else { return self.change_mode(db, e.lease, e.to) };
        let id = LeaseId { seq: record.seq, index };
        let granted_ms = ms(record.at);
        if let Some(row) = self.rows.get(&e.lease) {
            let row = Row { mode: e.to, granted_ms, ended: None, ..row.clone() };
            self.insert(id, row);
        } else {
            let mut put = db.prepare_cached(
                "INSERT INTO leases \
                 SELECT ?1, ?2, actor, session, task, repo, path, ?3, ?4, NULL, NULL \
                 FROM leases WHERE seq = ?5 AND place = ?6",
            )?;
            let (old, to) = (e.lease, e.to.as_str());
            let of = (id.seq as i64, index, to, granted_ms, old.seq as i64, old.index);
            put.execute(of)?;
        }
        self.end(db, record, e.lease, "converted")
    }

    fn change_mode(&mut self, db: &Connection, id: LeaseId, to: Mode) -> Result<()> {
        if let Some(row) = self.rows.get_mut(&id) {
            row.mode = to;
            return Ok(());
        }
        let sql = "UPDATE leases SET mode = ?1 WHERE seq = ?2 AND place = ?3";
        db.prepare_cached(sql)?.execute((to.as_str(), id.seq as i64, id.index))?;
        Ok(())
    }

    fn end(
        &mut self,
        db: &Connection,
        record: &Record,
        id: LeaseId,
        why: &'static str,
    ) -> Result<()> {
        let at = ms(record.at);
        if let Some(row) = self.rows.get_mut(&id) {
            row.ended = Some((at, why));
            return Ok(());
        }
        let sql = "UPDATE leases SET ended_ms = ?1, why = ?2 WHERE seq = ?3 AND place = ?4";
        db.prepare_cached(sql)?.execute((at, why, id.seq as i64, id.index))?;
        Ok(())
    }

    fn end_session(
        &mut self,
        db: &Connection,
        record: &Record,
        (actor, session): (&ActorId, &SessionId),
        why: &'static str,
    ) -> Result<()> {
        let at = ms(record.at);
        let own = self.by_session.remove(&(actor.clone(), session.clone()));
        self.end_open(own, at, why);
        let sql = "UPDATE leases SET ended_ms = ?1, why = ?2 \
                   WHERE actor = ?3 AND session = ?4 AND ended_ms IS NULL";
        db.prepare_cached(sql)?.execute((at, why, actor.as_str(), session.as_str()))?;
        Ok(())
    }

    fn end_task(
        &mut self,
        db: &Connection,
        record: &Record,
        task: TaskId,
        why: &'static str,
    ) -> Result<()> {
        let at = ms(record.at);
        let own = self.by_task.remove(&task);
        self.end_open(own, at, why);
        let sql = "UPDATE leases SET ended_ms = ?1, why = ?2 WHERE task = ?3 AND ended_ms IS NULL";
        db.prepare_cached(sql)?.execute((at, why, task.0 as i64))?;
        Ok(())
    }

    fn end_open(&mut self, ids: Option<Vec<LeaseId>>, at: i64, why: &'static str) {
        for id in ids.into_iter().flatten() {
            if let Some(row) = self.rows.get_mut(&id) {
                row.ended.get_or_insert((at, why));
            }
        }
    }
}
