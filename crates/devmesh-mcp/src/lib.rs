//! The same commands and queries as MCP tools.
