//! One process of the mesh: how it is started and named.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;

use devmesh_protocol::ActorId;
use tokio::process::{Child, Command};

use crate::config::AgentSpec;
use crate::error::{Error, Result};
use crate::process::Known;
use crate::state_dir::StateDir;

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Works on tasks; goes first.
    Agent,
    /// The web page.
    Dashboard,
    /// Measures the host.
    Probe,
    /// The single writer.
    Coordinator,
    /// The bus; goes last.
    Bus,
}

impl Kind {
    /// The kind of a process by its name in `run.json`.
    pub(crate) fn of(name: &str) -> Kind {
        match name {
            "nats-server" => Kind::Bus,
            "coordinator" => Kind::Coordinator,
            "probe" => Kind::Probe,
            "dashboard" => Kind::Dashboard,
            _ => Kind::Agent,
        }
    }

    /// Whether a mesh without it is none.
    pub(super) fn is_essential(self) -> bool {
        matches!(self, Kind::Bus | Kind::Coordinator)
    }
}

/// How a process of this binary is started.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    /// Its name: of its log, and in `run.json`.
    pub(super) name: String,
    /// What stands behind the program's name.
    pub(super) args: Vec<OsString>,
}

impl Spec {
    /// A process of the subcommand `sub`, which is told where the mesh is.
    pub(super) fn new(name: &str, sub: &str, state: &StateDir, url: &str) -> Spec {
        let mut args: Vec<OsString> = vec![sub.into()];
        args.extend(["--mesh".into(), state.mesh.as_str().into()]);
        args.extend(["--state-dir".into(), state.path.clone().into_os_string()]);
        args.extend(["--nats-url".into(), url.into()]);
        Spec { name: name.to_owned(), args }
    }

    /// The same with more arguments.
    #[must_use]
    pub(super) fn with<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Spec {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// An agent.
    pub(super) fn agent(
        name: &ActorId,
        agent: &AgentSpec,
        env_pass: &[String],
        state: &StateDir,
        url: &str,
    ) -> Spec {
        let mut spec = Spec::new(name.as_str(), "agent", state, url).with([
            "--name",
            name.as_str(),
            "--tool",
            &agent.tool,
        ]);
        if let Some(model) = &agent.model {
            spec = spec.with(["--model", model]);
        }
        if let Some(permission) = agent.permission
            && let Some(word) = clap::ValueEnum::to_possible_value(&permission)
        {
            spec = spec.with(["--permission", word.get_name()]);
        }
        for capability in &agent.capabilities {
            spec = spec.with(["--capability", capability]);
        }
        for variable in env_pass {
            spec = spec.with(["--env-pass", variable]);
        }
        spec = spec.with(agent.args.iter());
        if !agent.command.is_empty() {
            spec = spec.with(["--"]).with(agent.command.iter());
        }
        spec
    }

    /// Starts it, with its output in its log.
    pub(super) fn spawn(&self, state: &StateDir) -> Result<(Child, Known)> {
        let failed = || Error::failed(format!("start {}", self.name));
        let exe = std::env::current_exe().map_err(|error| failed().because(error))?;
        let log = open_log(state, &self.name)?;
        let twice = log.try_clone().map_err(|error| failed().because(error))?;
        let child = Command::new(exe)
            .args(&self.args)
            // What a person set for their own commands is not meant for the processes.
            .env_remove("DEVMESH_CREDS")
            .env_remove("DEVMESH_AS")
            .env_remove("DEVMESH_LOG_FILE")
            .stdin(Stdio::null())
            .stdout(Stdio::from(twice))
            .stderr(Stdio::from(log))
            .process_group(0)
            .spawn()
            .map_err(|error| failed().because(error))?;
        let known = child.id().and_then(Known::of);
        let known = known.ok_or_else(|| failed().because("it ended at once"))?;
        Ok((child, known))
    }
}

/// Opens a process's log to write on.
pub(super) fn open_log(state: &StateDir, name: &str) -> Result<File> {
    let path = state.log_of(name);
    File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| Error::failed(format!("write the log {}", path.display())).because(error))
}

/// The last lines of a process's log.
pub(crate) fn last_words(state: &StateDir, name: &str) -> String {
    let text = std::fs::read(state.log_of(name)).unwrap_or_default();
    let from = text.len().saturating_sub(4_000);
    let text = String::from_utf8_lossy(&text[from..]).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(4)..];
    // What an earlier start said is not this one's end.
    let from = last.iter().rposition(|line| line.starts_with("devmesh: ")).unwrap_or(0);
    crate::output::clean_lines(&last[from..].join("\n"))
}
