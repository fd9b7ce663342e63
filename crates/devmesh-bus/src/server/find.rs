//! Which nats-server to run: the flag's, the environment's, one on PATH, or the fetched one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::Error;

/// The oldest server whose JetStream refuses what it does not know; checked again at connect.
pub const VERSION_MIN: Version = Version { major: 2, minor: 12, patch: 0 };

/// A binary that does not answer `--version` in this time is not a nats-server.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

/// The environment variable that names a server.
const ENV: &str = "DEVMESH_NATS_SERVER";

/// A server's version, without what follows the patch number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
}

impl Version {
    /// Reads `2.15.1`, `v2.15.1` or `2.15.1-RC.1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().strip_prefix('v').unwrap_or(text.trim());
        let plain = text.split(['-', '+']).next()?;
        let mut numbers = plain.split('.').map(|n| n.parse::<u32>().ok());
        let version =
            Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
        numbers.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Where a server was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Named on the command line or in the configuration.
    Flag,
    /// Named by `DEVMESH_NATS_SERVER`.
    Env,
    /// On `PATH`.
    Path,
    /// Fetched earlier.
    Cache,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Env => "env DEVMESH_NATS_SERVER",
            Self::Path => "PATH",
            Self::Cache => "cache",
        })
    }
}

/// A candidate that was looked at and not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The candidate.
    pub path: PathBuf,
    /// Where it came from.
    pub source: Source,
    /// Why it was not taken.
    pub why: String,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (from {}): {}", self.path.display(), self.source, self.why)
    }
}

/// The server to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The binary.
    pub path: PathBuf,
    /// What it says it is.
    pub version: Version,
    /// Where it was found.
    pub source: Source,
    /// Those that were looked at before it.
    pub rejected: Vec<Rejected>,
}

/// Where to look, as a value, so that a test looks where it wants.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The value of `DEVMESH_NATS_SERVER`.
    pub env: Option<PathBuf>,
    /// The folders of `PATH`, in order.
    pub path: Vec<PathBuf>,
    /// Where the fetched server lies.
    pub cache: Option<PathBuf>,
}

impl Places {
    /// The places that this process's environment names.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            env: std::env::var_os(ENV).filter(|v| !v.is_empty()).map(PathBuf::from),
            path: std::env::var_os("PATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
            cache: super::cache_path().ok(),
        }
    }
}

/// Finds a server of at least [`VERSION_MIN`]: the one `explicit` names, else the environment's,
/// else the first good one on PATH, else the fetched one.
///
/// # Errors
/// [`Error::NotFound`] with every candidate that was looked at. One that a person named and that
/// does not do is an error at once: silently taking another would hide the mistake.
pub async fn find(explicit: Option<&Path>) -> Result<Found, Error> {
    find_in(explicit, &Places::from_env()).await
}

/// As [`find`], looking only at `places`.
///
/// # Errors
/// As [`find`].
pub async fn find_in(explicit: Option<&Path>, places: &Places) -> Result<Found, Error> {
    let named = explicit
        .map(|path| (path.to_owned(), Source::Flag))
        .or_else(|| places.env.clone().map(|path| (path, Source::Env)));
    let candidates: Vec<(PathBuf, Source)> = match named {
        Some(named) => vec![named],
        None => places
            .path
            .iter()
            .map(|dir| (dir.join("nats-server"), Source::Path))
            .chain(places.cache.clone().map(|path| (path, Source::Cache)))
            .filter(|(path, _)| path.is_file())
            .collect(),
    };
    let mut rejected = Vec::new();
    for (path, source) in candidates {
        match version_of(&path).await {
            Ok(version) if version >= VERSION_MIN => {
                return Ok(Found { path, version, source, rejected });
            }
            Ok(version) => {
                let why = format!("version {version} is older than {VERSION_MIN}");
                rejected.push(Rejected { path, source, why });
            }
            Err(why) => rejected.push(Rejected { path, source, why }),
        }
    }
    Err(Error::NotFound { rejected })
}

/// Asks the binary for its version; the error says why there is none.
pub(super) async fn version_of(path: &Path) -> Result<Version, String> {
    let child = tokio::process::Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("cannot be run: {e}"))?;
    let output = tokio::time::timeout(VERSION_TIMEOUT, child.wait_with_output())
        .await
        .map_err(|_| format!("does not answer --version within {VERSION_TIMEOUT:?}"))?
        .map_err(|e| format!("cannot be run: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .strip_prefix("nats-server:")
        .and_then(Version::parse)
        .ok_or_else(|| "does not answer --version as a nats-server does".to_owned())
}
