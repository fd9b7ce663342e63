//! A look-up by repository and path that finds what overlaps a path: what is on it and above it
//! by a few exact look-ups, what is below it as one range.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use devmesh_protocol::RepoId;
use devmesh_protocol::planted::{self, Fault};

/// Things by repository and path key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths<T>(BTreeMap<RepoId, BTreeMap<Box<str>, BTreeSet<T>>>);

impl<T> Default for Paths<T> {
    fn default() -> Paths<T> {
        Paths(BTreeMap::new())
    }
}

impl<T: Ord + Copy> Paths<T> {
    /// Puts a thing on a path.
    pub fn insert(&mut self, repo: &RepoId, key: &str, thing: T) {
        let paths = match self.0.get_mut(repo) {
            Some(paths) => paths,
            None => self.0.entry(repo.clone()).or_default(),
        };
        match paths.get_mut(key) {
            Some(things) => things.insert(thing),
            None => paths.entry(key.into()).or_default().insert(thing),
        };
    }

    /// Takes it off again.
    pub fn remove(&mut self, repo: &RepoId, key: &str, thing: T) {
        let Some(paths) = self.0.get_mut(repo) else { return };
        let Some(things) = paths.get_mut(key) else { return };
        things.remove(&thing);
        if things.is_empty() {
            paths.remove(key);
        }
        if paths.is_empty() {
            self.0.remove(repo);
        }
    }

    /// What is on exactly this path.
    pub fn at<'s>(&'s self, repo: &RepoId, key: &str) -> impl Iterator<Item = T> + use<'s, T> {
        self.0.get(repo).and_then(|paths| paths.get(key)).into_iter().flatten().copied()
    }

    /// The sets on this path and on the folders above it, highest first.
    fn sets_above(&self, repo: &RepoId, key: &str) -> Vec<&BTreeSet<T>> {
        let mut found = Vec::new();
        if planted::is(Fault::FoldersIgnored) {
            return self.0.get(repo).and_then(|paths| paths.get(key)).into_iter().collect();
        }
        if let Some(paths) = self.0.get(repo) {
            found.extend(above(key).filter_map(|key| paths.get(key)));
        }
        found
    }

    /// The sets below this path.
    fn sets_below<'s>(
        &'s self,
        repo: &RepoId,
        key: &str,
    ) -> impl Iterator<Item = &'s BTreeSet<T>> + use<'s, T> {
        let below = self.0.get(repo).map(|paths| match key {
            "" => paths.range::<str, _>((Bound::Excluded(""), Bound::Unbounded)),
            key => {
                // `0` is the character after `/`.
                let (from, to) = ([key, "/"].concat(), [key, "0"].concat());
                let range = (Bound::Included(from.as_str()), Bound::Excluded(to.as_str()));
                paths.range::<str, _>(range)
            }
        });
        below.into_iter().flatten().map(|(_, things)| things)
    }

    /// What is on this path or on a folder above it, highest first.
    pub fn above<'s>(&'s self, repo: &RepoId, key: &str) -> impl Iterator<Item = T> + use<'s, T> {
        self.sets_above(repo, key).into_iter().flatten().copied()
    }

    /// What overlaps this path: what is on it, above it and below it. In each place in order.
    pub fn over<'s>(&'s self, repo: &RepoId, key: &str) -> impl Iterator<Item = T> + use<'s, T> {
        let sets = self.sets_above(repo, key).into_iter().chain(self.sets_below(repo, key));
        sets.flatten().copied()
    }

    /// The same, without what does not come before `end`.
    pub fn over_before<'s>(
        &'s self,
        repo: &RepoId,
        key: &str,
        end: T,
    ) -> impl Iterator<Item = T> + use<'s, T> {
        let sets = self.sets_above(repo, key).into_iter().chain(self.sets_below(repo, key));
        sets.flat_map(move |things| things.range(..end)).copied()
    }
}

/// The path itself and the folders above it, highest first.
pub(super) fn above(key: &str) -> impl Iterator<Item = &str> {
    let root = (!key.is_empty()).then_some("");
    let folders = key.match_indices('/').map(|(end, _)| &key[..end]);
    root.into_iter().chain(folders).chain([key])
}

#[cfg(test)]
mod tests;
