//! What only a person lets through: the files that say how work is proven, built and hooked into.
//!
//! Nobody grades themselves: an agent may well propose a change to them, but that change is not
//! what its own proof rests on, and it does not land before a person has looked.

/// Files, by their whole path or, without a `/`, by their name in any folder.
const FILES: [&str; 16] = [
    "devmesh.toml",
    ".worktreeinclude",
    ".gitattributes",
    ".gitmodules",
    ".gitlab-ci.yml",
    ".travis.yml",
    ".drone.yml",
    ".cirrus.yml",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    "Jenkinsfile",
    ".pre-commit-config.yaml",
    "lefthook.yml",
    "lefthook.yaml",
    ".mcp.json",
    ".envrc",
];

/// Folders: all that lies in them.
const FOLDERS: [&str; 11] = [
    ".ci",
    ".github",
    ".gitea",
    ".forgejo",
    ".gitlab",
    ".circleci",
    ".buildkite",
    ".husky",
    ".githooks",
    ".claude",
    ".codex",
];

/// The most paths that are named; more would say nothing more.
const NAMED_MAX: usize = 64;

/// Those of the changed paths that are guarded, the scripts that the verify commands run among
/// them.
pub fn guarded(changed: &[String], commands: &[String]) -> Vec<String> {
    let is_guarded =
        |path: &&String| is_listed(path) || commands.iter().any(|command| names(command, path));
    changed.iter().filter(is_guarded).take(NAMED_MAX).cloned().collect()
}

fn is_listed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let folders = path.split('/').rev().skip(1);
    FILES.contains(&name) || folders.into_iter().any(|folder| FOLDERS.contains(&folder))
}

/// Programs whose next word is a script.
const INTERPRETERS: [&str; 12] = [
    "sh", "bash", "dash", "zsh", "python", "python3", "node", "ruby", "perl", "source", ".", "exec",
];

/// Whether a shell command runs the file: it stands where a program does, or behind an
/// interpreter. A file that is only looked at (`test -f out.txt`) is the work, not its proof.
fn names(command: &str, path: &str) -> bool {
    let quotes = |c| "\"'`".contains(c);
    command.split([';', '&', '|', '(', ')', '\n']).any(|part| {
        let is_setting = |word: &&str| word.contains('=') && !word.starts_with('=');
        let words = part.split_whitespace().map(|word| word.trim_matches(quotes));
        let mut words = words.skip_while(is_setting);
        let script = words.find(|word| !INTERPRETERS.contains(word) && !word.starts_with('-'));
        script.is_some_and(|word| word.trim_start_matches("./") == path)
    })
}

#[cfg(test)]
mod tests;
