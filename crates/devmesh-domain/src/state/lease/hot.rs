//! Hot files: those that nearly every piece of work touches, and that tools merge or write anew.
//! An attempt never waits for one.

use devmesh_protocol::{RepoId, RepoPath};

use crate::state::State;

/// What is hot where neither the repository nor the mesh says otherwise: lockfiles, manifests,
/// changelogs, snapshots, barrels, generated code.
///
/// A pattern without `/` is the name of a file in any folder; one that ends with `/` means all
/// that is in a folder of that name; any other is the whole path, in which `**` is any number of
/// folders. `*` and `?` stand for characters of one name.
pub const HOT: &[&str] = &[
    "*.lock",
    "*.lockb",
    "*-lock.json",
    "*-lock.yaml",
    "npm-shrinkwrap.json",
    "go.sum",
    "*.lockfile",
    "packages.lock.json",
    "Package.resolved",
    "Cargo.toml",
    "package.json",
    "pyproject.toml",
    "requirements*.txt",
    "go.mod",
    "Gemfile",
    "composer.json",
    "pom.xml",
    "CHANGELOG*",
    "CHANGES*",
    "HISTORY.md",
    "NEWS.md",
    "*.snap",
    "__snapshots__/",
    "snapshots/",
    "index.ts",
    "index.tsx",
    "index.js",
    "mod.rs",
    "__init__.py",
    "generated/",
    "__generated__/",
    "*.generated.*",
    "*.pb.go",
    "*_pb2.py",
];

impl State {
    /// Whether a path is one of the repository's hot files.
    pub(crate) fn is_hot(&self, repo: &RepoId, path: &RepoPath) -> bool {
        let key = self.path_key(repo, path);
        let added = self.repos.get(repo).map(|repo| &repo.added);
        // Where case makes no name it makes no pattern.
        let ignore_case = added.is_some_and(|added| added.ignore_case);
        let hit = |pattern: &str| match ignore_case {
            true => matches(&pattern.to_lowercase(), &key),
            false => matches(pattern, &key),
        };
        if let Some(own) = added.and_then(|added| added.hot.as_ref()) {
            return own.iter().any(|pattern| hit(pattern));
        }
        let set = self.settings.get(&"hot".to_owned());
        match set.and_then(|text| serde_json::from_str::<Vec<String>>(text).ok()) {
            Some(set) => set.iter().any(|pattern| hit(pattern)),
            None => HOT.iter().any(|pattern| hit(pattern)),
        }
    }
}

fn matches(pattern: &str, key: &str) -> bool {
    let parts: Vec<&str> = key.split('/').collect();
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    if let Some(folder) = pattern.strip_suffix('/').filter(|folder| !folder.contains('/')) {
        return parts.iter().any(|part| is_name(folder, part));
    }
    if !pattern.contains('/') {
        return parts.last().is_some_and(|name| is_name(pattern, name));
    }
    let anchored = pattern.strip_prefix('/').unwrap_or(pattern);
    let mut pieces: Vec<&str> = anchored.split('/').collect();
    if pieces.last() == Some(&"") {
        pieces.pop();
        pieces.push("**");
    }
    star(&pieces, &parts, |piece| *piece == "**", |piece, part| is_name(piece, part))
}

fn is_name(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    star(&pattern, &name, |c| *c == '*', |p, c| *p == '?' || p == c)
}

/// Matches with a wildcard for any number of things. Back to the last wildcard is far enough, so
/// that the work is at most pattern times text, whatever somebody writes.
fn star<P, T>(
    pattern: &[P],
    text: &[T],
    is_star: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p).is_some_and(&is_star) {
            back = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p).is_some_and(|piece| fits(piece, &text[t])) {
            p += 1;
            t += 1;
        } else if let Some((after, from)) = back {
            back = Some((after, from + 1));
            p = after;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(is_star)
}

#[cfg(test)]
mod tests;
