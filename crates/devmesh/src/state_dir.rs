//! Where a mesh keeps its state on this machine: outside every repository, so that cleaning,
//! packing or building one never touches log, credentials or worktrees. A repository has only a
//! link to it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use devmesh_protocol::MeshId;

use crate::error::{Error, Result};
use crate::git::Repo;

mod run_file;
#[cfg(test)]
mod tests;

pub(crate) use run_file::{GivenUp, Ports, RunFile, SUPERVISOR};

/// The link in a repository.
pub(crate) const LINK: &str = ".devmesh";
/// The line that keeps the link out of people's commits.
const EXCLUDE: &str = "/.devmesh";
/// The file that says whose state a folder is.
const MARK: &str = "mesh";

/// The state of one mesh on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateDir {
    /// Which mesh.
    pub(crate) mesh: MeshId,
    /// The folder.
    pub(crate) path: PathBuf,
}

impl StateDir {
    /// The folder that is meant: the one that was named, else the one that `repo` is linked to,
    /// else that of the mesh `default`.
    pub(crate) fn resolve(
        named: Option<&Path>,
        mesh: Option<&MeshId>,
        repo: Option<&Repo>,
    ) -> Result<StateDir> {
        let fallback = || MeshId::new("default").expect("a plain word names a mesh");
        if let Some(path) = named {
            let path = std::path::absolute(path)
                .map_err(|error| Error::usage("the state folder has no path").because(error))?;
            let found = marked(&path);
            let mesh = mesh.cloned().or_else(|| found.clone()).unwrap_or_else(fallback);
            return StateDir { mesh, path }.of_its_mesh(found);
        }
        let linked = repo.and_then(|repo| fs::read_link(repo.root.join(LINK)).ok());
        if let (None, Some(path)) = (mesh, linked)
            && let Some(mesh) = marked(&path)
        {
            return Ok(StateDir { mesh, path });
        }
        let mesh = mesh.cloned().unwrap_or_else(fallback);
        let path = root()?.join(mesh.as_str());
        let found = marked(&path);
        StateDir { mesh, path }.of_its_mesh(found)
    }

    fn of_its_mesh(self, found: Option<MeshId>) -> Result<StateDir> {
        match found {
            Some(other) if other != self.mesh => Err(Error::usage(format!(
                "{} is the state of mesh {other}, not of {}",
                self.path.display(),
                self.mesh
            ))
            .hint("choose another folder with --state-dir, or leave --mesh out")),
            Some(_) | None => Ok(self),
        }
    }

    /// Makes the folder, for its owner alone, and says whose it is.
    pub(crate) fn create(&self) -> Result<()> {
        for dir in [self.path.clone(), self.logs()] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)
                .and_then(|()| fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)))
                .map_err(|error| {
                    Error::failed(format!("make the state folder {}", dir.display()))
                        .because(error)
                        .hint("choose another with --state-dir or DEVMESH_STATE_DIR")
                })?;
        }
        write_whole(&self.path.join(MARK), &format!("{}\n", self.mesh))
    }

    /// Links the repository to this folder and keeps the link out of commits. Whether anything had
    /// to be done.
    pub(crate) fn link(&self, repo: &Repo) -> Result<bool> {
        let link = repo.root.join(LINK);
        let failed = |error| Error::failed(format!("link {}", link.display())).because(error);
        let made = match fs::symlink_metadata(&link) {
            Ok(there) if !there.file_type().is_symlink() => {
                return Err(Error::usage(format!("{} is in the way", link.display())).hint(
                    "devmesh keeps a link of that name there; move the file or folder away",
                ));
            }
            Ok(_) if fs::read_link(&link).is_ok_and(|to| to == self.path) => false,
            Ok(_) => {
                fs::remove_file(&link).and_then(|()| symlink(&self.path, &link)).map_err(failed)?;
                true
            }
            Err(_) => {
                symlink(&self.path, &link).map_err(failed)?;
                true
            }
        };
        Ok(exclude(repo)? || made)
    }

    /// Whether a repository was linked to this folder.
    pub(crate) fn owns(&self, root: &Path) -> bool {
        fs::read_link(root.join(LINK)).is_ok_and(|to| to == self.path)
    }

    /// The logs of its processes.
    pub(crate) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The log of one process.
    pub(crate) fn log_of(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// The credential of an actor, in the first of its accounts.
    pub(crate) fn creds_of(&self, name: &str) -> PathBuf {
        self.path.join("creds").join(format!("{name}.creds"))
    }

    /// Whether this machine holds the mesh's keys, and so can mint credentials.
    pub(crate) fn has_keys(&self) -> bool {
        self.path.join("keys").join("operator.nk").is_file()
    }
}

/// Writes beside the file and renames: a reader sees the old text or the new one, and only the
/// owner sees any.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::File::create(&beside).and_then(|mut file| {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        fs::rename(&beside, path)
    });
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        Error::failed(format!("write {}", path.display()))
            .because(error)
            .hint("it must be a file that is yours to write, on a disk with room")
    })
}

/// Where the states of all meshes lie.
fn root() -> Result<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let root = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local").join("state")));
    root.map(|root| root.join("devmesh")).ok_or_else(|| {
        Error::usage("nothing says where to keep the mesh's state")
            .hint("set HOME, XDG_STATE_HOME or DEVMESH_STATE_DIR to an absolute path")
    })
}

/// The mesh whose state a folder is.
fn marked(path: &Path) -> Option<MeshId> {
    MeshId::new(fs::read_to_string(path.join(MARK)).ok()?.trim()).ok()
}

fn exclude(repo: &Repo) -> Result<bool> {
    let path = repo.common.join("info").join("exclude");
    let text = fs::read_to_string(&path).unwrap_or_default();
    if text.lines().any(|line| line.trim() == EXCLUDE) {
        return Ok(false);
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let failed = |error| Error::failed(format!("write {}", path.display())).because(error);
    fs::create_dir_all(repo.common.join("info")).map_err(failed)?;
    fs::write(&path, format!("{text}{gap}{EXCLUDE}\n")).map_err(failed)?;
    Ok(true)
}
