//! Runs a coding CLI on a task in a worktree and reports facts.

pub mod believe;
pub mod classify;
pub mod clock;
pub mod dialect;
pub mod error;
mod file;
#[cfg(test)]
mod fixture;
pub mod git;
mod id;
pub mod land;
pub mod mask;
pub mod outbox;
pub mod process;
pub mod profile;
pub mod prompt;
pub mod save;
mod shell;
pub mod slot;
mod text;
pub mod verify;
