//! The repository that agents land on, as far as a landing can see it: commits with trailers on
//! one branch, the turn ref, and the saves of work.

use std::collections::BTreeMap;

use devmesh_agent::view::{Key, Work};
use devmesh_protocol::command::task::{Change, FileEdit};
use devmesh_protocol::{RepoPath, TaskId};

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
    /// What it changes, from what was there before it.
    pub(crate) edits: Vec<FileEdit>,
}

impl Commit {
    /// Whether it changes the file.
    #[must_use]
    pub(crate) fn touches(&self, path: &str) -> bool {
        self.edits.iter().any(|edit| edit.path.key() == path)
    }
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

    /// What is in the file as of that commit; none where it is not there yet.
    #[must_use]
    pub(crate) fn blob(&self, commit: &str, path: &str) -> Option<String> {
        let known = self.commits.iter().position(|it| it.id == commit)?;
        let mut before = self.commits[..=known].iter().rev().flat_map(|it| &it.edits);
        before.find(|edit| edit.path.key() == path)?.now.clone()
    }

    /// The change that gives those files that content, on that commit.
    #[must_use]
    pub(crate) fn change(&self, base: &str, files: &[(String, String)]) -> Change {
        let edit = |(path, now): &(String, String)| FileEdit {
            path: RepoPath::new(path).expect("a plain path"),
            base: self.blob(base, path),
            now: Some(now.clone()),
            mode: None,
        };
        Change::of(files.iter().map(edit).collect(), &[])
    }

    /// The work's change as it is on that commit: what others have made of its files since it
    /// began is merged with it, and what they have made alike is none of it any more.
    #[must_use]
    pub(crate) fn onto(&mut self, head: &str, work: &Work) -> Change {
        let mut files = Vec::new();
        for edit in work.change.iter().flat_map(|change| &change.edits) {
            let theirs = self.blob(head, edit.path.key());
            let now = match &edit.now {
                Some(now) if theirs == edit.base => now.clone(),
                Some(_) if theirs == edit.now => continue,
                Some(_) | None => self.name(),
            };
            files.push((edit.path.key().to_owned(), now));
        }
        self.change(head, &files)
    }

    /// Commits after that one; all of them where it is not there.
    #[must_use]
    pub(crate) fn since(&self, head: Option<&str>) -> &[Commit] {
        let known = head.and_then(|head| self.commits.iter().position(|it| it.id == head));
        &self.commits[known.map_or(0, |at| at + 1)..]
    }
}
