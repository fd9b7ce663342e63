//! How far the log was read, kept in the state folder: a log that comes back shorter, or as
//! another one, is noticed even by a process that has just started.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use devmesh_protocol::batch::Chain;

use crate::error::Error;

pub(super) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("head")
}

/// The head that was kept; `None` where none was, or an old process was ended while writing it.
pub(super) fn read(path: &Path) -> Result<Option<Chain>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File { path: path.to_owned(), source }),
    }
}

/// Keeps a head: whole, or the one before it.
pub(super) fn write(path: &Path, chain: &Chain) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let bytes = serde_json::to_vec(chain).expect("four plain fields");
    let fresh = path.with_extension("new");
    fs::write(&fresh, bytes).map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)
}

#[cfg(test)]
mod tests;
