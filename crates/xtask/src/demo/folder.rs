//! The temporary folder that everything happens in, and commands that see nothing else.

use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::tasks;
use crate::error::{Error, Result};

/// A command of the demonstration that takes longer hangs.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// The programs that take part.
pub(crate) struct Programs {
    /// What is shown.
    pub(crate) devmesh: PathBuf,
    /// The coding CLI that its agents run.
    pub(crate) scripted: PathBuf,
    /// The bus.
    pub(crate) nats_server: PathBuf,
}

/// The folder: a repository, a home, a place for the mesh's state.
pub(crate) struct Folder {
    root: PathBuf,
    env: Vec<(&'static str, OsString)>,
    programs: Programs,
}

/// How a command ended.
pub(crate) struct Ran {
    /// As a person would type it.
    pub(crate) line: String,
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// Its data.
    pub(crate) stdout: String,
    /// Its talk.
    pub(crate) stderr: String,
}

impl Folder {
    /// An empty one. It stays until [`Folder::remove`].
    pub(crate) fn make(programs: Programs) -> Result<Self> {
        let made = tempfile::Builder::new().prefix("devmesh-demo-").tempdir();
        let made = made.and_then(|folder| folder.keep().canonicalize());
        let root = made.map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
        let env = environment(&root, &programs);
        let folder = Self { root, env, programs };
        for name in ["home", "repo", "tmp", "tools", "config/devmesh", "prompts"] {
            folder.create_dir(name)?;
        }
        for name in super::AGENTS {
            let tool = folder.tool(name);
            symlink(&folder.programs.scripted, &tool)
                .map_err(|source| Error::Write { path: tool, source })?;
        }
        folder.write("home/.gitconfig", tasks::GIT_CONFIG)?;
        folder.write("config/devmesh/config.toml", &folder.agents())?;
        folder.write_entry()?;
        Ok(folder)
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The repository's checkout.
    pub(crate) fn repo(&self) -> PathBuf {
        self.root.join("repo")
    }

    /// The home that all programs are given.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// The coding CLI of one agent.
    pub(crate) fn tool(&self, agent: &str) -> PathBuf {
        self.root.join("tools").join(agent)
    }

    /// The command that looks into the mesh from any shell.
    pub(crate) fn entry(&self) -> PathBuf {
        self.root.join("devmesh")
    }

    /// Makes the repository's first commit.
    pub(crate) async fn plant(&self) -> Result<()> {
        self.git(&["init", "--quiet", "--initial-branch", "main"]).await?;
        for (path, text) in tasks::FILES {
            self.write(&format!("repo/{path}"), text)?;
        }
        self.git(&["add", "--all"]).await?;
        self.git(&["commit", "--quiet", "--message", "feat: open the shop"]).await?;
        Ok(())
    }

    /// Writes a file; folders on the way are made.
    pub(crate) fn write(&self, path: &str, text: &str) -> Result<PathBuf> {
        let path = self.root.join(path);
        let parent = path.parent().unwrap_or(&self.root);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text));
        written.map_err(|source| Error::Write { path: path.clone(), source })?;
        Ok(path)
    }

    /// Runs git in the checkout; its output without the last line's end.
    pub(crate) async fn git(&self, args: &[&str]) -> Result<String> {
        let ran = self.run(Path::new("git"), args).await?;
        Ok(ran.succeeded()?.trim_end().to_owned())
    }

    /// Runs devmesh in the checkout, whatever comes of it.
    pub(crate) async fn devmesh(&self, args: &[&str]) -> Result<Ran> {
        self.run(&self.programs.devmesh, args).await
    }

    async fn run(&self, program: &Path, args: &[&str]) -> Result<Ran> {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let line = format!("{name} {}", args.join(" "));
        let mut command = Command::new(program);
        command.args(args).current_dir(self.repo());
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let stuck = || Error::Demo {
            doing: format!("run `{line}`"),
            evidence: format!("it did not end within {} s", COMMAND_MAX.as_secs()),
        };
        let ended = tokio::time::timeout(COMMAND_MAX, command.output()).await;
        let output = ended
            .map_err(|_| stuck())?
            .map_err(|source| Error::Start { command: line.clone(), source })?;
        Ok(Ran {
            line,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Takes the folder away.
    pub(crate) fn remove(self) -> Result<()> {
        std::fs::remove_dir_all(&self.root)
            .map_err(|source| Error::Write { path: self.root.clone(), source })
    }

    fn create_dir(&self, name: &str) -> Result<()> {
        let path = self.root.join(name);
        std::fs::create_dir_all(&path).map_err(|source| Error::Write { path, source })
    }

    /// What a user's own configuration says of agents: the scripted CLI, four times.
    fn agents(&self) -> String {
        let one = |name: &&str| {
            let command = serde_json::json!([self.tool(name)]);
            format!(
                "[[agents]]\nname = \"{name}\"\ntool = \"custom\"\ncommand = {command}\n\
                 args = [\"--dialect\", \"scripted\"]\n\n"
            )
        };
        super::AGENTS.iter().map(one).collect()
    }

    /// A command that can be typed anywhere and means this mesh.
    fn write_entry(&self) -> Result<()> {
        let quoted =
            |value: &OsString| format!("'{}'", value.to_string_lossy().replace('\'', r"'\''"));
        let set: Vec<String> =
            self.env.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
        let text = format!(
            "#!/bin/sh\ncd {} && exec env -i {} {} \"$@\"\n",
            quoted(&self.repo().into_os_string()),
            set.join(" "),
            quoted(&self.programs.devmesh.clone().into_os_string()),
        );
        let path = self.write("devmesh", &text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .map_err(|source| Error::Write { path, source })
    }
}

impl Ran {
    /// Its data, or what it said instead.
    pub(crate) fn succeeded(self) -> Result<String> {
        if self.code == Some(0) {
            return Ok(self.stdout);
        }
        let code = self.code.map_or_else(|| "by a signal".into(), |code| format!("with {code}"));
        let said = format!("{}\n{}", self.stdout.trim_end(), self.stderr.trim_end());
        Err(Error::Demo {
            doing: format!("run `{}`", self.line),
            evidence: format!("it ended {code}\n{}", said.trim()),
        })
    }
}

/// All that the programs see of the machine.
fn environment(root: &Path, programs: &Programs) -> Vec<(&'static str, OsString)> {
    let at = |name: &str| root.join(name).into_os_string();
    vec![
        ("PATH", std::env::var_os("PATH").unwrap_or_default()),
        ("HOME", at("home")),
        ("USER", "visitor".into()),
        ("LANG", "C".into()),
        ("TMPDIR", at("tmp")),
        ("XDG_CACHE_HOME", at("cache")),
        ("XDG_CONFIG_HOME", at("config")),
        ("XDG_DATA_HOME", at("data")),
        ("XDG_STATE_HOME", at("state")),
        ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ("DEVMESH_NATS_SERVER", programs.nats_server.clone().into_os_string()),
        ("DEVMESH_HOST", "demo".into()),
        // Shorter than anybody needs: a dead agent's task is not to be waited for long here.
        ("DEVMESH_LOCK_TTL_SEC", super::LEASE_S.to_string().into()),
        ("DEVMESH_HEARTBEAT_GRACE_SEC", "2".into()),
        ("DEVMESH_AGENT_RECONNECT_GRACE_SEC", super::SILENT_S.to_string().into()),
        // All at once, however few processors there are: they mostly sleep.
        ("DEVMESH_SLOTS", super::AGENTS.len().to_string().into()),
        // The machine may be busy with other things; the story is not about that.
        ("DEVMESH_IGNORE_STRAIN", "1".into()),
    ]
}
