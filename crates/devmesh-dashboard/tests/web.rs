//! The dashboard over real sockets, on a log in memory.

#![expect(clippy::unwrap_used, reason = "in a test a panic is how a failure is told")]

#[path = "web/defects.rs"]
mod defects;
#[path = "web/door.rs"]
mod door;
#[path = "web/flood.rs"]
mod flood;
#[path = "web/live.rs"]
mod live;
#[path = "web/world.rs"]
mod world;
