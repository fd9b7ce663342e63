//! Deterministic simulation of a whole mesh.
//!
//! A seed makes a plan, the plan a world: coordinators (their real step) over the in-memory log,
//! agents (their real step) over a modelled disk, tool and repository, others that only take
//! leases, and a person. Everything that happens stands in one queue ordered by simulated time;
//! messages are lost, delayed, doubled and reordered, appends meet every fault of the log,
//! processes die, stand still, sleep, are cut off. Then all faults end, and everything must come
//! to its end.
//!
//! **Architecture invariant:** a run reads no clock, no environment, no disk, and starts no
//! thread: the same seed makes the same bytes. Only [`mod@many`] runs, each on a thread, are ended
//! by the clock.

mod blow;
mod call;
mod git;
pub mod history;
mod locker;
pub mod many;
mod node;
mod oracle;
mod person;
mod plan;
mod process;
pub mod rng;
pub mod run;
pub mod scene;
pub mod stats;
mod worker;
mod world;

pub use many::{Many, many};
pub use run::{Outcome, run};
pub use stats::Stats;
