//! The single writer: takes commands, decides, appends.
