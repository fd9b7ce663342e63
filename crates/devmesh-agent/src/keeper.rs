//! Repositories that travel as bundles: the mesh's blob stream in place of git's own wire.
//!
//! A host that joined is behind no gate, so that nobody can fetch from it. Its keeper answers for
//! the repositories that lie there, by mail: who wants to know how one stands says what it has,
//! and gets the refs and a bundle of what it lacks; who has saved or landed work puts a bundle of
//! it into the stream and asks for refs to be moved. Bundles are blobs, named by their digest.
//!
//! The move that lands work is made by the keeper, in one transaction of refs with the old values
//! that the asker knows: the target's and the turn's, as on any other way. It asks the mesh first
//! whether the asker has the turn. Whoever dies in between, before or after: a letter waits for a
//! keeper that is away, one that is read twice moves nothing twice, and a landing of which nobody
//! was told is found by the next turn, by the trailers of its commit.
//!
//! **Nothing in a bundle is believed but its objects.** Names of refs come from the letter, and
//! only those of devmesh's own and of the branch that work lands on are moved.

mod line;
mod pack;
mod serve;
mod words;

#[cfg(test)]
mod tests;

pub use line::{Line, Post};
pub use serve::run;

use devmesh_protocol::{ActorId, HostId};

use crate::error::Error;

/// How a repository's keeper is called in the mesh: an agent's name, of a host that joined.
#[must_use]
pub fn name_of(host: &HostId) -> Option<ActorId> {
    ActorId::new(&format!("{host}-keeper")).ok()
}

fn bus(doing: impl Into<String>) -> impl FnOnce(devmesh_bus::Error) -> Error {
    let doing = doing.into();
    |source| Error::Bus { doing, source: Box::new(source) }
}
