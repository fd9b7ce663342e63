//! The model check: small meshes in every interleaving, over the real `decide`, `follow` and
//! `fold`, with every promise checked in every state and for every record; and deliberate bugs,
//! each of which has to be found.
//!
//! What takes seconds runs with the other tests; `cargo xtask model` runs all of it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "all of it is a test: names are written here, and what was explored is told"
)]

mod action;
mod check;
mod form;
mod heal;
mod log;
mod options;
mod planted;
mod world;
mod worlds;
