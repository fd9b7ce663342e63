//! Every test that crosses crates, in one binary.

mod bus;
mod it;
mod log;
