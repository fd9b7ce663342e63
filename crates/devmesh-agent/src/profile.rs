//! Tool profiles: how a coding CLI is found, started, resumed and understood. Data, not code:
//! adding a tool is adding a file.

mod expand;

#[cfg(test)]
mod tests;

pub use expand::{Invocation, Wanted};

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use devmesh_protocol::id::{TOOL, check_name};
use serde::{Deserialize, Serialize};

use crate::dialect::Dialect;
use crate::error::{Doing, Error, Result};

/// The profiles that come with the binary.
const BUILT_IN: [(&str, &str); 4] = [
    ("claude", include_str!("../profiles/claude.toml")),
    ("codex", include_str!("../profiles/codex.toml")),
    ("custom", include_str!("../profiles/custom.toml")),
    ("scripted", include_str!("../profiles/scripted.toml")),
];

/// A tool that does not tell its version within this has none.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// How to drive one coding CLI.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The tool's name in the mesh.
    pub name: String,
    /// Names of the program; the first found in PATH is taken.
    pub programs: Vec<String>,
    /// Arguments that make it print its version; empty asks for none.
    #[serde(default)]
    pub version_args: Vec<String>,
    /// Arguments of a run; `{permission}` and `{model}` stand for several, `{worktree}`,
    /// `{prompt}` and `{session}` for text.
    pub args: Vec<String>,
    /// Arguments that continue a session; none where the tool cannot.
    #[serde(default)]
    pub resume_args: Option<Vec<String>>,
    /// What `{model}` stands for when a model is asked for.
    #[serde(default)]
    pub model_args: Vec<String>,
    /// How the prompt gets in.
    pub prompt: PromptBy,
    /// What it prints.
    pub dialect: Dialect,
    /// The trailer's text that names the tool as co-author.
    pub co_author: String,
    /// Variables for each run.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables of the agent's environment that pass to the tool; a star ends a prefix.
    #[serde(default)]
    pub pass: Vec<String>,
    /// What each permission mode means to the tool.
    #[serde(default)]
    pub permissions: BTreeMap<Permission, PermissionArgs>,
    /// Words of a failure that mean a limit of the provider.
    #[serde(default)]
    pub rate_limit_words: Vec<String>,
    /// Words of a failure that mean that a person must sign in.
    #[serde(default)]
    pub sign_in_words: Vec<String>,
    /// What a run needs of its host.
    #[serde(default)]
    pub needs: ToolNeeds,
}

/// How the prompt reaches a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptBy {
    /// Written to stdin, which is closed then: no length limit, nothing in `ps`.
    Stdin,
    /// As the argument `{prompt}`.
    Argument,
}

/// What a tool may do on its own.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Edit files of the worktree.
    Edit,
    /// Everything, inside the tool's own sandbox.
    Sandbox,
    /// Everything. Only when the user's own configuration says so.
    Full,
}

/// What a permission mode means to a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermissionArgs {
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// What a run needs of its host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolNeeds {
    /// Memory in MiB.
    #[serde(default)]
    pub ram_mb: u64,
    /// Memory of one graphics device in MiB.
    #[serde(default)]
    pub vram_mb: u64,
}

/// A tool found on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// The program.
    pub program: PathBuf,
    /// The version it printed.
    pub version: Option<String>,
}

/// All profiles by name: those of the binary, replaced and added to by files `*.toml` of `user`.
///
/// # Errors
/// When a file is no profile; it is named, the others are not used either.
pub fn load(user: Option<&Path>) -> Result<BTreeMap<String, Profile>> {
    let mut all = BTreeMap::new();
    for (name, text) in BUILT_IN {
        all.insert(name.to_owned(), parse(name, text)?);
    }
    let Some(user) = user.filter(|dir| dir.is_dir()) else { return Ok(all) };
    let entries = std::fs::read_dir(user).doing(|| format!("read {}", user.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension() == Some(OsStr::new("toml")) {
            let text = std::fs::read_to_string(&path);
            let text = text.doing(|| format!("read {}", path.display()))?;
            let profile = parse(&path.display().to_string(), &text)?;
            all.insert(profile.name.clone(), profile);
        }
    }
    Ok(all)
}

fn parse(from: &str, text: &str) -> Result<Profile> {
    let refused = |reason: String| Error::Profile { profile: from.to_owned(), reason };
    let profile: Profile = toml::from_str(text).map_err(|error| refused(error.to_string()))?;
    check_name(TOOL, &profile.name).map_err(|error| refused(format!("name: {error}")))?;
    let has_prompt = profile.args.iter().any(|arg| arg.contains("{prompt}"));
    if profile.prompt == PromptBy::Argument && !has_prompt {
        return Err(refused("args lack {prompt}".into()));
    }
    Ok(profile)
}

impl Profile {
    /// Looks for the program in `path` (the value of PATH) and asks its version.
    pub async fn detect(&self, path: &OsStr) -> Option<Detected> {
        let program = self.programs.iter().find_map(|name| find(name, path))?;
        let version = self.version_of(&program, path).await;
        Some(Detected { program, version })
    }

    async fn version_of(&self, program: &Path, path: &OsStr) -> Option<String> {
        if self.version_args.is_empty() {
            return None;
        }
        let mut command = tokio::process::Command::new(program);
        command.args(&self.version_args).env("PATH", path).kill_on_drop(true);
        command.stdin(std::process::Stdio::null());
        let output = tokio::time::timeout(VERSION_LIMIT, command.output()).await.ok()?.ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let word = text.split_whitespace().find(|word| is_version(word))?;
        Some(word.trim_start_matches('v').to_owned())
    }

    /// The widest permission that is safe without asking: the tool's own sandbox, else edits.
    pub fn default_permission(&self) -> Permission {
        if self.permissions.contains_key(&Permission::Sandbox) {
            Permission::Sandbox
        } else {
            Permission::Edit
        }
    }

    /// Whether a failure's text is that of a limit.
    pub fn is_rate_limit(&self, text: &str) -> bool {
        holds_one(text, &self.rate_limit_words)
    }

    /// Whether a failure's text asks for a sign-in.
    pub fn is_sign_in(&self, text: &str) -> bool {
        holds_one(text, &self.sign_in_words)
    }
}

fn holds_one(text: &str, words: &[String]) -> bool {
    let text = text.to_lowercase();
    words.iter().any(|word| text.contains(&word.to_lowercase()))
}

fn is_version(word: &str) -> bool {
    let word = word.trim_start_matches('v');
    word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.')
}

/// The executable file that a name means, as a shell would find it.
fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |file: &PathBuf| {
        std::fs::metadata(file)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(runs);
    }
    std::env::split_paths(path).map(|dir| dir.join(name)).find(runs)
}
