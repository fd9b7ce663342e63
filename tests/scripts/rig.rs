//! A home, a repository and a state folder of their own, and the real program.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use devmesh_bus::server;
use devmesh_testkit::left::{self, Process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use super::text;

/// One command; far above what it takes, for a machine with many other things to do.
const COMMAND_MAX: Duration = Duration::from_secs(120);

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Where the programs are, for whoever has just built them: cargo is not asked again by each test.
const BUILT: &str = "DEVMESH_TEST_PROGRAMS";

/// The folder of the built programs, which are built once.
pub(crate) async fn programs() -> PathBuf {
    static PROGRAMS: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        if let Some(built) = std::env::var_os(BUILT) {
            return PathBuf::from(built);
        }
        let test = std::env::current_exe().unwrap();
        let built = test.ancestors().nth(2).unwrap().to_owned();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "-p", "devmesh", "-p", "devmesh-testkit", "--bins"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        build.current_dir(root()).env("CARGO_TARGET_DIR", built.parent().unwrap());
        // Cargo describes this crate to us by environment. The next cargo must not see that:
        // build scripts that read it would run again, and all that depends on them be built anew,
        // now and by the next cargo that does not see it.
        for (key, _) in std::env::vars_os() {
            let name = key.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                build.env_remove(&key);
            }
        }
        assert!(build.status().await.unwrap().success(), "the programs are built");
        built
    };
    PROGRAMS.get_or_init(build).await.clone()
}

/// A place to work in. What still runs in it is ended with it.
pub(crate) struct Rig {
    dir: TempDir,
    path: String,
    nats_server: PathBuf,
}

impl Rig {
    /// A repository with one commit.
    pub(crate) async fn new() -> Self {
        let programs = programs().await;
        let around = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{around}", programs.display());
        let nats_server = server::fetch().await.unwrap();
        let dir = tempfile::Builder::new().prefix("devmesh-script-").tempdir().unwrap();
        let rig = Self { dir, path, nats_server };
        for name in ["home", "repo/src", "tmp"] {
            std::fs::create_dir_all(rig.at(name)).unwrap();
        }
        std::fs::write(rig.at("repo/src/main.txt"), "one\n").unwrap();
        let identity = "[user]\n\tname = Ada\n\temail = ada@example.invalid\n";
        std::fs::write(rig.at("home/.gitconfig"), identity).unwrap();
        rig.done("git init -q -b main && git add -A && git commit -q -m start").await;
        rig
    }

    /// A path below its folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(self.at("repo"));
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        command.env("PATH", &self.path).env("USER", "ada").env("LANG", "C.UTF-8");
        command.env("HOME", self.at("home")).env("TMPDIR", self.at("tmp"));
        command.env("DEVMESH_STATE_DIR", self.at("state"));
        command.env("DEVMESH_NATS_SERVER", &self.nats_server);
        command.env("DEVMESH_HOST", "here").env("DEVMESH_SLOTS", "2");
        // However busy the machine is that runs the tests.
        command.env("DEVMESH_IGNORE_STRAIN", "1");
        command
    }

    /// Starts a command that goes on; it is killed with its handle.
    pub(crate) fn spawn(&self, line: &str) -> Child {
        let mut command = self.command(line);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    async fn output(&self, line: &str) -> Output {
        let output = tokio::time::timeout(COMMAND_MAX, self.command(line).output()).await;
        output.unwrap_or_else(|_| panic!("{line} did not end")).unwrap()
    }

    /// What a command prints and how it exits, as it stands in a session.
    pub(crate) async fn shell(&self, line: &str) -> String {
        let output = self.output(line).await;
        let mut shown = String::new();
        for out in String::from_utf8_lossy(&output.stdout).lines() {
            shown += &format!("{}\n", out.trim_end());
        }
        for err in String::from_utf8_lossy(&output.stderr).lines() {
            shown += format!("! {err}").trim_end();
            shown.push('\n');
        }
        if !output.status.success() {
            shown += &format!("? {}\n", output.status.code().unwrap_or(-1));
        }
        let own = self.at("").display().to_string();
        text::plain(&shown.replace(own.trim_end_matches('/'), "[dir]"))
    }

    /// Runs what must succeed; gives its stdout.
    pub(crate) async fn done(&self, line: &str) -> String {
        let output = self.output(line).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {}\n{said}", output.status);
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// The exit code of a command and what it prints.
    pub(crate) async fn tried(&self, line: &str) -> (i32, String) {
        let output = self.output(line).await;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code().unwrap_or(-1), printed)
    }

    /// The exit code of a command and what it says on stderr.
    pub(crate) async fn fails(&self, line: &str) -> (i32, String) {
        let output = self.output(line).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), said)
    }

    /// What still runs in its folder.
    pub(crate) async fn left(&self) -> Vec<Process> {
        left::wait(&self.at("")).await
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // A test that failed must leave nothing running.
        let mut down = std::process::Command::new("sh");
        down.args(["-c", "devmesh down"]).current_dir(self.at("repo")).env_clear();
        down.env("PATH", &self.path).env("HOME", self.at("home"));
        down.env("DEVMESH_STATE_DIR", self.at("state"));
        let _ = down.stdin(Stdio::null()).output();
    }
}
