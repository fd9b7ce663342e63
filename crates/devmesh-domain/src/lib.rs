//! The verbs of devmesh: `fold` makes state of records, `decide` makes events of commands.
//!
//! Everything here is a function of its arguments. The same records make the same [`State`] with
//! the same hash on every machine; the same state, command and time make the same events.
//!
//! **Architecture invariant:** no clock, network, disk, environment, randomness, async or
//! logging. Time comes in as data; reasons go out as values.
//!
//! **Architecture invariant:** ordered collections only, and no floating-point number anywhere
//! that a fold can reach.
//!
//! **Architecture invariant:** `fold` never refuses and never judges: a record has happened.

#![deny(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)]

pub mod answer;
pub mod decide;
pub mod fold;
pub mod glance;
pub mod invariant;
pub mod look;
mod normal;
pub mod reader;
pub mod state;
pub mod table;

pub use decide::{decide, follow};
pub use reader::Reader;
pub use state::State;
