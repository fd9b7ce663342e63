//! Another's work that the agent was given to look at.

use devmesh_protocol::command::task::Judgement;

use super::Key;

/// A review from its assignment to its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Whose work: the attempt that made it.
    pub key: Key,
    /// The tree that is to be judged.
    pub tree: String,
    /// Where it is.
    pub phase: ReviewPhase,
    /// What the tool has said.
    pub words: String,
}

/// Where a review is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewPhase {
    /// The work is brought into a slot.
    Preparing,
    /// The tool looks.
    Looking,
    /// The verdict is told.
    Telling,
    /// Its slot is given back.
    Ending,
}

/// What a reviewer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The verdict; an abstention where it came to none.
    pub judgement: Judgement,
    /// What the worker is to know.
    pub comments: Option<String>,
}

impl Review {
    /// A review just given.
    pub fn assigned(key: Key, tree: String) -> Self {
        Self { key, tree, phase: ReviewPhase::Preparing, words: String::new() }
    }
}
