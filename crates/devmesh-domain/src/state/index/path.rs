//! A look-up by repository and path that finds what overlaps a path: what is on it and above it
//! by a few exact look-ups, what is below it as one range.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use devmesh_protocol::RepoId;
use devmesh_protocol::planted::{self, Fault};

/// Things by repository and path key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths<T>(BTreeMap<RepoId, BTreeMap<Box<str>, Things<T>>>);

/// What is on one path, in order; one thing nearly always, and that needs no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Things<T> {
    first: T,
    others: BTreeSet<T>,
}

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
        match paths.entry(key.into()) {
            Entry::Occupied(mut there) => there.get_mut().insert(thing),
            Entry::Vacant(free) => {
                free.insert(Things { first: thing, others: BTreeSet::new() });
            }
        }
    }

    /// Takes it off again.
    pub fn remove(&mut self, repo: &RepoId, key: &str, thing: T) {
        let Some(paths) = self.0.get_mut(repo) else { return };
        // Nearly always it is alone: then one look-up is enough.
        let Some((key, mut things)) = paths.remove_entry(key) else { return };
        if !things.is_alone(&thing) {
            things.remove(&thing);
            paths.insert(key, things);
        }
        if paths.is_empty() {
            self.0.remove(repo);
        }
    }

    /// What is on exactly this path.
    pub fn at<'s>(&'s self, repo: &RepoId, key: &str) -> impl Iterator<Item = T> + use<'s, T> {
        self.0.get(repo).and_then(|paths| paths.get(key)).into_iter().flat_map(Things::iter)
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sets on this path and on the folders above it, highest first.
    ///
    /// Between a folder above and the key itself nothing stands that does not begin like both: so
    /// one look at what stands last before the key rules out every folder that is longer than what
    /// the two have in common, and a path far from all others costs two look-ups, however deep.
    fn sets_above(&self, repo: &RepoId, key: &str) -> Vec<&Things<T>> {
        let mut found = Vec::new();
        let Some(paths) = self.0.get(repo) else { return found };
        if planted::is(Fault::FoldersIgnored) {
            return paths.get(key).into_iter().collect();
        }
        let mut asked = Some(key);
        while let Some(path) = asked {
            let up_to = (Bound::Unbounded, Bound::Included(path));
            let Some((last, things)) = paths.range::<str, _>(up_to).next_back() else { break };
            if **last == *path {
                found.push(things);
                asked = folder_within(path, path.len().checked_sub(1));
            } else {
                asked = folder_within(path, Some(alike(last, path)));
            }
        }
        found.reverse();
        found
    }

    /// The sets below this path.
    fn sets_below<'s>(
        &'s self,
        repo: &RepoId,
        key: &str,
    ) -> impl Iterator<Item = &'s Things<T>> + use<'s, T> {
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
        self.sets_above(repo, key).into_iter().flat_map(Things::iter)
    }

    /// What overlaps this path: what is on it, above it and below it. In each place in order.
    pub fn over<'s>(&'s self, repo: &RepoId, key: &str) -> impl Iterator<Item = T> + use<'s, T> {
        let sets = self.sets_above(repo, key).into_iter().chain(self.sets_below(repo, key));
        sets.flat_map(Things::iter)
    }

    /// The same, path by path.
    pub fn lines_over<'s>(
        &'s self,
        repo: &RepoId,
        key: &str,
    ) -> impl Iterator<Item = impl Iterator<Item = T> + use<'s, T>> + use<'s, T> {
        let sets = self.sets_above(repo, key).into_iter().chain(self.sets_below(repo, key));
        sets.map(Things::iter)
    }

    /// The same, without what does not come before `end`.
    pub fn over_before<'s>(
        &'s self,
        repo: &RepoId,
        key: &str,
        end: T,
    ) -> impl Iterator<Item = T> + use<'s, T> {
        let sets = self.sets_above(repo, key).into_iter().chain(self.sets_below(repo, key));
        sets.flat_map(move |things| things.before(end))
    }
}

impl<T: Ord + Copy> Things<T> {
    fn iter(&self) -> impl Iterator<Item = T> + use<'_, T> {
        [self.first].into_iter().chain(self.others.iter().copied())
    }

    /// Those that come before `end`.
    fn before(&self, end: T) -> impl Iterator<Item = T> + use<'_, T> {
        let first = Some(self.first).filter(|first| *first < end);
        first.into_iter().chain(self.others.range(..end).copied())
    }

    fn is_alone(&self, thing: &T) -> bool {
        self.first == *thing && self.others.is_empty()
    }

    fn insert(&mut self, thing: T) {
        if thing < self.first {
            self.others.insert(std::mem::replace(&mut self.first, thing));
        } else if thing > self.first {
            self.others.insert(thing);
        }
    }

    /// Takes out a thing that is not alone.
    fn remove(&mut self, thing: &T) {
        if self.first != *thing {
            self.others.remove(thing);
        } else if let Some(next) = self.others.pop_first() {
            self.first = next;
        }
    }
}

/// How many bytes the two begin with alike.
fn alike(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

/// The longest folder above the path that has no more bytes than that; the root above all.
fn folder_within(path: &str, most: Option<usize>) -> Option<&str> {
    let within = path.as_bytes().get(..=most?.min(path.len() - 1))?;
    let end = within.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    path.get(..end)
}

#[cfg(test)]
mod tests;
