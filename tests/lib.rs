//! Tests that cross crates; the code is in `all.rs` and the folders beside it.
