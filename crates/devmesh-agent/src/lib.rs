//! Runs a coding CLI on a task in a worktree and reports facts.

pub mod classify;
pub mod dialect;
pub mod error;
mod file;
#[cfg(test)]
mod fixture;
pub mod git;
pub mod land;
pub mod process;
pub mod profile;
pub mod save;
mod shell;
pub mod slot;
mod text;
pub mod verify;
