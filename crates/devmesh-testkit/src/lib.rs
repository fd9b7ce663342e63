//! Test support: a real nats-server, scripted coding tools and their models, clients of others.
//!
//! **Architecture invariant:** nothing here is built into the `devmesh` binary.
//!
//! **Architecture invariant:** what is started here ends with the value that started it, by its
//! pid.

pub mod browser;
pub mod contender;
pub mod desk;
pub mod left;
pub mod model;
pub mod nats;
pub mod python;
pub mod scripted;
pub mod tools;
