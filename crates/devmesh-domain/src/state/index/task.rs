//! Look-ups of tasks, and which of them are worth another look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use devmesh_protocol::{At, Digest, QuestionId, RepoId, TaskId};

use super::path::Paths;
use crate::state::Target;
use crate::state::task::Place;

/// Look-ups of tasks, derived from the tables.
#[derive(Clone, Debug, Default)]
pub struct TaskIndex {
    /// Ready tasks, and those with an open auction, by the paths they declare, case folded where
    /// the repository says so.
    pub ready_paths: Paths<Place>,
    /// Tasks whose auctions lapsed and that wait for their time.
    pub lapsed: BTreeSet<TaskId>,
    /// Branches whose turn is free while somebody waits for it.
    pub lands: BTreeSet<Target>,
    /// Open questions.
    pub questions: BTreeMap<QuestionId, TaskId>,
    /// Tasks that an agent is to review and that have no reviewer.
    pub reviews: BTreeSet<TaskId>,
    /// Tasks by the change that they have submitted or landed, of those that land on a branch.
    pub changes: BTreeMap<(RepoId, String, Digest), BTreeSet<TaskId>>,
    /// Ready tasks that something has changed for since an auction was last looked for.
    pub stirred: Stirred,
}

/// Tasks that are remembered one by one as worth another look; of more, all are.
const STIRRED_MAX: usize = 1_024;

/// Which ready tasks are worth another look. What is known to have no bidder is not looked at
/// again before something changes that it could depend on.
#[derive(Debug)]
pub struct Stirred {
    /// All of them.
    pub all: bool,
    /// These.
    pub places: BTreeSet<Place>,
    /// Rises with each change.
    pub generation: u64,
    /// The generation that was searched without a find. A memory of a pure search, so it may be
    /// written behind a shared reference and says nothing that the search would not.
    seen: AtomicU64,
    /// Until when that search holds: then an agent is asked again that was not.
    seen_until: AtomicU64,
    /// The same for the search for reviewers.
    seen_reviews: AtomicU64,
}

impl Stirred {
    /// Whether a search for reviewers could find one.
    pub fn is_fresh_for_reviews(&self) -> bool {
        self.seen_reviews.load(Ordering::Relaxed) < self.generation
    }

    /// A search of the present state found no reviewer.
    pub fn remember_no_reviewer(&self) {
        self.seen_reviews.store(self.generation, Ordering::Relaxed);
    }

    /// Whether a search could find anything.
    pub fn is_fresh(&self, at: At) -> bool {
        self.has_changed() || self.seen_until.load(Ordering::Relaxed) <= at.0
    }

    /// The tasks that a search looks at; none: all of them.
    pub fn only(&self, at: At) -> Option<&BTreeSet<Place>> {
        let asked_again = self.seen_until.load(Ordering::Relaxed) <= at.0;
        (!self.all && !asked_again).then_some(&self.places)
    }

    fn has_changed(&self) -> bool {
        self.seen.load(Ordering::Relaxed) < self.generation
    }

    /// A search of the present state found nothing. The next agent is asked again at that time.
    pub fn remember_nothing(&self, asked_again: Option<At>) {
        self.seen.store(self.generation, Ordering::Relaxed);
        let until = asked_again.map_or(u64::MAX, |at| at.0);
        self.seen_until.store(until, Ordering::Relaxed);
    }

    /// Something has changed for these.
    pub(crate) fn stir(&mut self, places: impl IntoIterator<Item = Place>) {
        self.changed();
        if !self.all {
            self.places.extend(places);
        }
        if self.places.len() > STIRRED_MAX {
            self.all = true;
            self.places.clear();
        }
    }

    /// Something has changed for any of them.
    pub(crate) fn stir_all(&mut self) {
        self.changed();
        self.all = true;
        self.places.clear();
    }

    fn changed(&mut self) {
        if !self.has_changed() {
            self.all = false;
            self.places.clear();
        }
        self.generation += 1;
    }
}

impl Default for Stirred {
    fn default() -> Stirred {
        let (seen, seen_reviews) = (AtomicU64::new(0), AtomicU64::new(0));
        let seen_until = AtomicU64::new(u64::MAX);
        Stirred {
            all: true,
            places: BTreeSet::new(),
            generation: 1,
            seen,
            seen_until,
            seen_reviews,
        }
    }
}

impl Clone for Stirred {
    fn clone(&self) -> Stirred {
        Stirred {
            all: self.all,
            places: self.places.clone(),
            generation: self.generation,
            seen: AtomicU64::new(self.seen.load(Ordering::Relaxed)),
            seen_until: AtomicU64::new(self.seen_until.load(Ordering::Relaxed)),
            seen_reviews: AtomicU64::new(self.seen_reviews.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests;
