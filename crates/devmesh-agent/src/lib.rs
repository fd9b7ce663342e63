//! Runs a coding CLI on a task in a worktree and reports facts.
