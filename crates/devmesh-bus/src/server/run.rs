//! The running server: start, wait, stop.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::config::{ServerOptions, bracket};
use super::fetch::tail;
use super::find::Version;
use super::{Error, ready};

/// How long a server may take to end by itself: it closes its store.
const STOP_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// A running server. Dropped, it is killed: acknowledged messages are on disk all the same.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pid: u32,
    url: String,
    version: Version,
    dir: PathBuf,
}

/// Starts a server and returns when clients can connect.
///
/// # Errors
/// Names the option at fault where the port is taken, the store is in use, cannot be written or is
/// full; otherwise shows the end of what the server said.
pub async fn start(options: &ServerOptions) -> Result<Server, Error> {
    options.validate()?;
    prepare(options)?;
    let lock = lock_store(&options.dir)?;
    clear_ports(options)?;
    room(options)?;
    check_port(options)?;
    let config = options.dir.join("server.conf");
    write_private(&config, &options.render()?)?;
    let stderr_path = options.dir.join("server.stderr");
    let stderr = File::create(&stderr_path).map_err(Error::io("create the server's stderr"))?;
    let mut child = Command::new(&options.binary)
        .arg("--config")
        .arg(&config)
        // The server never reads its input; holding the file there keeps the lock on the store for
        // exactly as long as the server lives, whatever becomes of this process.
        .stdin(Stdio::from(lock))
        .stdout(Stdio::null())
        .stderr(Stdio::from(stderr))
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::io(format!("run {}", options.binary.display())))?;
    let pid = child.id().unwrap_or_default();
    fs::write(lock_path(&options.dir), pid.to_string()).map_err(Error::io("write the lock"))?;
    match wait_ready(&mut child, pid, options).await {
        Ok((url, version)) => Ok(Server { child, pid, url, version, dir: options.dir.clone() }),
        Err(error) => {
            // Whatever it was, nothing is left running; the first error is the one to tell.
            let _ = child.kill().await;
            Err(error)
        }
    }
}

impl Server {
    /// Where clients connect: `nats://host:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|p| p.parse().ok()).unwrap_or_default()
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The version it greets with.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The folder it was started on.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits until the server ends by itself.
    ///
    /// # Errors
    /// Where the system cannot say how it ended.
    pub async fn wait(&mut self) -> Result<ExitStatus, Error> {
        self.child.wait().await.map_err(Error::io("wait for nats-server"))
    }

    /// Ends the server: first asked, and killed if it is still there after a bounded wait.
    ///
    /// # Errors
    /// Where the system cannot say how it ended.
    pub async fn stop(mut self) -> Result<ExitStatus, Error> {
        if let Some(status) = self.child.try_wait().map_err(Error::io("stop nats-server"))? {
            return Ok(status);
        }
        // A stopped (SIGSTOP) process would take the TERM only when continued.
        let _ = self.signal(Signal::SIGCONT);
        let _ = self.signal(Signal::SIGTERM);
        match tokio::time::timeout(STOP_WITHIN, self.child.wait()).await {
            Ok(status) => status.map_err(Error::io("stop nats-server")),
            Err(_) => self.kill().await,
        }
    }

    /// Kills the server, as a crash would.
    ///
    /// # Errors
    /// Where the system cannot say how it ended.
    pub async fn kill(mut self) -> Result<ExitStatus, Error> {
        self.child.start_kill().map_err(Error::io("kill nats-server"))?;
        self.wait().await
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let pid = i32::try_from(self.pid).map_err(std::io::Error::other);
        pid.and_then(|pid| kill(Pid::from_raw(pid), signal).map_err(Into::into))
            .map_err(Error::io(format!("send {signal} to nats-server")))
    }
}

fn lock_path(dir: &Path) -> PathBuf {
    dir.join("server.lock")
}

fn prepare(options: &ServerOptions) -> Result<(), Error> {
    let unwritable = |source| Error::StoreUnwritable { dir: options.dir.clone(), source };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    for dir in [options.dir.clone(), options.ports_dir(), options.store_dir()] {
        builder.create(dir).map_err(unwritable)?;
    }
    let log = options.log_path();
    if let Some(parent) = log.parent() {
        builder.create(parent).map_err(|source| Error::Io {
            what: format!("write to the log {} (`log_file`)", log.display()),
            source,
        })?;
    }
    Ok(())
}

fn lock_store(dir: &Path) -> Result<File, Error> {
    let path = lock_path(dir);
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| Error::StoreUnwritable { dir: dir.to_owned(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            Err(Error::StoreInUse { dir: dir.to_owned(), pid })
        }
        Err(fs::TryLockError::Error(source)) => {
            Err(Error::Io { what: format!("lock {}", path.display()), source })
        }
    }
}

/// A file that a killed server left behind could bear this one's process number.
fn clear_ports(options: &ServerOptions) -> Result<(), Error> {
    let dir = options.ports_dir();
    fs::remove_dir_all(&dir)
        .and_then(|()| fs::create_dir(&dir))
        .map_err(|source| Error::StoreUnwritable { dir: options.dir.clone(), source })
}

/// What is free where `dir` is, in bytes.
///
/// # Errors
/// Where the system does not say.
pub fn free(dir: &Path) -> std::io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(dir)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Whether the store can be written and has room enough for a start. Writes a block and syncs it:
/// a read-only or full disk shows here, by name, and not as a server that ends for a reason of its
/// own.
///
/// # Errors
/// [`Error::DiskFull`] and [`Error::StoreUnwritable`].
pub fn room(options: &ServerOptions) -> Result<(), Error> {
    let dir = options.store_dir();
    let full =
        |free| Error::DiskFull { dir: options.dir.clone(), free, needed: options.min_free_bytes };
    let free = free(&dir).map_err(Error::io(format!("look at {}", dir.display())))?;
    if free < options.min_free_bytes {
        return Err(full(free));
    }
    let probe = dir.join("write.probe");
    let written = File::create(&probe)
        .and_then(|mut file| file.write_all(&[0; 4096]).and_then(|()| file.sync_all()));
    let _ = fs::remove_file(&probe);
    written.map_err(|source| match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => full(0),
        _ => Error::StoreUnwritable { dir: options.dir.clone(), source },
    })
}

/// The server would end with the same words in its log; here the option has a name. Between this
/// look and the server's own the port may still be taken: then its words are shown.
fn check_port(options: &ServerOptions) -> Result<(), Error> {
    let cluster = options.cluster.as_ref().map(|c| ("cluster.host", &c.host, c.port));
    let client = ("host", &options.host, options.port);
    for (field, host, port) in std::iter::once(client).chain(cluster) {
        let Err(error) = TcpListener::bind(format!("{}:{port}", bracket(host))) else { continue };
        return Err(match error.kind() {
            std::io::ErrorKind::AddrInUse => Error::PortInUse { host: host.clone(), port },
            _ => {
                Error::Option { field, detail: format!("cannot listen on {host}:{port}: {error}") }
            }
        });
    }
    Ok(())
}

fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(Error::io(format!("write {}", path.display())))
}

async fn wait_ready(
    child: &mut Child,
    pid: u32,
    options: &ServerOptions,
) -> Result<(String, Version), Error> {
    let deadline = Instant::now() + options.ready_within;
    let mut progress = "it has not said which ports it took".to_owned();
    loop {
        if let Some(status) = child.try_wait().map_err(Error::io("wait for nats-server"))? {
            return Err(Error::Exited { status, detail: last_words(options) });
        }
        if let Some(ports) = ready::ports(&options.ports_dir(), pid) {
            let url = address(&ports.nats, options);
            match ready::greets(&url).await {
                Ok(version) => return Ok((url, version)),
                Err(why) => progress = why,
            }
        }
        if Instant::now() >= deadline {
            let detail = format!("{progress}; {}", last_words(options));
            return Err(Error::NotReady { within: options.ready_within, detail });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Of the addresses of a server that listens on all of them, the one this machine reaches first.
fn address(urls: &[String], options: &ServerOptions) -> String {
    let port = urls.first().and_then(|url| url.rsplit(':').next()).unwrap_or_default();
    let host = match options.host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    format!("nats://{}:{port}", bracket(host))
}

/// The end of what the server said, for a person to read; nothing is decided by it.
fn last_words(options: &ServerOptions) -> String {
    [options.dir.join("server.stderr"), options.log_path()]
        .iter()
        .filter_map(|path| fs::read(path).ok())
        .map(|bytes| tail(&bytes, 400))
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}
