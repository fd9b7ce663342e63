//! File events: what an attempt has changed, file by file, with the digests of what was and is
//! there. They are told once for each tree that is submitted, with its evidence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::TaskId;
use crate::path::RepoPath;

/// Files that one change names; the digest is of all of them.
pub const EDITS_MAX: usize = 256;
/// Bytes of the paths that one change names, so that a record has room for them.
pub const EDITS_BYTES_MAX: usize = 32 * 1024;

/// One file, as it was and as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileEdit {
    /// Which.
    pub path: RepoPath,
    /// The git object that the work began from; none where there was no such file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The git object that is there now; none where the file is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// Its mode as git knows it, where it is not an ordinary file's `100644`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// What an attempt has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Of all its files, with what was and is there: the same for the same change, on whatever
    /// else has landed beside it.
    pub digest: Digest,
    /// The files, by path; of many the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<FileEdit>,
    /// How many more.
    #[serde(default, skip_serializing_if = "crate::command::task::is_zero")]
    pub more: u32,
}

impl Change {
    /// The change that consists of these, within its bounds. `unnamed` are further files that no
    /// path can name, in words of their own.
    pub fn of(mut edits: Vec<FileEdit>, unnamed: &[String]) -> Change {
        edits.sort_by(|one, other| one.path.key().cmp(other.path.key()));
        let mut text = String::new();
        for FileEdit { path, base, now, mode } in &edits {
            let or_none = |name: &Option<String>| name.as_deref().unwrap_or("-").to_owned();
            let (base, now, mode) = (or_none(base), or_none(now), or_none(mode));
            text.push_str(&format!("{mode} {base} {now} {}\0", path.key()));
        }
        for name in unnamed {
            text.push_str(name);
            text.push('\0');
        }
        let digest = Digest::of(text.as_bytes());
        let all = edits.len() + unnamed.len();
        let mut bytes = 0;
        let fits = edits.iter().take(EDITS_MAX).take_while(|edit| {
            bytes += edit.path.key().len();
            bytes <= EDITS_BYTES_MAX
        });
        let fits = fits.count();
        edits.truncate(fits);
        Change { digest, edits, more: u32::try_from(all - fits).unwrap_or(u32::MAX) }
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.more == 0
    }
}

/// A file that two tasks have changed at the same time, sharing it; this work holds both changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Merged {
    /// Which.
    pub path: RepoPath,
    /// The task that has landed its change of it before.
    pub with: TaskId,
}

#[cfg(test)]
mod tests;
