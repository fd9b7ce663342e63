//! Every test that crosses crates, in one binary.

mod log;
