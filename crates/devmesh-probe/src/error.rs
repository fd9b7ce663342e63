//! What can go wrong for a probe: its wire and its host.

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus.
    #[error("report the host's hardware")]
    Bus(#[from] devmesh_bus::Error),
    /// The operating system.
    #[error("read the host's hardware")]
    Host(#[from] sysinfo::Error),
}

/// The result of a probe's operation.
pub type Result<T> = std::result::Result<T, Error>;
