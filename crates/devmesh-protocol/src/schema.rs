//! The JSON schemas of everything that crosses a process boundary: the source of `schemas/`.

use schemars::schema_for;
use serde_json::Value;

use crate::command::Verb;
use crate::event::Notice;
use crate::record::Record;
use crate::reply::Rejection;
use crate::rulebook::RulebookView;
use crate::{query, report, view};

/// All schemas, by file name without its ending.
pub fn all() -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> = Verb::schemas()
        .into_iter()
        .map(|(verb, schema)| (format!("command.{verb}"), schema.to_value()))
        .collect();
    macro_rules! add {
        ($($name:literal: $type:ty,)*) => {
            $(all.push(($name.to_owned(), schema_for!($type).to_value()));)*
        };
    }
    add! {
        "query.list": query::List,
        "query.tasks": query::Tasks,
        "query.task": query::Task,
        "query.locks": query::Locks,
        "query.lock.check": query::LockCheck,
        "query.lock.why": query::LockWhy,
        "query.notes": query::Notes,
        "query.why": query::Why,
        "query.text": query::Text,
        "record": Record,
        "notice": Notice,
        "rejection": Rejection,
        "rulebook": RulebookView,
        "report.beat": report::Beat,
        "report.beat_reply": report::BeatReply,
        "report.host": report::HostReport,
        "report.output_line": report::OutputLine,
        "report.leader": report::LeaderBeat,
        "view.state": view::MeshView,
        "view.task": view::TaskView,
        "view.agent": view::AgentView,
        "view.lease": view::LeaseView,
        "view.waiter": view::WaiterView,
        "view.host": view::HostView,
        "view.repo": view::RepoView,
        "view.note": view::NoteView,
        "view.why": view::WhyView,
    }
    all
}
