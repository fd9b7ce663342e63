//! Ids that this process mints.

use devmesh_protocol::{CommandId, SessionId};
use uuid::Uuid;

/// A new command's id: UUIDv7, so that the coordinator can tell old from new.
pub(crate) fn command() -> CommandId {
    CommandId::new(&Uuid::now_v7().to_string()).expect("a UUID is a command id")
}

/// A new session's id.
pub(crate) fn session() -> SessionId {
    SessionId::new(&Uuid::now_v7().to_string()).expect("a UUID is a session id")
}
