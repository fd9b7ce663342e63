//! Python packages that tests drive devmesh with: pinned, installed by pip into the user's cache.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A NATS client that is not ours, and what it needs to read credentials.
const PACKAGES: [&str; 2] = ["nats-py==2.16.0", "nkeys==0.2.1"];

/// The folder that holds the packages, for `PYTHONPATH`. Installs them where they are missing;
/// two at once do no harm, for the folder appears whole or not at all.
pub fn packages() -> io::Result<PathBuf> {
    let cache = devmesh_bus::server::cache_path().map_err(io::Error::other)?;
    // `devmesh/nats-server/VERSION/nats-server`: the cache of everything is three levels up.
    let parent = cache.ancestors().nth(3).unwrap_or(Path::new(".")).join("python");
    let folder = parent.join(PACKAGES.join("+"));
    if folder.is_dir() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&parent)?;
    let fresh = tempfile::Builder::new().prefix("new-").tempdir_in(&parent)?;
    let status = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--no-input", "--target"])
        .arg(fresh.path())
        .args(PACKAGES)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("pip could not install {}", PACKAGES.join(" "))));
    }
    match std::fs::rename(fresh.keep(), &folder) {
        Err(_) if folder.is_dir() => Ok(folder),
        moved => moved.map(|()| folder),
    }
}
