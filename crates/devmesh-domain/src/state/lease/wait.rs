//! Who waits for whom, and which waiter is free to go.
//!
//! Waits-for has two kinds of edges between holders. A *lease edge* leads from a waiter to the
//! holder of a lease in its way; together these never close a circle, or nobody in it could go
//! on. A *queue edge* leads from a waiter to an earlier one that asks for the same. The order of
//! the queue is only a promise of fairness, so it yields: a waiter goes past an earlier one that
//! itself waits for it, over leases and queue, for else free paths would deadlock. And nobody is
//! granted what somebody waits for whom they themselves wait for over leases, for that grant
//! would close a circle of leases.

use std::collections::BTreeSet;

use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{ActorId, RepoId, RepoPath, TaskId};

use super::{Ask, Holder, Waiter};
use crate::state::State;

/// How a request stands in whose way no lease is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It can be granted.
    Free,
    /// It is behind this waiter.
    Behind(u64),
    /// Its own holder waits for this waiter's.
    Entangled(u64),
    /// It would go past this waiter, which has been passed too often.
    Barred(u64),
}

impl Waiter {
    /// What it asks for.
    pub(crate) fn ask(&self) -> Ask<'_> {
        Ask {
            holder: &self.holder,
            repo: &self.repo,
            paths: &self.paths,
            mode: self.mode,
            converts: self.convert.is_some(),
            sharing: self.sharing,
        }
    }
}

impl State {
    pub(crate) fn waiter(&self, place: u64) -> &Waiter {
        self.waiters.get(&place).expect("the indexes name waiters of the table")
    }

    /// All waiters on overlapping paths.
    pub(crate) fn waiters_over<'s>(
        &'s self,
        repo: &RepoId,
        path: &RepoPath,
    ) -> impl Iterator<Item = (u64, &'s Waiter)> + use<'s> {
        let key = self.path_key(repo, path);
        let conversions = self.index.conversions_by_path.over(repo, &key);
        let others = self.index.waiters_by_path.over(repo, &key);
        conversions.chain(others).map(|place| (place, self.waiter(place)))
    }

    /// The waiters of others that ask for what clashes with this.
    fn rivals<'s>(&'s self, ask: Ask<'s>) -> impl Iterator<Item = (u64, &'s Waiter)> {
        let over = move |path| self.waiters_over(ask.repo, path);
        let waiters = ask.paths.iter().flat_map(over);
        waiters.filter(move |(_, waiter)| ask.clashes(&waiter.holder, waiter.mode))
    }

    /// Those of them that stand before this place of the queue. Conversions stand before all.
    pub(crate) fn rivals_ahead<'s>(
        &'s self,
        ask: Ask<'s>,
        place: u64,
    ) -> impl Iterator<Item = (u64, &'s Waiter)> {
        let (conversions, others) = match ask.converts {
            true => (place, 0),
            false => (u64::MAX, place),
        };
        let over = move |path| {
            let key = self.path_key(ask.repo, path);
            let index = &self.index;
            let conversions = index.conversions_by_path.over_before(ask.repo, &key, conversions);
            conversions.chain(index.waiters_by_path.over_before(ask.repo, &key, others))
        };
        let waiters = ask.paths.iter().flat_map(over).map(|place| (place, self.waiter(place)));
        waiters.filter(move |(_, waiter)| ask.clashes(&waiter.holder, waiter.mode))
    }

    /// Where a task stands in the queue for its paths, if it does.
    pub(crate) fn place_in_queue(&self, task: TaskId) -> Option<u64> {
        let places = self.index.waiters_by_task.get(&task)?;
        places.iter().copied().find(|place| self.waiter(*place).holder.is_line())
    }

    fn waiters_of(&self, holder: &Holder) -> impl Iterator<Item = (u64, &Waiter)> {
        let session = (holder.actor.clone(), holder.session.clone());
        let places = self.index.waiters_by_session.get(&session).into_iter().flatten();
        let waiters = places.map(|place| (*place, self.waiter(*place)));
        waiters.filter(|(_, waiter)| waiter.holder.task == holder.task)
    }

    /// Whether it is the only request that its holder waits for.
    pub(crate) fn waits_alone(&self, waiter: &Waiter) -> bool {
        self.waiters_of(&waiter.holder).nth(1).is_none()
    }

    /// Whether anybody waits for one of the holder's leases.
    pub(crate) fn is_waited_for(&self, holder: &Holder) -> bool {
        let session = (holder.actor.clone(), holder.session.clone());
        let leases = self.index.leases_by_session.get(&session).into_iter().flatten();
        let mut leases = leases.map(|id| self.lease(*id)).filter(|lease| lease.holder == *holder);
        leases.any(|lease| {
            let mut over = self.waiters_over(&lease.repo, &lease.path);
            over.any(|(_, waiter)| waiter.ask().is_met_by(lease))
        })
    }

    /// Whom a waiter waits for over leases.
    fn lease_edges<'s>(&'s self, place: u64, waiter: &'s Waiter) -> Vec<&'s Holder> {
        if !self.index.held_up.contains_key(&place) {
            return Vec::new();
        }
        self.leases_against(waiter.ask()).map(|(_, lease)| &lease.holder).collect()
    }

    /// The way from one of the holders to `to` along waits-for, both ends included. With `queue`,
    /// along every queue edge too, also along those that yield.
    pub(crate) fn chain<'s>(
        &'s self,
        from: impl IntoIterator<Item = &'s Holder>,
        to: &'s Holder,
        queue: bool,
    ) -> Option<Vec<&'s Holder>> {
        let mut seen: BTreeSet<&Holder> = BTreeSet::new();
        // Each holder with the place in `trail` of whoever waits for it.
        let mut open: Vec<(&Holder, Option<usize>)> =
            from.into_iter().map(|holder| (holder, None)).collect();
        let mut trail: Vec<(&Holder, Option<usize>)> = Vec::new();
        while let Some((holder, before)) = open.pop() {
            if !seen.insert(holder) {
                continue;
            }
            trail.push((holder, before));
            let here = Some(trail.len() - 1);
            if holder == to {
                let mut way = Vec::new();
                let mut at = here;
                while let Some(i) = at {
                    way.push(trail[i].0);
                    at = trail[i].1;
                }
                way.reverse();
                return Some(way);
            }
            for (place, waiter) in self.waiters_of(holder) {
                open.extend(self.lease_edges(place, waiter).into_iter().map(|h| (h, here)));
                if queue {
                    let ahead = self.rivals_ahead(waiter.ask(), place);
                    open.extend(ahead.map(|(_, waiter)| (&waiter.holder, here)));
                }
            }
        }
        None
    }

    /// Everybody whom the holder waits for over leases, directly or not.
    fn awaited<'s>(&'s self, holder: &'s Holder) -> BTreeSet<&'s Holder> {
        let mut seen = BTreeSet::new();
        let mut open = vec![holder];
        while let Some(holder) = open.pop() {
            for (place, waiter) in self.waiters_of(holder) {
                let edges = self.lease_edges(place, waiter).into_iter();
                open.extend(edges.filter(|holder| seen.insert(*holder)));
            }
        }
        seen
    }

    /// Whether a request that shares goes past a waiter: one that waits for leases anyway, and
    /// was not passed too often.
    fn is_shared_past(&self, ask: Ask<'_>, place: u64, waiter: &Waiter) -> bool {
        ask.sharing.is_some()
            && self.index.held_up.contains_key(&place)
            && waiter.bypasses < devmesh_protocol::limits::BYPASSES_MAX
    }

    /// How a request stands among the waiters, with no lease in its way. `place` is its place in
    /// the queue, none for one that has just come.
    pub(crate) fn standing(&self, ask: Ask<'_>, place: Option<u64>) -> Standing {
        let clear = |key: &RepoPath| self.waiters_over(ask.repo, key).next().is_none();
        if ask.paths.iter().all(clear) {
            return Standing::Free;
        }
        let unordered = match place {
            Some(_) => planted::is(Fault::GrantOutOfOrder),
            None => planted::is(Fault::NewcomerOvertakes),
        };
        if unordered {
            return Standing::Free;
        }
        let mut passed: Option<(u64, &Waiter)> = None;
        // What runs is never held up by what could begin: it may be the agent that is waited for.
        let runs = ask.holder.task.is_some() && !ask.holder.is_line();
        for (other, waiter) in self.rivals_ahead(ask, place.unwrap_or(u64::MAX)) {
            if runs && waiter.holder.is_line() {
                continue;
            }
            if !self.is_shared_past(ask, other, waiter)
                && self.chain([&waiter.holder], ask.holder, true).is_none()
            {
                return Standing::Behind(other);
            }
            if passed.is_none_or(|(_, most)| most.bypasses < waiter.bypasses) {
                passed = Some((other, waiter));
            }
        }
        let awaited = self.awaited(ask.holder);
        if !awaited.is_empty()
            && let Some((other, _)) = self.rivals(ask).find(|(_, w)| awaited.contains(&w.holder))
        {
            return Standing::Entangled(other);
        }
        match passed {
            Some((other, waiter))
                if place.is_none() && waiter.bypasses >= devmesh_protocol::limits::BYPASSES_MAX =>
            {
                Standing::Barred(other)
            }
            Some(_) | None => Standing::Free,
        }
    }

    /// Whom a waiter waits for, as people see it: the holders of leases in its way, or whoever
    /// is before it in the queue.
    pub(crate) fn waits_for(&self, place: u64) -> Vec<ActorId> {
        let Some(waiter) = self.waiters.get(&place) else { return Vec::new() };
        let mut actors: BTreeSet<&ActorId> =
            self.leases_against(waiter.ask()).map(|(_, lease)| &lease.holder.actor).collect();
        if actors.is_empty()
            && let Standing::Behind(other) | Standing::Entangled(other) =
                self.standing(waiter.ask(), Some(place))
        {
            actors.insert(&self.waiter(other).holder.actor);
        }
        actors.into_iter().cloned().collect()
    }
}
