//! The wire: everything devmesh knows of NATS.
//!
//! The log, commands and queries, live notices, output, mail and blobs, provisioning and the
//! managed server; and an in-memory twin of the log for simulation.
//!
//! **Architecture invariant:** no other crate names NATS. What leaves here are bytes, protocol
//! types and this crate's own nouns.
//!
//! **Architecture invariant:** nothing here decides. The bus does not know what a record says; the
//! log carries opaque bytes in a strict order.
//!
//! **Architecture invariant:** no process-wide state: every connection is a value that is passed.

mod api;
pub mod client;
pub mod connect;
pub mod cred;
pub mod error;
mod feed;
pub mod gate;
pub mod intake;
pub mod log;
pub mod media;
pub mod notice;
pub mod provision;
pub mod server;

pub use error::{Error, ErrorKind, Result, chain};
