//! The nouns of devmesh: ids, commands, events, records, reports, queries, subjects, versions.
//!
//! Everything that crosses a process boundary is declared here and nowhere else; `schemas/` is
//! generated from these types.
//!
//! **Architecture invariant:** nothing here reads a clock, the network, a disk, the environment
//! or a source of randomness, and nothing here decides: a type says what *can* be said, the
//! domain says what may happen.
//!
//! **Architecture invariant:** times are integer milliseconds UTC and money integer
//! micro-dollars. RFC 3339 appears only where a serialiser is human-readable (JSON).

pub mod batch;
pub mod command;
pub mod digest;
pub mod event;
pub mod id;
pub mod limits;
pub mod mode;
pub mod path;
pub mod plan;
pub mod planted;
pub mod query;
pub mod record;
pub mod reply;
pub mod report;
pub mod rulebook;
pub mod schema;
pub mod subject;
pub mod time;
pub mod version;
pub mod view;

pub use command::{Command, Verb};
pub use digest::Digest;
pub use event::Event;
pub use id::{ActorId, CommandId, HostId, LeaseId, MeshId, QuestionId, RepoId, SessionId, TaskId};
pub use mode::Mode;
pub use path::RepoPath;
pub use record::Record;
pub use reply::{Code, Rejection, Reply};
pub use time::At;
