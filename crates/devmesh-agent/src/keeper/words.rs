//! What is said by mail between a keeper and whoever needs one of its repositories.

use devmesh_protocol::{Digest, RepoId, TaskId};
use serde::{Deserialize, Serialize};

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Letter {
    /// What the answer will name.
    pub(super) id: String,
    /// When it was asked, milliseconds since 1970 by the asker's clock.
    pub(super) asked_at: u64,
    /// About which repository.
    pub(super) repo: RepoId,
    pub(super) ask: Ask,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Ask {
    /// How it stands, and what I lack of it.
    Fetch {
        /// The asker's blob of refs that it has; none where it has nothing.
        have: Option<Digest>,
    },
    /// Move these, all or none: I have the turn.
    Move {
        task: TaskId,
        moves: Vec<Step>,
        /// The asker's blob of what is new, where anything is.
        bundle: Option<Digest>,
    },
    /// Keep a commit of mine under this name.
    Put { task: TaskId, name: String, commit: String, bundle: Option<Digest> },
    /// The task has landed: forget its saves.
    Forget { task: TaskId },
}

/// One move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) name: String,
    /// None: it must not be there.
    pub(super) old: Option<String>,
    pub(super) new: String,
}

/// A part of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) said: Said,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Said {
    /// It is read; the rest takes its time.
    Begun,
    /// The keeper's blobs: of the refs, and of what the asker lacks, where it lacks anything.
    Stands { refs: Digest, bundle: Option<Digest> },
    /// It is done.
    Done,
    /// It is not done, and will not be.
    Refused { why: String },
    /// It could not be done.
    Failed { why: String },
}

/// Refs as git lists them: `OBJECT NAME`, a line each.
pub(super) fn refs_in(text: &str) -> Vec<(String, String)> {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    let pairs = pairs.filter(|(id, name)| is_object(id) && is_name(name));
    pairs.map(|(id, name)| (id.to_owned(), name.to_owned())).collect()
}

/// Whether it is the full name of an object: SHA-1 or SHA-256 in hex.
pub(super) fn is_object(word: &str) -> bool {
    matches!(word.len(), 40 | 64) && word.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether it is a ref's name that cannot be taken for anything else, on any line or argument.
pub(super) fn is_name(name: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock") && part != "@"
    };
    name.starts_with("refs/")
        && name.len() <= 1_024
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && !name.contains(odd)
        && name.split('/').all(part)
}
