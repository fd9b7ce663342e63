//! Runs a coding CLI on a task in a worktree and reports facts.

pub mod dialect;
pub mod error;
mod file;
pub mod git;
pub mod process;
pub mod profile;
pub mod save;
mod shell;
pub mod slot;
mod text;
