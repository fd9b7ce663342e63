//! Paths of the repository's namespace: relative, normalised, one spelling per file.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::Text;
use crate::limits::{PATH_BYTES_MAX, PATH_COMPONENT_BYTES_MAX};

/// A path within a repository. Two are equal when they name the same file or folder; a trailing
/// `/` only says how people see it, for a path that is above another is a folder in any case.
#[derive(Clone)]
pub struct RepoPath {
    /// Without a trailing `/`; empty for the whole repository.
    key: Arc<str>,
    folder: bool,
}

/// Why a text is not a path of the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Nothing to go by.
    #[error("the path is empty; name a file or folder, or \".\" for the whole repository")]
    Empty,
    /// From the root of a disk.
    #[error("the path is absolute; give it relative to the repository")]
    Absolute,
    /// Above the repository.
    #[error("the path leads out of the repository")]
    Outside,
    /// Git's own files are nobody's to lease.
    #[error("the path leads into .git")]
    GitFolder,
    /// NUL, line breaks and the like.
    #[error("the path holds a control character")]
    Control,
    /// Over the limit.
    #[error(
        "the path is too long: at most {PATH_BYTES_MAX} bytes, {PATH_COMPONENT_BYTES_MAX} a name"
    )]
    TooLong,
}

impl RepoPath {
    /// Normalises `text`: `\` is `/`, empty and `.` components go, `..` goes with the component
    /// before it. Case is kept.
    pub fn new(text: &str) -> Result<RepoPath, BadPath> {
        match is_normal(text) {
            true => {
                let key = text.strip_suffix('/').unwrap_or(text);
                Ok(RepoPath { key: key.into(), folder: key.len() < text.len() })
            }
            false => RepoPath::normalised(text),
        }
    }

    fn normalised(text: &str) -> Result<RepoPath, BadPath> {
        if text.is_empty() {
            return Err(BadPath::Empty);
        }
        if text.len() > PATH_BYTES_MAX {
            return Err(BadPath::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(BadPath::Control);
        }
        let text = text.replace('\\', "/");
        let bytes = text.as_bytes();
        let drive = bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':';
        if drive || text.starts_with('/') || text == "~" || text.starts_with("~/") {
            return Err(BadPath::Absolute);
        }
        let parts = components(&text)?;
        let last = text.rsplit('/').next().unwrap_or_default();
        let folder = parts.is_empty() || matches!(last, "" | "." | "..");
        Ok(RepoPath { key: parts.join("/").into(), folder })
    }

    /// The whole repository.
    pub fn root() -> RepoPath {
        RepoPath { key: "".into(), folder: true }
    }

    /// What the path is compared and stored by: no trailing `/`, empty for the whole repository.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the two name the same file, or one lies within the other.
    pub fn overlaps(&self, other: &RepoPath) -> bool {
        contains(&self.key, &other.key) || contains(&other.key, &self.key)
    }

    /// Whether `other` is this path or lies within it.
    pub fn contains(&self, other: &RepoPath) -> bool {
        contains(&self.key, &other.key)
    }

    /// The path under which names that differ only by case are one, for repositories that say so.
    pub fn case_folded(&self) -> RepoPath {
        RepoPath { key: self.key.to_lowercase().into(), folder: self.folder }
    }
}

/// Whether a text is surely as a path is kept, as almost every one is: it is taken as it stands
/// then. False says nothing.
fn is_normal(text: &str) -> bool {
    let plain = |c: &u8| matches!(c, b' '..=b'~') && !matches!(c, b'\\' | b':' | b'~');
    let key = text.strip_suffix('/').unwrap_or(text);
    text.len() <= PATH_BYTES_MAX
        && text.as_bytes().iter().all(plain)
        && key.split('/').all(|part| {
            !matches!(part, "" | "." | "..")
                && part.len() <= PATH_COMPONENT_BYTES_MAX
                && !part.eq_ignore_ascii_case(".git")
        })
}

fn components(text: &str) -> Result<Vec<&str>, BadPath> {
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or(BadPath::Outside)?),
            part if part.len() > PATH_COMPONENT_BYTES_MAX => return Err(BadPath::TooLong),
            part => parts.push(part),
        }
    }
    if parts.iter().any(|part| part.eq_ignore_ascii_case(".git")) {
        return Err(BadPath::GitFolder);
    }
    Ok(parts)
}

fn contains(outer: &str, inner: &str) -> bool {
    outer.is_empty()
        || inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.as_bytes()[0] == b'/')
}

impl PartialEq for RepoPath {
    fn eq(&self, other: &RepoPath) -> bool {
        self.key == other.key
    }
}

impl Eq for RepoPath {}

impl PartialOrd for RepoPath {
    fn partial_cmp(&self, other: &RepoPath) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RepoPath {
    fn cmp(&self, other: &RepoPath) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl Hash for RepoPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.is_empty(), self.folder) {
            (true, _) => f.write_str("./"),
            (false, true) => write!(f, "{}/", self.key),
            (false, false) => f.write_str(&self.key),
        }
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RepoPath {
    type Err = BadPath;
    fn from_str(text: &str) -> Result<RepoPath, BadPath> {
        RepoPath::new(text)
    }
}

impl Serialize for RepoPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RepoPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RepoPath, D::Error> {
        deserializer.deserialize_str(Text(RepoPath::new))
    }
}

impl JsonSchema for RepoPath {
    fn schema_name() -> Cow<'static, str> {
        "RepoPath".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": PATH_BYTES_MAX })
    }
}

#[cfg(test)]
mod tests;
