//! `run.json`: what runs now, for scripts and for `down`. And the ports of last time, so that a
//! mesh is found where it was.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use super::{StateDir, write_whole};
use crate::error::{Error, Result};
use crate::process::Known;

/// The name under which the supervising process stands.
pub(crate) const SUPERVISOR: &str = "up";

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// Which mesh.
    pub(crate) mesh: String,
    /// Where the bus listens.
    pub(crate) nats_url: String,
    /// Where the dashboard is; none where there is none.
    pub(crate) dashboard_url: Option<String>,
    /// Where other hosts reach the mesh; none where they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<String>,
    /// The processes by name.
    pub(crate) pids: BTreeMap<String, u32>,
    /// When each started, in the system's words: a number may be another process's later.
    pub(crate) started: BTreeMap<String, String>,
    /// Whether all of it had started.
    #[serde(default)]
    pub(crate) ready: bool,
    /// The processes that are not started again, with how they ended last.
    #[serde(default)]
    pub(crate) given_up: BTreeMap<String, GivenUp>,
}

/// A process that is not started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GivenUp {
    /// How it ended.
    pub(crate) how: String,
    /// When, in milliseconds UTC.
    pub(crate) at: u64,
}

/// The ports of last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ports {
    /// The bus's.
    pub(crate) nats: u16,
    /// The dashboard's.
    pub(crate) dashboard: u16,
}

impl RunFile {
    /// A file that names no process yet.
    pub(crate) fn new(state: &StateDir) -> RunFile {
        RunFile {
            mesh: state.mesh.to_string(),
            nats_url: String::new(),
            dashboard_url: None,
            listen: None,
            pids: BTreeMap::new(),
            started: BTreeMap::new(),
            ready: false,
            given_up: BTreeMap::new(),
        }
    }

    /// Reads it; none where nothing was started, or all was ended.
    pub(crate) fn read(state: &StateDir) -> Result<Option<RunFile>> {
        let path = state.path.join("run.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Error::usage(format!("{} cannot be read", path.display()))
                    .because(error)
                    .hint("`devmesh down` ends what still runs and takes it away"));
            }
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Error::usage(format!("{} is damaged", path.display()))
                .because(error)
                .hint("`devmesh down` ends what still runs and takes it away; then `devmesh up`")
        })
    }

    /// Writes it whole.
    pub(crate) fn write(&self, state: &StateDir) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::failed("write run.json").because(error))?;
        write_whole(&state.path.join("run.json"), &format!("{text}\n"))
    }

    /// Takes it away: nothing runs.
    pub(crate) fn remove(state: &StateDir) {
        let _ = fs::remove_file(state.path.join("run.json"));
    }

    /// Names a process.
    pub(crate) fn put(&mut self, name: &str, process: &Known) {
        self.pids.insert(name.to_owned(), process.pid);
        self.started.insert(name.to_owned(), process.started.clone());
        self.given_up.remove(name);
    }

    /// Forgets a process.
    pub(crate) fn take(&mut self, name: &str) {
        self.pids.remove(name);
        self.started.remove(name);
    }

    /// The process of that name, if it still is the one that was started.
    pub(crate) fn living(&self, name: &str) -> Option<Known> {
        let known = Known { pid: *self.pids.get(name)?, started: self.started.get(name)?.clone() };
        known.lives().then_some(known)
    }

    /// All that still run, by name.
    pub(crate) fn all_living(&self) -> Vec<(String, Known)> {
        let living = |name: &String| Some((name.clone(), self.living(name)?));
        self.pids.keys().filter_map(living).collect()
    }

    /// The supervising process, if it still runs.
    pub(crate) fn supervisor(&self) -> Option<Known> {
        self.living(SUPERVISOR)
    }
}

impl Ports {
    /// Those of last time; zeros where there was none.
    pub(crate) fn read(state: &StateDir) -> Ports {
        let text = fs::read_to_string(state.path.join("ports.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Keeps them for next time.
    pub(crate) fn write(&self, state: &StateDir) -> Result<()> {
        let text = serde_json::to_string(self)
            .map_err(|error| Error::failed("write ports.json").because(error))?;
        write_whole(&state.path.join("ports.json"), &text)
    }
}
