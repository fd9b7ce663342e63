//! Tools from npm: a manifest and a lock file, and `npm ci`, which installs nothing but these.

use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Tool, run};

/// The version that the lock file holds of a package.
pub(super) fn version(package: &str, lock: &str) -> String {
    let lock: Value = serde_json::from_str(lock).expect("a lock file is JSON");
    let entry = &lock["packages"][format!("node_modules/{package}")];
    entry["version"].as_str().expect("a lock file names versions").to_owned()
}

/// Fills `node_modules` of an empty folder.
pub(super) fn install(place: &Path, tool: Tool, manifest: &str, lock: &str) -> io::Result<()> {
    std::fs::write(place.join("package.json"), manifest)?;
    std::fs::write(place.join("package-lock.json"), lock)?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-fund", "--no-audit", "--loglevel=error"]).current_dir(place);
    if tool == Tool::Claude {
        // It asks for a newer node than it needs: what it installs is a native program.
        npm.arg("--force");
    } else {
        // What the others' scripts would build or fetch is not pinned, and not needed.
        npm.arg("--ignore-scripts");
    }
    run(&mut npm, tool)
}
