//! Formats of the log, and how each is read.
//!
//! A binary reads all formats and writes the last two; which one is written stands in the state
//! and is raised by a decision. A type of the log that changes its meaning becomes a new type
//! here, with the way from the old one to it.

use serde::Deserialize;

use crate::batch::{BadBatch, Batch};

/// The newest format that this program reads and writes.
pub const FORMAT: u32 = 1;

/// The part of a body that every format has.
#[derive(Deserialize)]
struct Head {
    v: u32,
}

pub(crate) fn decode(body: &[u8]) -> Result<Batch, BadBatch> {
    let unread = |error: ciborium::de::Error<std::io::Error>| BadBatch::Body(error.to_string());
    match ciborium::from_reader::<Batch, _>(body) {
        Ok(batch) if batch.v == FORMAT => Ok(batch),
        Ok(batch) => Err(BadBatch::Format(batch.v)),
        // A body of a newer format has fields that are unknown here: say so, not which.
        Err(error) => match ciborium::from_reader::<Head, _>(body) {
            Ok(head) if head.v > FORMAT => Err(BadBatch::Format(head.v)),
            _ => Err(unread(error)),
        },
    }
}
