//! Tool profiles: how a coding CLI is found, started, resumed and understood. Data, not code:
//! adding a tool is adding a file.

mod built_in;
mod detect;
mod expand;
mod permission;
mod place;
mod sign_in;
mod trial;

#[cfg(test)]
mod tests;

pub use detect::Detected;
pub use expand::{Invocation, Wanted};
pub use permission::{Permission, PermissionArgs};
pub(crate) use place::prune;
pub use place::{newest, unattended};
pub use sign_in::{SignIn, SignInFile, SignInProbe};
pub use trial::{Proof, Trial, Verdict};

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use devmesh_protocol::id::{TOOL, check_name};
use serde::Deserialize;

use crate::dialect::Dialect;
use crate::error::{Doing, Error, Result};

/// How to drive one coding CLI.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The tool's name in the mesh.
    pub name: String,
    /// Names of the program; the first found in PATH is taken.
    pub programs: Vec<String>,
    /// Where others use such a name too: parts of the real path of this tool's program.
    #[serde(default)]
    pub resolves_to: Vec<String>,
    /// Arguments that make it print its version; empty asks for none.
    #[serde(default)]
    pub version_args: Vec<String>,
    /// It was run on real work with this profile; else the profile is from its documentation.
    #[serde(default)]
    pub proven: bool,
    /// It changes files; else it prints text alone and does no task.
    #[serde(default = "yes")]
    pub edits: bool,
    /// Arguments of a run. `{permission}` and `{model}` stand for several; `{worktree}`,
    /// `{prompt}`, `{prompt_file}`, `{run}` (a folder for what is made for the run), `{session}`
    /// and `{new_session}` (a UUID that the tool is to take) for text.
    pub args: Vec<String>,
    /// Arguments that continue a session; none where the tool cannot.
    #[serde(default)]
    pub resume_args: Option<Vec<String>>,
    /// What `{model}` stands for when a model is asked for.
    #[serde(default)]
    pub model_args: Vec<String>,
    /// It cannot run without a model being said.
    #[serde(default)]
    pub model_required: bool,
    /// How the prompt gets in.
    pub prompt: PromptBy,
    /// What it prints.
    pub dialect: Dialect,
    /// The trailer's text that names the tool as co-author.
    pub co_author: String,
    /// Variables for each run, with the placeholders of `args`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables of the agent's environment that pass to the tool; a star ends a prefix.
    #[serde(default)]
    pub pass: Vec<String>,
    /// Files of `{run}` made for each run, with the placeholders of `args`.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// JSON files, the first of which that is there such a file is laid over.
    #[serde(default)]
    pub over: BTreeMap<String, Vec<String>>,
    /// A home of its own for a tool that continues only the last session of a home.
    #[serde(default)]
    pub home: Option<Home>,
    /// Where the tool writes what it used, where its output does not tell; `*.json` means the
    /// newest of a folder.
    #[serde(default)]
    pub usage_file: Option<String>,
    /// What each permission mode means to the tool.
    #[serde(default)]
    pub permissions: BTreeMap<Permission, PermissionArgs>,
    /// Words of a failure that mean a limit of the provider.
    #[serde(default)]
    pub rate_limit_words: Vec<String>,
    /// Words of a failure that mean that a person must sign in.
    #[serde(default)]
    pub sign_in_words: Vec<String>,
    /// Words at the end of the output that make a failure of exit code 0.
    #[serde(default)]
    pub failure_words: Vec<String>,
    /// Words of a failure that mean that the session to be continued is not there.
    #[serde(default)]
    pub lost_session_words: Vec<String>,
    /// How to tell whether one is signed in.
    #[serde(default)]
    pub sign_in: Option<SignInProbe>,
    /// What a run needs of its host.
    #[serde(default)]
    pub needs: ToolNeeds,
}

fn yes() -> bool {
    true
}

/// How the prompt reaches a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptBy {
    /// Written to stdin, which is closed then: no length limit, nothing in `ps`.
    Stdin,
    /// As the argument `{prompt}`.
    Argument,
    /// In the file `{prompt_file}`.
    File,
}

/// A home of the tool's own for each session, furnished from the person's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Home {
    /// Where it is, with the placeholders of `args`.
    pub at: String,
    /// The person's; the first that is there.
    pub from: Vec<String>,
    /// What of the person's is linked into it: configuration and sign-in.
    pub links: Vec<String>,
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

/// All profiles by name: those of the binary, replaced and added to by files `*.toml` of `user`.
///
/// # Errors
/// When a file is no profile; it is named, the others are not used either.
pub fn load(user: Option<&Path>) -> Result<BTreeMap<String, Profile>> {
    let mut all = BTreeMap::new();
    for (name, text) in built_in::BUILT_IN {
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
    let lacks = |args: &[String], word: &str| !args.iter().any(|arg| arg.contains(word));
    let needed = match profile.prompt {
        PromptBy::Stdin => None,
        PromptBy::Argument => Some("{prompt}"),
        PromptBy::File => Some("{prompt_file}"),
    };
    for args in [Some(&profile.args), profile.resume_args.as_ref()].into_iter().flatten() {
        if let Some(word) = needed.filter(|word| lacks(args, word)) {
            return Err(refused(format!("args lack {word}")));
        }
        // Rights that are said and do not reach the tool would be a lie.
        let given = profile.permissions.values().any(|rights| !rights.args.is_empty());
        if given && lacks(args, "{permission}") {
            return Err(refused("args lack {permission}".into()));
        }
    }
    let permissions = profile.permissions.values().flat_map(|rights| rights.files.keys());
    if let Some(name) = profile.files.keys().chain(permissions).find(|name| !is_plain(name)) {
        return Err(refused(format!("{name:?} is not the name of a file of {{run}}")));
    }
    Ok(profile)
}

/// One name, and not one that leads elsewhere.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

impl Profile {
    /// Whether a failure's text is that of a limit.
    pub fn is_rate_limit(&self, text: &str) -> bool {
        holds_one(text, &self.rate_limit_words)
    }

    /// Whether a failure's text asks for a sign-in.
    pub fn is_sign_in(&self, text: &str) -> bool {
        holds_one(text, &self.sign_in_words)
    }

    /// Whether a failure's text says that the session to be continued is not there.
    pub fn is_lost_session(&self, text: &str) -> bool {
        holds_one(text, &self.lost_session_words)
    }

    /// The line at the end of the output that makes a failure of exit code 0.
    pub fn failure_in<'a>(&self, ending: &'a str) -> Option<&'a str> {
        ending.lines().rev().find(|line| holds_one(line, &self.failure_words))
    }
}

fn holds_one(text: &str, words: &[String]) -> bool {
    let text = text.to_lowercase();
    words.iter().any(|word| match word.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number is one by itself and no part of another.
        true => crate::dialect::holds_word(&text, word),
        false => text.contains(&word.to_lowercase()),
    })
}
