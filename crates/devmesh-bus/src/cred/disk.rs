//! Secrets on disk: folders 0700, files 0600, written whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use super::Error;

/// Makes a folder that only its owner can open, and closes one that others could.
pub(crate) fn private_dir(dir: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(0o700)))
        .map_err(Error::io(format!("make {} private", dir.display())))
}

/// Writes beside the file and renames: a crash leaves the old file or the new one.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(Path::new("."));
    // A temporary file is made 0600.
    tempfile::Builder::new()
        .prefix(".write-")
        .tempfile_in(dir)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|e| e.error)?;
            // The name is on disk when its folder is.
            File::open(dir)?.sync_all()
        })
        .map_err(Error::io(format!("write {}", path.display())))
}

/// The file's text, or none where there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(format!("read {}", path.display()))(e)),
    }
}

/// Holds the folder's lock until the returned file closes.
pub(crate) fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(Error::io(format!("lock {}", path.display())))
}
