//! The same commands and queries as MCP tools.
//!
//! **Architecture invariant:** no tool here can do what its caller's credential could not do on
//! the command subjects: a tool is a command in other words.
