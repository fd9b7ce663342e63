//! Test support: a real nats-server, a simulated world, scripted coding tools.

pub mod nats;
pub mod model;
pub mod scripted;
pub mod tools;
