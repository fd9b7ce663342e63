//! The real coding CLIs that tests run: pinned, installed by npm, found again, and given a
//! home that points them at the scripted model.
//!
//! The pins are npm lock files under `tools/`: they hold a sha512 of every package for every
//! platform, and `npm ci` installs nothing else.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

#[cfg(test)]
mod tests;

/// A coding CLI that can be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// OpenAI's codex.
    Codex,
    /// Anthropic's claude.
    Claude,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Codex, Self::Claude];

    /// The command's name, and the folder's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::Claude => "claude",
        }
    }

    /// The pinned version.
    pub fn version(self) -> String {
        let lock: Value = serde_json::from_str(self.lock()).expect("a lock file is JSON");
        let entry = &lock["packages"][format!("node_modules/{}", self.package())];
        entry["version"].as_str().expect("a lock file names versions").to_owned()
    }

    fn package(self) -> &'static str {
        match self {
            Self::Codex => "@openai/codex",
            Self::Claude => "@anthropic-ai/claude-code",
        }
    }

    fn manifest(self) -> &'static str {
        match self {
            Self::Codex => include_str!("../tools/codex/package.json"),
            Self::Claude => include_str!("../tools/claude/package.json"),
        }
    }

    fn lock(self) -> &'static str {
        match self {
            Self::Codex => include_str!("../tools/codex/package-lock.json"),
            Self::Claude => include_str!("../tools/claude/package-lock.json"),
        }
    }
}

/// Where the CLIs are kept: `${XDG_CACHE_HOME:-~/.cache}/devmesh/agents`.
///
/// # Errors
/// When neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn folder() -> io::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("devmesh/agents"))
        .ok_or_else(|| io::Error::other("neither XDG_CACHE_HOME nor HOME is set"))
}

/// The installed command, if it is there in the pinned version.
pub fn locate(tool: Tool) -> Option<PathBuf> {
    locate_in(&folder().ok()?, tool)
}

fn locate_in(folder: &Path, tool: Tool) -> Option<PathBuf> {
    let place = folder.join(tool.name());
    // The lock file is written last, so half an installation is none.
    let lock = std::fs::read_to_string(place.join(INSTALLED)).ok()?;
    let command = place.join("node_modules/.bin").join(tool.name());
    (lock == tool.lock() && command.is_file()).then_some(command)
}

const INSTALLED: &str = "installed.json";

/// Installs the pinned version with npm, unless it is there, and returns the command.
///
/// # Errors
/// When npm is missing, a package's integrity is not the pinned one, or the command does not
/// then print its version.
pub fn install(tool: Tool) -> io::Result<PathBuf> {
    install_in(&folder()?, tool)
}

fn install_in(folder: &Path, tool: Tool) -> io::Result<PathBuf> {
    if let Some(command) = locate_in(folder, tool) {
        return Ok(command);
    }
    std::fs::create_dir_all(folder)?;
    // Built beside its place and moved: nobody ever sees half of it.
    let fresh = tempfile::Builder::new().prefix(".installing-").tempdir_in(folder)?;
    std::fs::write(fresh.path().join("package.json"), tool.manifest())?;
    std::fs::write(fresh.path().join("package-lock.json"), tool.lock())?;
    npm_ci(fresh.path(), tool)?;
    check_version(&fresh.path().join("node_modules/.bin").join(tool.name()), tool)?;
    std::fs::write(fresh.path().join(INSTALLED), tool.lock())?;
    let place = folder.join(tool.name());
    if place.exists() {
        std::fs::remove_dir_all(&place)?;
    }
    std::fs::rename(fresh.keep(), &place)?;
    locate_in(folder, tool).ok_or_else(|| io::Error::other("the installation left no command"))
}

fn npm_ci(place: &Path, tool: Tool) -> io::Result<()> {
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-fund", "--no-audit", "--loglevel=error"]);
    if tool == Tool::Claude {
        // It asks for a newer node than it needs: what it installs is a native program.
        npm.arg("--force");
    }
    let ran = npm.current_dir(place).stdin(Stdio::null()).output();
    let ran = ran.map_err(|why| io::Error::new(why.kind(), format!("npm did not start: {why}")))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    Err(io::Error::other(format!("npm could not install {}: {}", tool.name(), said.trim())))
}

fn check_version(command: &Path, tool: Tool) -> io::Result<()> {
    let ran = Command::new(command).arg("--version").stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&ran.stdout);
    let version = tool.version();
    if ran.status.success() && said.split_whitespace().any(|word| word == version) {
        return Ok(());
    }
    let name = tool.name();
    Err(io::Error::other(format!("{name} says it is {:?}, not {version}", said.trim())))
}

/// Writes what a tool needs into an empty home so that it asks the scripted model under `url`,
/// as [`crate::model::Server::url`] gives it: only `HOME` then has to point there.
///
/// # Errors
/// When the files cannot be written.
pub fn write_home(tool: Tool, home: &Path, url: &str, model: &str) -> io::Result<()> {
    match tool {
        Tool::Codex => {
            let folder = home.join(".codex");
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("config.toml"), codex_config(url, model))
        }
        Tool::Claude => {
            let folder = home.join(".claude");
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("settings.json"), claude_settings(url, model).to_string())
        }
    }
}

fn codex_config(url: &str, model: &str) -> String {
    // A JSON string is a TOML basic string.
    let (url, model) = (json!(format!("{url}/v1")), json!(model));
    format!(
        "model = {model}\nmodel_provider = \"scripted\"\ncheck_for_update_on_startup = false\n\
         [analytics]\nenabled = false\n\
         [model_providers.scripted]\nname = \"scripted\"\nbase_url = {url}\n\
         wire_api = \"responses\"\n"
    )
}

fn claude_settings(url: &str, model: &str) -> Value {
    json!({
        "model": model,
        "env": {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "scripted",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        },
    })
}
