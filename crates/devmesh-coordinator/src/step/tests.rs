//! One coordinator at its work: what is answered when, and what goes into the log.

mod answers;
mod soft;
