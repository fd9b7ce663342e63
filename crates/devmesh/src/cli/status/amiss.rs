//! What is amiss with the mesh's own processes on this machine: each with its last words and what
//! to do.

use serde::Serialize;

use crate::context::Context;
use crate::mesh::{Kind, last_words};
use crate::output::clean;
use crate::state_dir::{RunFile, SUPERVISOR, StateDir};

/// With less nothing is certain to be recorded.
const FREE_BYTES_MIN: u64 = 8 << 20;

/// One process, or what all of them stand on, that is not as it should be.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Amiss {
    /// Which.
    process: String,
    /// What is amiss.
    what: String,
    /// The last line of its log.
    said: String,
    /// Where the rest of it is.
    log: String,
    /// What to do.
    next: String,
}

/// Everything that is amiss.
pub(super) fn of(state: &StateDir, run: &RunFile) -> Vec<Amiss> {
    let one = |process: &str, what: String, next: &str| Amiss {
        process: process.to_owned(),
        what,
        said: said(&last_words(state, process)),
        log: state.log_of(process).display().to_string(),
        next: next.to_owned(),
    };
    let mut all = Vec::new();
    let is_watched = run.supervisor().is_some();
    if !is_watched {
        let what = "nobody supervises the mesh: what ends is not started again".to_owned();
        all.push(one(SUPERVISOR, what, "devmesh up -d"));
    }
    for (name, given_up) in &run.given_up {
        let next = match Kind::of(name) {
            Kind::Agent => &format!("remove the cause; devmesh up --agent {name}=TOOL"),
            _ => "remove the cause; devmesh down; devmesh up -d",
        };
        all.push(one(name, format!("not started again ({})", given_up.how), next));
    }
    let gone = run.pids.keys().filter(|name| *name != SUPERVISOR && run.living(name).is_none());
    for name in gone {
        let (what, next) = match is_watched {
            true => ("ended; being started again", "look again in a moment"),
            false => ("ended", "devmesh up -d"),
        };
        all.push(one(name, what.to_owned(), next));
    }
    all.extend(disk(state));
    all
}

/// A disk without room: what is asked for is not answered until there is some.
fn disk(state: &StateDir) -> Option<Amiss> {
    let stat = nix::sys::statvfs::statvfs(&state.path).ok()?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    (free < FREE_BYTES_MIN).then(|| Amiss {
        process: "disk".to_owned(),
        what: format!("{} KiB are free at {}", free >> 10, state.path.display()),
        said: String::new(),
        log: state.log_of("nats-server").display().to_string(),
        next: "free some space; what was asked for meanwhile may have been done".to_owned(),
    })
}

/// The last line that says what happened: a hint says what to do, and comes after it.
fn said(log: &str) -> String {
    let line = log.lines().rev().find(|line| !line.starts_with("hint:") && !line.is_empty());
    line.unwrap_or_default().to_owned()
}

/// For people.
pub(super) fn show(context: &Context, amiss: &[Amiss]) {
    let out = context.out;
    for one in amiss {
        out.line(out.strong(&format!("{}: {}", one.process, clean(&one.what))));
        if !one.said.is_empty() {
            out.line(format!("    {}", clean(&one.said)));
        }
        out.line(format!("    log   {}", one.log));
        out.line(format!("    next  {}", one.next));
    }
    if !amiss.is_empty() {
        out.line("");
    }
}
