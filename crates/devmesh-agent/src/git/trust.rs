//! What a repository's configuration can make git run, as it stood before a tool was let near it.
//!
//! A tool without a sandbox can write to the `.git` of the repository that its worktree belongs
//! to. What it puts there is never undone, for people change these files too; it is told, and
//! until somebody has looked, our own git does not run it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use devmesh_protocol::Digest;
use serde::{Deserialize, Serialize};

use super::{Git, split_nul};
use crate::error::Result;

/// A hook or configuration beyond this is known by its beginning.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Names of settings that are commands, or decide whether one is run, by first and last part.
const COMMANDS: [(&str, &[&str]); 9] = [
    ("core", &["askpass", "gitproxy", "alternaterefscommand", "worktree"]),
    ("credential", &["helper"]),
    ("diff", &["command", "external", "textconv"]),
    ("filter", &["clean", "process", "required", "smudge"]),
    ("gpg", &["defaultkeycommand", "program"]),
    ("merge", &["driver"]),
    ("remote", &["receivepack", "uploadpack", "vcs"]),
    ("submodule", &["update"]),
    ("uploadpack", &["packobjectshook"]),
];

/// A repository's configuration at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Settings that can make git run something, with all their values.
    commands: BTreeMap<String, Vec<String>>,
    /// Configuration, attributes and hooks, by their path in `.git`.
    files: BTreeMap<String, Digest>,
}

/// What is not as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Settings that can make git run something else than before.
    pub commands: Vec<String>,
    /// Files in `.git`.
    pub files: Vec<String>,
}

impl Trust {
    /// How it stands now. Runs nothing that it names.
    ///
    /// # Errors
    /// When git refuses.
    pub async fn look(repo: &Git) -> Result<Self> {
        let args = ["config", "--list", "-z", "--show-scope"];
        let listed = repo.try_run(&args, &[]).await?;
        if listed.code != 0 {
            return Err(super::refused(&args, &listed));
        }
        let mut commands: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pair in split_nul(&listed.stdout).chunks(2) {
            let [scope, setting] = pair else { continue };
            let (key, value) = setting.split_once('\n').unwrap_or((setting, "true"));
            // What this code itself says on the command line is no news.
            if scope != "command" && is_command(key) {
                commands.entry(key.to_owned()).or_default().push(value.to_owned());
            }
        }
        let args = ["rev-parse", "--path-format=absolute", "--git-common-dir"];
        let store = PathBuf::from(repo.run(&args).await?);
        let files = tokio::task::spawn_blocking(move || files_of(&store)).await;
        Ok(Self { commands, files: files.unwrap_or_default() })
    }

    /// What is not as it was.
    pub fn change(&self, now: &Self) -> Change {
        let commands =
            now.commands.iter().filter(|(key, now)| self.commands.get(*key) != Some(now));
        let names = self.files.keys().chain(now.files.keys());
        let mut files: Vec<String> =
            names.filter(|name| self.files.get(*name) != now.files.get(*name)).cloned().collect();
        files.sort_unstable();
        files.dedup();
        Change { commands: commands.map(|(key, _)| key.clone()).collect(), files }
    }

    /// Git as it would run if nothing had been changed.
    pub fn fence(&self, git: Git, now: &Self) -> Git {
        let change = self.change(now);
        let mut git = git;
        for (number, key) in change.commands.iter().enumerate() {
            let before = self.commands.get(key).and_then(|values| values.last());
            let nothing = if key.ends_with(".required") { "false" } else { "" };
            git = git
                .with_env(format!("GIT_CONFIG_KEY_{number}"), key)
                .with_env(format!("GIT_CONFIG_VALUE_{number}"), before.map_or(nothing, |it| it));
        }
        git.with_env("GIT_CONFIG_COUNT", change.commands.len().to_string())
    }
}

fn is_command(key: &str) -> bool {
    let first = key.split('.').next().unwrap_or(key).to_lowercase();
    let last = key.rsplit('.').next().unwrap_or(key).to_lowercase();
    COMMANDS.iter().any(|(section, names)| first == *section && names.contains(&last.as_str()))
}

fn files_of(store: &Path) -> BTreeMap<String, Digest> {
    let mut names = ["config", "config.worktree", "info/attributes"].map(str::to_owned).to_vec();
    if let Ok(hooks) = std::fs::read_dir(store.join("hooks")) {
        let hooks = hooks.flatten().map(|hook| hook.file_name().to_string_lossy().into_owned());
        names.extend(hooks.map(|name| format!("hooks/{name}")));
    }
    let digest = |name: String| Some((name.clone(), digest_of(&store.join(name))?));
    names.into_iter().filter_map(digest).collect()
}

fn digest_of(path: &Path) -> Option<Digest> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(Digest::of(&bytes))
}
