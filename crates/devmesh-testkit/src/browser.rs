//! What drives the dashboard's page in tests: the system's Chromium, and playwright-core, pinned
//! and installed by npm in the user's cache.
//!
//! The browser itself is not fetched: Debian's package `chromium` is kept current with its
//! security fixes, and one is on most machines.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const MANIFEST: &str = include_str!("../tools/browser/package.json");
const LOCK: &str = include_str!("../tools/browser/package-lock.json");
/// Written last, so half an installation is none.
const INSTALLED: &str = "installed.json";
/// What Chromium is called, by those who package it.
const CHROMIUM: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// What a browser test needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Browser {
    /// The Chromium.
    pub chromium: PathBuf,
    /// The folder whose `node_modules` holds playwright-core.
    pub playwright: PathBuf,
}

/// What is there of it; a sentence that says what is missing and how to get it where not all is.
///
/// # Errors
/// That sentence.
pub fn locate() -> Result<Browser, String> {
    let chromium = chromium().ok_or(
        "no Chromium was found; install one (on Debian: apt-get install chromium) or name it in \
         DEVMESH_CHROMIUM",
    )?;
    if on_path("node").is_none() {
        return Err("node was not found; install Node.js 20 or newer".to_owned());
    }
    let playwright = folder().map_err(|error| error.to_string())?;
    if !is_installed(&playwright) {
        return Err("playwright-core is not installed; run cargo xtask setup --browser".to_owned());
    }
    Ok(Browser { chromium, playwright })
}

/// Installs the pinned playwright-core, unless it is there, and returns its folder.
///
/// # Errors
/// When npm is missing, or the package's integrity is not the pinned one.
pub fn install() -> io::Result<PathBuf> {
    let place = folder()?;
    if is_installed(&place) {
        return Ok(place);
    }
    let parent = place.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    // Built beside its place and moved: nobody ever sees half of it.
    let fresh = tempfile::Builder::new().prefix(".installing-").tempdir_in(parent)?;
    std::fs::write(fresh.path().join("package.json"), MANIFEST)?;
    std::fs::write(fresh.path().join("package-lock.json"), LOCK)?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"]);
    let ran = npm.current_dir(fresh.path()).stdin(Stdio::null()).output();
    let ran = ran.map_err(|why| io::Error::new(why.kind(), format!("npm did not start: {why}")))?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        let what = format!("npm could not install playwright-core: {}", said.trim());
        return Err(io::Error::other(what));
    }
    std::fs::write(fresh.path().join(INSTALLED), LOCK)?;
    if place.exists() {
        std::fs::remove_dir_all(&place)?;
    }
    match std::fs::rename(fresh.keep(), &place) {
        // Another was quicker.
        Err(_) if is_installed(&place) => Ok(place),
        moved => moved.map(|()| place),
    }
}

/// The Chromium there is: `DEVMESH_CHROMIUM`, or one on the path.
#[must_use]
pub fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("DEVMESH_CHROMIUM").filter(|name| !name.is_empty());
    match named {
        Some(named) => Some(PathBuf::from(named)).filter(|path| path.is_file()),
        None => CHROMIUM.iter().find_map(|name| on_path(name)),
    }
}

/// Where playwright-core is kept: `${XDG_CACHE_HOME:-~/.cache}/devmesh/browser`.
fn folder() -> io::Result<PathBuf> {
    Ok(crate::tools::folder()?.with_file_name("browser"))
}

fn is_installed(place: &Path) -> bool {
    std::fs::read_to_string(place.join(INSTALLED)).is_ok_and(|lock| lock == LOCK)
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests;
