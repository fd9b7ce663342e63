//! What stands beside the log, each in a stream of its own: output lines, blobs, mail, free text.
//!
//! Limits by size and age; nothing here is history. A blob and a text are named by their BLAKE3
//! digest and checked against it when read, so it does not matter which replica answers.

pub mod blob;
pub mod mail;
pub mod output;
pub mod text;
