//! The programs of Debian's packages: found or installed, and started on loopback in a folder of
//! their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use tempfile::TempDir;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use super::super::world::failed;
use crate::cargo::{line_of, root, stdout_of};
use crate::error::{Error, Result};

/// The packages, and what each is looked for by.
const PACKAGES: [&str; 3] = ["etcd-server", "redis-server", "postgresql"];
/// Debian keeps PostgreSQL's own programs off the path, a folder a version.
const POSTGRES: &str = "/usr/lib/postgresql";
/// Asked by Debian's packages before they start a service; 101 is "no".
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// How long a server may take until it answers, and until it has ended.
const READY: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// Where the programs are.
pub(super) struct Programs {
    pub(super) etcd: PathBuf,
    pub(super) redis: PathBuf,
    /// The folder of PostgreSQL's.
    pub(super) postgres: PathBuf,
}

impl Programs {
    pub(super) fn find_or_install() -> Result<Programs> {
        if let Ok(programs) = Programs::find() {
            return Ok(programs);
        }
        install()?;
        Programs::find().map_err(missing)
    }

    /// All of them, or the package of the first one that is missing.
    fn find() -> std::result::Result<Programs, &'static str> {
        let [etcd, redis, postgres] = PACKAGES;
        Ok(Programs {
            etcd: on_path("etcd").ok_or(etcd)?,
            redis: on_path("redis-server").ok_or(redis)?,
            postgres: newest_postgres().ok_or(postgres)?,
        })
    }
}

fn missing(package: &str) -> Error {
    failed("find the systems to measure beside")(format!(
        "missing is what this installs, as root on Debian: apt-get install {package}"
    ))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn newest_postgres() -> Option<PathBuf> {
    let versions = fs::read_dir(POSTGRES).ok()?.flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .map(|(version, folder)| (version, folder.join("bin")))
        .filter(|(_, bin)| bin.join("postgres").is_file() && bin.join("initdb").is_file());
    newest.max().map(|(_, bin)| bin)
}

/// Installs the packages, and has none of them start a service on its usual port.
fn install() -> Result<()> {
    if !Uid::effective().is_root() {
        return Err(missing(&PACKAGES.join(" ")));
    }
    eprintln!("peers: apt-get install {}", PACKAGES.join(" "));
    let _nothing_starts = NothingStarts::tell()?;
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        stdout_of(command)
    };
    let install = [&["install", "--yes", "--no-install-recommends"], &PACKAGES[..]].concat();
    if apt(&install).is_err() {
        apt(&["update"])?;
        apt(&install)?;
    }
    Ok(())
}

/// While it lives, packages start no services. One that says so in other words is left alone.
struct NothingStarts {
    ours: bool,
}

/// 101: what is asked for is forbidden.
const FORBIDS: &str = "#!/bin/sh\nexit 101\n";

impl NothingStarts {
    fn tell() -> Result<NothingStarts> {
        let policy = Path::new(POLICY);
        match fs::read_to_string(policy) {
            // Ours, of a run that was killed.
            Ok(text) if text == FORBIDS => return Ok(NothingStarts { ours: true }),
            Ok(text) if text.contains("exit 101") => return Ok(NothingStarts { ours: false }),
            Ok(_) => {
                let text = format!("{POLICY} lets packages start services; move it away");
                return Err(failed("keep packages from starting services")(text));
            }
            Err(_) => {}
        }
        let write = || {
            fs::write(policy, FORBIDS)?;
            fs::set_permissions(policy, fs::Permissions::from_mode(0o755))
        };
        write().map_err(|source| Error::Write { path: policy.to_owned(), source })?;
        Ok(NothingStarts { ours: true })
    }
}

impl Drop for NothingStarts {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}

/// A server in a folder of its own. It is gone with this.
pub(super) struct Server {
    // The process goes before the folder it works in.
    child: Child,
    _folder: TempDir,
}

/// Beside the build: `/tmp` is often memory, where an fsync costs nothing.
pub(super) fn folder(name: &str) -> Result<TempDir> {
    let within = root().join("target");
    TempDir::with_prefix_in(format!("bench-{name}-"), within).map_err(failed("make a folder"))
}

/// What the program says of its version: the first word that starts with a digit.
pub(super) fn version(program: &Path) -> Result<String> {
    let mut command = Command::new(program);
    command.arg("--version");
    let text = stdout_of(command)?;
    let text = String::from_utf8_lossy(&text);
    let words = text.split_whitespace().map(|word| word.trim_start_matches("v="));
    let word = words.into_iter().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    Ok(word.unwrap_or("of no known version").to_owned())
}

impl Server {
    /// Starts it; it need not answer yet.
    pub(super) fn start(command: Command, folder: TempDir) -> Result<Server> {
        let line = line_of(&command);
        let mut command = tokio::process::Command::from(command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.kill_on_drop(true);
        let child = command.spawn().map_err(|source| Error::Start { command: line, source })?;
        Ok(Server { child, _folder: folder })
    }

    /// Tries until it works.
    pub(super) async fn ready<T>(
        &mut self,
        mut attempt: impl AsyncFnMut() -> Result<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + READY;
        loop {
            match attempt().await {
                Err(_) if Instant::now() < deadline => {}
                answer => return answer,
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                let text = format!("it ended: {status}");
                return Err(failed("have a peer's server answer")(text));
            }
            sleep(LOOK).await;
        }
    }

    /// Ends it as Ctrl-C would, so that it leaves nothing behind.
    pub(super) async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
        if timeout(READY, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}
