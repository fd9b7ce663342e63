//! Every test that crosses crates, in one binary.

#![expect(clippy::unwrap_used, reason = "in a test a panic is how a failure is told")]

mod browser;
mod bus;
mod it;
mod log;
mod scripts;
mod tools;
