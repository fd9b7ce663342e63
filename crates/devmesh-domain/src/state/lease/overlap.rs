//! Which leases a request meets.

use std::borrow::Cow;
use std::collections::BTreeSet;

use devmesh_protocol::event::lock::Sharing;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{LeaseId, Mode, RepoId, RepoPath};

use super::{Holder, Lease};
use crate::state::State;

/// What somebody asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// For whom.
    pub(crate) holder: &'a Holder,
    /// In which repository.
    pub(crate) repo: &'a RepoId,
    /// Which files and folders.
    pub(crate) paths: &'a [RepoPath],
    /// How.
    pub(crate) mode: Mode,
    /// It is for the conversion of a lease, which goes before other waiters.
    pub(crate) converts: bool,
    /// It takes its paths together with these, who are not in its way.
    pub(crate) sharing: Option<Sharing>,
}

impl Ask<'_> {
    /// Whether what is held, or asked for, on an overlapping path stands in its way.
    pub(crate) fn clashes(&self, holder: &Holder, mode: Mode) -> bool {
        let ignored = planted::is(Fault::ModesIgnored);
        !self.mode.is_compatible(mode) && self.holder != holder && !ignored
    }

    /// Whether a lease on an overlapping path stands in its way.
    pub(crate) fn is_met_by(&self, lease: &Lease) -> bool {
        self.clashes(&lease.holder, lease.mode)
            && !self.sharing.is_some_and(|sharing| lease.is_shared_with(sharing))
    }
}

impl State {
    /// A path as it is compared with others: without case where the repository says so.
    pub(crate) fn folded<'p>(&self, repo: &RepoId, path: &'p RepoPath) -> Cow<'p, RepoPath> {
        match self.repos.get(repo).is_some_and(|repo| repo.added.ignore_case) {
            true => Cow::Owned(path.case_folded()),
            false => Cow::Borrowed(path),
        }
    }

    /// What a path is compared and looked up by.
    pub(crate) fn path_key<'p>(&self, repo: &RepoId, path: &'p RepoPath) -> Cow<'p, str> {
        match self.folded(repo, path) {
            Cow::Owned(path) => Cow::Owned(path.key().to_owned()),
            Cow::Borrowed(path) => Cow::Borrowed(path.key()),
        }
    }

    pub(crate) fn lease(&self, id: LeaseId) -> &Lease {
        self.leases.get(&id).expect("the indexes name leases of the table")
    }

    /// All leases that overlap a path.
    pub(crate) fn leases_over<'s>(
        &'s self,
        repo: &RepoId,
        path: &RepoPath,
    ) -> impl Iterator<Item = LeaseId> + use<'s> {
        self.index.leases_by_path.over(repo, &self.path_key(repo, path))
    }

    fn leases_over_any<'s>(&'s self, ask: Ask<'s>) -> impl Iterator<Item = (LeaseId, &'s Lease)> {
        let over = move |path| self.leases_over(ask.repo, path);
        ask.paths.iter().flat_map(over).map(|id| (id, self.lease(id)))
    }

    /// The leases in the way of a request, by path; one that overlaps two of the paths comes
    /// twice.
    pub(crate) fn leases_against<'s>(
        &'s self,
        ask: Ask<'s>,
    ) -> impl Iterator<Item = (LeaseId, &'s Lease)> {
        self.leases_over_any(ask).filter(move |(_, lease)| ask.is_met_by(lease))
    }

    /// The leases that a request shares: they would be in its way if it did not. One that
    /// overlaps two of the paths comes twice.
    pub(crate) fn leases_shared_with<'s>(
        &'s self,
        ask: Ask<'s>,
    ) -> impl Iterator<Item = (LeaseId, &'s Lease)> {
        self.leases_over_any(ask).filter(move |(_, lease)| {
            ask.clashes(&lease.holder, lease.mode) && !ask.is_met_by(lease)
        })
    }

    /// The holder's own lease that gives all of this already.
    pub(crate) fn covering(
        &self,
        holder: &Holder,
        repo: &RepoId,
        path: &RepoPath,
        mode: Mode,
    ) -> Option<LeaseId> {
        let key = self.path_key(repo, path);
        self.index.leases_by_path.above(repo, &key).find(|id| {
            let lease = self.lease(*id);
            lease.mode.covers(mode) && lease.holder == *holder
        })
    }

    /// The holder's own lease on exactly this path that the mode is stronger than.
    pub(crate) fn convertible(
        &self,
        holder: &Holder,
        repo: &RepoId,
        path: &RepoPath,
        mode: Mode,
    ) -> Option<LeaseId> {
        let key = self.path_key(repo, path);
        self.index.leases_by_path.at(repo, &key).find(|id| {
            let lease = self.lease(*id);
            mode.covers(lease.mode) && lease.holder == *holder
        })
    }

    /// The paths without those that lie within another of them, in the order they came.
    pub(crate) fn outermost(&self, repo: &RepoId, paths: &[RepoPath]) -> Vec<RepoPath> {
        if let [path] = paths {
            return vec![path.clone()];
        }
        let keys: Vec<_> = paths.iter().map(|path| self.path_key(repo, path)).collect();
        let all: BTreeSet<&str> = keys.iter().map(|key| &**key).collect();
        let mut taken = BTreeSet::new();
        let outermost = paths.iter().zip(&keys).filter(|(_, key)| {
            let mut folders = key.match_indices('/').map(|(end, _)| &key[..end]);
            let in_root = !key.is_empty() && all.contains("");
            !in_root && !folders.any(|folder| all.contains(folder)) && taken.insert(&***key)
        });
        outermost.map(|(path, _)| path.clone()).collect()
    }
}
