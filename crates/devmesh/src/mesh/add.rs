//! Agents that are added to a mesh that runs. Who adds one leaves a file and a signal; the
//! supervising process starts it, as it starts all others.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::child::Spec;
use super::watch::Mesh;
use crate::config::AgentSpec;
use crate::error::{Error, Result};
use crate::output::say;
use crate::state_dir::{RunFile, StateDir, write_whole};

/// One agent to start.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    agent: AgentSpec,
    env_pass: Vec<String>,
}

/// Asks the supervising process to start agents that have names.
pub(crate) fn add(
    state: &StateDir,
    run: &RunFile,
    agents: &[AgentSpec],
    env_pass: &[String],
) -> Result<()> {
    let folder = folder(state);
    let failed = || Error::failed("add agents to the mesh that runs");
    fs::create_dir_all(&folder).map_err(|error| failed().because(error))?;
    for agent in agents {
        let Some(name) = &agent.name else { continue };
        let wanted = Wanted { agent: agent.clone(), env_pass: env_pass.to_vec() };
        let text = serde_json::to_string(&wanted).map_err(|error| failed().because(error))?;
        write_whole(&folder.join(format!("{name}.json")), &text)?;
    }
    let supervisor = run.supervisor().ok_or_else(|| {
        failed()
            .because("its supervising process has gone")
            .hint("`devmesh down`, then `devmesh up`")
    })?;
    supervisor.signal(Signal::SIGUSR1);
    Ok(())
}

fn folder(state: &StateDir) -> PathBuf {
    state.path.join("wanted")
}

impl Mesh {
    /// Starts the agents that were asked for. One that cannot be is told; the mesh goes on.
    pub(super) fn add_wanted(&mut self) {
        let entries = fs::read_dir(folder(&self.state)).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        // What is still being written has another ending.
        paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
        paths.sort();
        for path in paths {
            let wanted = read(&path);
            let _ = fs::remove_file(&path);
            if let Err(error) = wanted.and_then(|wanted| self.add_one(wanted)) {
                say(error.lines().join("\n"));
                tracing::error!(path = %path.display(), "an agent was not added");
            }
        }
    }

    fn add_one(&mut self, wanted: Wanted) -> Result<()> {
        let Wanted { agent, env_pass } = wanted;
        let Some(name) = agent.name.clone() else { return Ok(()) };
        if self.run.living(name.as_str()).is_some() {
            return Ok(());
        }
        let spec = Spec::agent(&name, &agent, &env_pass, &self.state, &self.run.nats_url);
        tracing::info!(%name, "an agent is added");
        self.launch(spec).map(|_| ())
    }
}

fn read(path: &Path) -> Result<Wanted> {
    let failed = || Error::failed(format!("read {}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failed().because(error))?;
    serde_json::from_str(&text).map_err(|error| failed().because(error))
}
