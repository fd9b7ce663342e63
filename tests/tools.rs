//! The real coding CLIs, several at once, on one repository, through the real `devmesh` program.
//! No model is asked: a scripted one answers. A CLI that is not installed is skipped and said.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod overlap;
mod rig;
