//! The repository that agents land on, as far as a landing can see it: commits with trailers on
//! one branch, the turn ref, and the saves of work.

use std::collections::BTreeMap;

use devmesh_agent::view::{Key, Work};
use devmesh_protocol::TaskId;

/// A commit of the target branch.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    /// Its id.
    pub(crate) id: String,
    /// Its tree.
    pub(crate) tree: String,
    /// Which attempt made it.
    pub(crate) key: Key,
    /// The turn in which it was published.
    pub(crate) token: u64,
    /// What it changes.
    pub(crate) changed: Vec<String>,
}

/// All of it; moves are atomic, as `git update-ref --stdin` makes them.
#[derive(Debug, Default)]
pub(crate) struct Git {
    /// The target branch, oldest first.
    pub(crate) commits: Vec<Commit>,
    /// The token in the turn ref.
    pub(crate) turn: u64,
    /// The newest save of each task.
    pub(crate) saves: BTreeMap<TaskId, (u32, Work)>,
    made: u64,
}

/// The commit that everything starts from.
pub(crate) const ROOT: &str = "0000000000000000000000000000000000000001";

impl Git {
    /// The head of the target branch.
    #[must_use]
    pub(crate) fn head(&self) -> String {
        self.commits.last().map_or_else(|| ROOT.to_owned(), |commit| commit.id.clone())
    }

    /// A name for a new object.
    pub(crate) fn name(&mut self) -> String {
        self.made += 1;
        format!("{:040x}", self.made + 0x1000)
    }

    /// Commits after that one; all of them where it is not there.
    #[must_use]
    pub(crate) fn since(&self, head: Option<&str>) -> &[Commit] {
        let known = head.and_then(|head| self.commits.iter().position(|it| it.id == head));
        &self.commits[known.map_or(0, |at| at + 1)..]
    }
}
