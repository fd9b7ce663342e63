//! What a person changes by hand keeps nobody out: others are told, and other work goes first.

use devmesh_protocol::command::mesh::CheckoutReport;
use devmesh_protocol::event::mesh::CheckoutChanged;
use devmesh_protocol::{ActorId, At, Code, Command, Event, Rejection, RepoId, RepoPath};

use super::{agent, lock};
use crate::state::State;
use crate::state::mesh::Checkout;

/// Checkouts that a mesh keeps account of.
const CHECKOUTS_MAX: usize = 1_000;

pub(super) fn report(
    state: &State,
    command: &Command,
    body: &CheckoutReport,
) -> Result<Vec<Event>, Rejection> {
    agent::require_person(state, command)?;
    let repo = lock::repo(state, body.repo.as_ref())?;
    let paths = state.outermost(&repo, &body.paths);
    let old = state.checkouts.get(&(repo.clone(), command.actor.clone()));
    let said = |old: &Checkout| old.paths == paths && old.more == body.more;
    let nothing = paths.is_empty() && body.more == 0;
    if old.map_or(nothing, said) {
        return Ok(Vec::new());
    }
    if old.is_none() && state.checkouts.len() >= CHECKOUTS_MAX {
        let text = format!("{CHECKOUTS_MAX} checkouts have changes; no more are kept account of");
        return Err(Rejection::new(Code::LimitExceeded, text));
    }
    let actor = command.actor.clone();
    Ok(vec![CheckoutChanged { repo, actor, paths, more: body.more }.into()])
}

/// A path that a person has changed and not committed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Advisory<'s> {
    /// Whose checkout.
    pub actor: &'s ActorId,
    /// Which file or folder.
    pub path: &'s RepoPath,
    /// Since when it is known.
    pub at: At,
}

/// Which of these paths people have changed by hand, person by person. They keep nobody out; an
/// auction takes other work first. As much work as there are people with changes.
pub fn advisories<'s>(
    state: &'s State,
    repo: &RepoId,
    paths: &[RepoPath],
) -> impl Iterator<Item = Advisory<'s>> + use<'s> {
    let asked: Vec<RepoPath> =
        paths.iter().map(|path| state.folded(repo, path).into_owned()).collect();
    let repo = repo.clone();
    let from = (repo.clone(), ActorId::new("0").expect("the smallest of all ids"));
    let rows = state.checkouts.range(from..).take_while(move |((of, _), _)| *of == repo);
    rows.flat_map(|((repo, actor), checkout)| {
        checkout.paths.iter().map(move |path| (repo, Advisory { actor, path, at: checkout.at }))
    })
    .filter(move |(repo, advisory)| {
        let path = state.folded(repo, advisory.path);
        asked.iter().any(|asked| asked.overlaps(&path))
    })
    .map(|(_, advisory)| advisory)
}

#[cfg(test)]
mod tests;
