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

/// What the file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// There is none yet.
    Nothing,
    /// This head.
    Head(Chain),
    /// What is no head, and why.
    Damaged(String),
}

/// Reads what was kept.
pub(super) fn read(path: &Path) -> Result<Kept, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)
            .map_or_else(|error| Kept::Damaged(error.to_string()), Kept::Head)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Kept::Nothing),
        Err(source) => Err(Error::File { path: path.to_owned(), source }),
    }
}

/// The head that is known. A damaged file is said and taken for none: the log tells by its own
/// digests whether it is whole, and a mesh must not stay down for a file beside it.
pub(super) fn known(path: &Path) -> Result<Option<Chain>, Error> {
    match read(path)? {
        Kept::Nothing => Ok(None),
        Kept::Head(chain) => Ok(Some(chain)),
        Kept::Damaged(why) => {
            let path = path.display();
            tracing::warn!(%path, why, "damaged; a log that was rolled back is not noticed now");
            Ok(None)
        }
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
