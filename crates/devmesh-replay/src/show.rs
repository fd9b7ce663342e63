//! What people and programs look at: a moment of the mesh, its records, the messages themselves.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use devmesh_bus::log::Log;
use devmesh_domain::Reader;
use devmesh_domain::look::look;
use devmesh_domain::state::State;
use devmesh_protocol::query::{LIMIT_MAX, List, Locks, Tasks, What};
use devmesh_protocol::{At, Record};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::Args;
use crate::error::{Error, Result};
use crate::read::{self, Head, Step};

/// A moment of the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Seq(u64),
    Time(At),
}

impl Moment {
    pub(crate) fn parse(text: &str) -> Result<Moment> {
        if let Ok(seq) = text.parse() {
            return Ok(Moment::Seq(seq));
        }
        At::from_rfc3339(text).map(Moment::Time).ok_or_else(|| Error::Argument {
            name: "--at",
            value: text.to_owned(),
            why: "a record's number or a time like 2026-11-21T09:30:00Z is expected".to_owned(),
        })
    }

    fn is_before(self, record: &Record) -> bool {
        match self {
            Moment::Seq(seq) => seq < record.seq,
            Moment::Time(at) => at < record.at,
        }
    }
}

/// Everything there is to see in a state, each part as its query answers it, whole.
pub(crate) fn everything(state: &State) -> Value {
    let limit = Some(LIMIT_MAX);
    let list = |after| List { limit, after };
    let tasks = |after: Option<String>| {
        What::Tasks(Tasks { limit, after: parsed(after), ..Tasks::default() })
    };
    let locks = |after: Option<String>| {
        What::Locks(Locks { limit, after: parsed(after), ..Locks::default() })
    };
    json!({
        "state": answer(state, &What::State),
        "tasks": whole(state, ("tasks", "task"), tasks),
        "agents": whole(state, ("agents", "agent"), |after| What::Agents(list(after))),
        "locks": whole(state, ("leases", "lease"), locks),
        "hosts": whole(state, ("hosts", "host"), |after| What::Hosts(list(after))),
        "repos": whole(state, ("repos", "repo"), |after| What::Repos(list(after))),
    })
}

fn parsed<K: std::str::FromStr>(after: Option<String>) -> Option<K> {
    after.and_then(|after| after.parse().ok())
}

fn answer(state: &State, what: &What) -> Value {
    look(state, what).unwrap_or_else(|refused| json!({ "error": refused }))
}

/// The answer with all entries of its list, which queries give part by part. `key` is the field
/// that the next part comes after.
fn whole(state: &State, (list, key): (&str, &str), what: impl Fn(Option<String>) -> What) -> Value {
    let mut all = answer(state, &what(None));
    loop {
        let last = all[list].as_array().and_then(|entries| entries.last());
        let Some(after) = last.and_then(|last| last[key].as_str()) else { return all };
        let mut part = answer(state, &what(Some(after.to_owned())));
        match (&mut all[list], part[list].take()) {
            (Value::Array(all), Value::Array(part)) if !part.is_empty() => all.extend(part),
            _ => return all,
        }
    }
}

pub(crate) async fn at<L: Log>(
    args: &Args,
    log: &L,
    at: &str,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let moment = Moment::parse(at)?;
    let state = state_at(log, moment).await?;
    let all = everything(&state);
    let text = if args.json {
        all.to_string()
    } else {
        serde_json::to_string_pretty(&all).unwrap_or_default()
    };
    writeln!(out, "{text}").map_err(Error::Print)
}

/// The state as it stood at that moment. A batch is folded record by record here, so that a
/// moment between two records of one message can be shown.
pub(crate) async fn state_at<L: Log>(log: &L, moment: Moment) -> Result<State> {
    let mut reader = Reader::default();
    let mut state = State::default();
    let mut past_it = false;
    read::each(log, &mut reader, |step| {
        for record in &step.records {
            if moment.is_before(record) {
                past_it = true;
                return Ok(ControlFlow::Break(()));
            }
            devmesh_domain::fold::fold(&mut state, record);
        }
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    match moment {
        Moment::Seq(seq) if !past_it && seq > state.seq => Err(Error::Argument {
            name: "--at",
            value: seq.to_string(),
            why: format!("the log ends at record {}", state.seq),
        }),
        Moment::Seq(_) | Moment::Time(_) => Ok(state),
    }
}

fn print(step: &Step<'_>, from: u64, json: bool, out: &mut (dyn Write + Send)) -> Result<()> {
    for record in step.records.iter().filter(|record| record.seq >= from) {
        let text = if json { line(record) } else { told(record) };
        writeln!(out, "{text}").map_err(Error::Print)?;
    }
    Ok(())
}

fn line(record: &Record) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

/// A record in words: a line for each event, the first with number, time and actor.
pub(crate) fn told(record: &Record) -> String {
    let mut text = format!("{:>6}  {}  {:<14}", record.seq, record.at, record.actor);
    for (place, event) in record.events.iter().enumerate() {
        if place > 0 {
            text += "\n        ";
            text += &" ".repeat(40);
        }
        text += &format!("  {}", plain(&event.to_string()));
    }
    text
}

/// Text from outside without what would move a terminal's cursor or hide what follows.
pub(crate) fn plain(text: &str) -> String {
    const BIDI: [std::ops::RangeInclusive<char>; 3] =
        ['\u{200e}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    let bidi = |c| BIDI.iter().any(|range| range.contains(&c));
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || bidi(c) {
            plain.extend(c.escape_unicode());
        } else {
            plain.push(c);
        }
    }
    plain
}

pub(crate) async fn records<L: Log>(
    args: &Args,
    log: &L,
    out: &mut (dyn Write + Send),
    shutdown: CancellationToken,
) -> Result<()> {
    let from = args.records.unwrap_or(1);
    let mut reader = Reader::default();
    let mut take = |step: Step<'_>| {
        print(&step, from, args.json, out)?;
        Ok(ControlFlow::Continue(()))
    };
    read::each(log, &mut reader, &mut take).await?;
    if !args.follow {
        return Ok(());
    }
    let entries = log.tail(reader.chain().stream_seq + 1);
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = read::drain(entries, &mut reader, &mut take) => ended,
    }
}

pub(crate) async fn export<L: Log>(
    args: &Args,
    log: &L,
    path: &Path,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let mut reader = Reader::default();
    let mut file = crate::file::Writer::create(path)?;
    read::each(log, &mut reader, |step| {
        file.put(step.stream_seq, step.payload)?;
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    file.end()?;
    let head = Head::of(reader.chain());
    let text = if args.json {
        json!({ "file": path, "head": head.to_string() }).to_string()
    } else {
        format!("{} messages written to {}\nhead {head}", head.stream_seq, path.display())
    };
    writeln!(out, "{text}").map_err(Error::Print)
}
