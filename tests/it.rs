//! A real server with real credentials: what each role may do works, what it may not is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod cluster;
mod coordinator;
mod coordinator_world;
mod door;
mod faults;
mod forge;
mod hosts;
mod revoke;
mod roles;
mod streams;
mod work;
mod world;
