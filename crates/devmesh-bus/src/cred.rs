//! Trust, the NATS way: an operator key and account keys on disk, users minted at any time.
//!
//! [`Trust`] holds the keys of one mesh. The server knows only the operator and the accounts;
//! a credential carries its own signed permissions (`nats/permissions.toml`), so that minting one
//! touches no server, and revoking one is a new token of its account.

mod claims;
pub(crate) mod disk;
mod health;
mod jwt;
mod role;
mod sender;
#[cfg(test)]
mod tests;
mod trust;

use std::path::PathBuf;

pub use devmesh_protocol::command::agent::Role;
pub use role::{
    Account, Permissions, ROLES, Streams, accounts, permissions, role_name, role_named,
};
pub use sender::Sender;
pub use trust::{Minted, Trust, User};

/// What can go wrong with keys and credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name cannot stand in a subject.
    #[error("use the name {name:?}: names match [a-z0-9][a-z0-9_-]{{0,62}}")]
    Name {
        /// The name.
        name: String,
    },
    /// The name belongs to a role of its own.
    #[error(
        "mint {name} as {}: that name is the {name}'s alone; choose another", role_name(*asked)
    )]
    Reserved {
        /// The name.
        name: String,
        /// The role that was asked for.
        asked: Role,
    },
    /// The mesh name cannot stand in a subject.
    #[error("use the mesh name {name:?}: mesh names match [a-z0-9][a-z0-9-]{{0,30}}")]
    MeshName {
        /// The name.
        name: String,
    },
    /// There is no such role.
    #[error("use the role {name:?}: roles are {}", ROLES.map(role_name).join(", "))]
    Role {
        /// What was asked for.
        name: String,
    },
    /// The name already has credentials, of another role.
    #[error(
        "mint {name} as {}: it is a {}; revoke it first or choose another name",
        role_name(*asked), role_name(*has)
    )]
    RoleTaken {
        /// The name.
        name: String,
        /// The role that was asked for.
        asked: Role,
        /// The role it has.
        has: Role,
    },
    /// No credential of this name is in use.
    #[error("revoke {name}: no credential of that name is in use")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The revocation is written down, and the server does not know it yet.
    #[error(
        "tell the server that {name} is revoked; it is recorded and holds from the server's next \
         start, revoke again to have it hold now: {detail}"
    )]
    NotPushed {
        /// The name.
        name: String,
        /// What the server said, or why it was not reached.
        detail: String,
    },
    /// A key cannot be used.
    #[error("use the key {}: {detail}", path.display())]
    Key {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A file holds what it should not.
    #[error("read {}: {detail}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Signing failed.
    #[error("sign a token: {detail}")]
    Sign {
        /// What the signer said.
        detail: String,
    },
    /// A file operation failed.
    #[error("{what}")]
    Io {
        /// The operation.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Whether a reply subject is one that an import made. A message without one is no request of a
/// user's: the server also publishes for itself, where a client told it to (the acknowledgement of
/// an output line whose reply subject was another's command; a pull of one's own mail with such a
/// reply subject), and what it publishes has no reply subject or `$JS.ACK.…`.
#[must_use]
pub fn is_import_reply(reply: &str) -> bool {
    reply.strip_prefix("_R_.").is_some_and(|rest| !rest.is_empty())
}
