//! The real coding CLIs that tests run: pinned, installed by npm or pip, found again, and given a
//! home that points them at the scripted model.
//!
//! The pins under `tools/` are npm lock files, which hold a sha512 of every package for every
//! platform that the registry has it for, and a requirements file for pip, which holds a sha256 of
//! every file: neither client installs anything else.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

mod home;
mod npm;
mod pip;

#[cfg(test)]
mod tests;

pub use self::home::write_home;

/// A coding CLI that can be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// OpenAI's codex.
    Codex,
    /// Anthropic's claude.
    Claude,
    /// Google's gemini-cli.
    Gemini,
    /// opencode. Its package for each platform is a program by itself, and the one pinned is for
    /// Linux on any x86-64.
    OpenCode,
    /// GitHub's copilot, with a model of one's own and no login.
    Copilot,
    /// Continue's `cn`.
    Continue,
    /// aider, in Python; it needs a `python3` that its packages are made for.
    Aider,
}

/// What a tool is installed from.
#[derive(Debug, Clone, Copy)]
enum Pins {
    /// A manifest and its lock file.
    Npm { package: &'static str, manifest: &'static str, lock: &'static str },
    /// Requirements with hashes, the tool's own package among them.
    Pip { package: &'static str, requirements: &'static str },
}

/// The pins of a tool from npm: the name of its folder, then of its package.
macro_rules! npm {
    ($name:literal, $package:literal) => {
        Pins::Npm {
            package: $package,
            manifest: include_str!(concat!("../tools/", $name, "/package.json")),
            lock: include_str!(concat!("../tools/", $name, "/package-lock.json")),
        }
    };
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Codex,
        Self::Claude,
        Self::Gemini,
        Self::OpenCode,
        Self::Copilot,
        Self::Continue,
        Self::Aider,
    ];

    /// Those that start fast and are small: what is installed where nobody asks for more.
    pub const USUAL: [Self; 2] = [Self::Codex, Self::Claude];

    /// The tool's name, and the folder's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::Claude => "claude",
            Self::Gemini => "gemini",
            Self::OpenCode => "opencode",
            Self::Copilot => "copilot",
            Self::Continue => "continue",
            Self::Aider => "aider",
        }
    }

    /// The tool of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// The pinned version.
    pub fn version(self) -> String {
        match self.pins() {
            Pins::Npm { package, lock, .. } => npm::version(package, lock),
            Pins::Pip { package, requirements } => pip::version(package, requirements),
        }
    }

    /// The command below the tool's folder.
    fn command(self) -> &'static str {
        match self {
            Self::Codex => "node_modules/.bin/codex",
            Self::Claude => "node_modules/.bin/claude",
            Self::Gemini => "node_modules/.bin/gemini",
            Self::OpenCode => "node_modules/opencode-linux-x64-baseline/bin/opencode",
            Self::Copilot => "node_modules/.bin/copilot",
            Self::Continue => "node_modules/.bin/cn",
            Self::Aider => "bin/aider",
        }
    }

    fn pins(self) -> Pins {
        match self {
            Self::Codex => npm!("codex", "@openai/codex"),
            Self::Claude => npm!("claude", "@anthropic-ai/claude-code"),
            Self::Gemini => npm!("gemini", "@google/gemini-cli"),
            Self::OpenCode => npm!("opencode", "opencode-linux-x64-baseline"),
            Self::Copilot => npm!("copilot", "@github/copilot"),
            Self::Continue => npm!("continue", "@continuedev/cli"),
            Self::Aider => Pins::Pip {
                package: "aider-chat",
                requirements: include_str!("../tools/aider/requirements.txt"),
            },
        }
    }

    /// The text that says all of what is installed.
    fn lock(self) -> &'static str {
        match self.pins() {
            Pins::Npm { lock, .. } => lock,
            Pins::Pip { requirements, .. } => requirements,
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
    let command = place.join(tool.command());
    (lock == tool.lock() && command.is_file()).then_some(command)
}

const INSTALLED: &str = "installed.json";

/// Installs the pinned version with npm or pip, unless it is there, and returns the command.
///
/// # Errors
/// When npm or Python is missing, a package's content is not the pinned one, or the command does
/// not then print its version.
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
    match tool.pins() {
        Pins::Npm { manifest, lock, .. } => npm::install(fresh.path(), tool, manifest, lock)?,
        Pins::Pip { requirements, .. } => pip::install(fresh.path(), tool, requirements)?,
    }
    check_version(&fresh.path().join(tool.command()), tool)?;
    std::fs::write(fresh.path().join(INSTALLED), tool.lock())?;
    let place = folder.join(tool.name());
    if place.exists() {
        std::fs::remove_dir_all(&place)?;
    }
    std::fs::rename(fresh.keep(), &place)?;
    locate_in(folder, tool).ok_or_else(|| io::Error::other("the installation left no command"))
}

/// Runs one step of an installation; what it prints is told when it fails.
fn run(command: &mut Command, tool: Tool) -> io::Result<()> {
    let program = command.get_program().display().to_string();
    let ran = command.stdin(Stdio::null()).output();
    let ran =
        ran.map_err(|why| io::Error::new(why.kind(), format!("{program} did not start: {why}")))?;
    if ran.status.success() {
        return Ok(());
    }
    let (said, name) = (String::from_utf8_lossy(&ran.stderr), tool.name());
    Err(io::Error::other(format!("{program} could not install {name}: {}", said.trim())))
}

fn check_version(command: &Path, tool: Tool) -> io::Result<()> {
    // Some write into the home even when asked no more than this.
    let home = tempfile::tempdir()?;
    let mut asked = Command::new(command);
    asked.arg("--version").stdin(Stdio::null()).env("HOME", home.path());
    for name in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
        asked.env_remove(name);
    }
    let ran = asked.output()?;
    let said = String::from_utf8_lossy(&ran.stdout);
    let version = tool.version();
    let mut words = said.split_whitespace().map(|word| word.trim_end_matches('.'));
    if ran.status.success() && words.any(|word| word == version) {
        return Ok(());
    }
    let name = tool.name();
    Err(io::Error::other(format!("{name} says it is {:?}, not {version}", said.trim())))
}
