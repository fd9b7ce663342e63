//! Fold of what people have changed in their checkouts.

use devmesh_protocol::event::mesh::CheckoutChanged;
use devmesh_protocol::{ActorId, Record, RepoId};

use crate::state::State;
use crate::state::mesh::Checkout;

pub(super) fn changed(state: &mut State, record: &Record, e: &CheckoutChanged) {
    let key = (e.repo.clone(), e.actor.clone());
    if e.paths.is_empty() && e.more == 0 {
        state.checkouts.remove(&key);
        return;
    }
    let checkout = Checkout { paths: e.paths.clone(), more: e.more, at: record.at };
    state.checkouts.insert(key, checkout);
}

/// Whoever is gone has no checkout that anybody knows of.
pub(super) fn forget(state: &mut State, actor: &ActorId) {
    let own: Vec<RepoId> =
        state.checkouts.keys().filter(|(_, a)| a == actor).map(|(repo, _)| repo.clone()).collect();
    for repo in own {
        state.checkouts.remove(&(repo, actor.clone()));
    }
}
