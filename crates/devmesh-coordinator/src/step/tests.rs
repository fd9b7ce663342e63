//! One coordinator at its work: what is answered when, and what goes into the log.

mod answers;
mod auctions;
mod proofs;
mod queries;
mod soft;
mod takeover;
mod texts;
mod waking;

use serde_json::{Value, json};

use crate::fixture::World;

/// An agent begins a session on the only host.
fn join(world: &mut World, actor: &str, session: &str) -> Value {
    let body = json!({ "tool": "codex", "host": "h1", "session": session });
    world.ok(actor, "agent.join", body)
}

/// How many events of a kind are in the log.
fn has(world: &World, kind: &str) -> usize {
    world.records().iter().flat_map(|r| &r.events).filter(|e| e.kind() == kind).count()
}
