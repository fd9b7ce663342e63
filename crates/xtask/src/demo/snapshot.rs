//! What must not change: a picture of files by their digests, compared later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use devmesh_protocol::Digest;

use super::folder::Folder;
use crate::error::{Error, Result};

/// Files, links and answers by name, each as a digest or a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    entries: BTreeMap<String, String>,
}

impl Snapshot {
    /// The user's checkout, git's own files about it, and the home of the CLIs.
    pub(crate) async fn of_repository(folder: &Folder) -> Result<Self> {
        let mut shot = Self::default();
        let repo = folder.repo();
        for file in folder.git(&["ls-files"]).await?.lines() {
            shot.file(file, &repo.join(file))?;
        }
        shot.file(".git/config", &repo.join(".git/config"))?;
        shot.file(".git/HEAD", &repo.join(".git/HEAD"))?;
        shot.folder(".git/hooks", &repo.join(".git/hooks"))?;
        shot.folder("home", &folder.home())?;
        shot.text("status", folder.git(&["status", "--porcelain"]).await?);
        shot.text("HEAD", folder.git(&["rev-parse", "HEAD"]).await?);
        let format = "--format=%(refname) %(objectname)";
        for line in folder.git(&["for-each-ref", format]).await?.lines() {
            if let Some((name, commit)) = line.split_once(' ')
                && !is_ours(name)
            {
                shot.text(name, commit.to_owned());
            }
        }
        // The one line that `up` may add keeps its link out of commits.
        let exclude = std::fs::read_to_string(repo.join(".git/info/exclude")).unwrap_or_default();
        let lines: Vec<&str> = exclude.lines().filter(|line| *line != "/.devmesh").collect();
        shot.text(".git/info/exclude", lines.join("\n"));
        Ok(shot)
    }

    /// The places outside the folder that devmesh writes to where nobody tells it otherwise.
    pub(crate) fn outside() -> Result<Self> {
        let mut shot = Self::default();
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let of = |name: &str, default: &str| {
            std::env::var_os(name).map_or_else(|| home.join(default), PathBuf::from).join("devmesh")
        };
        for place in [
            of("XDG_STATE_HOME", ".local/state"),
            of("XDG_CONFIG_HOME", ".config"),
            of("XDG_DATA_HOME", ".local/share"),
            home.join(".devmesh"),
        ] {
            shot.folder(&place.display().to_string(), &place)?;
        }
        Ok(shot)
    }

    /// What differs, by name.
    pub(crate) fn differs(&self, later: &Self) -> Vec<String> {
        let names = self.entries.keys().chain(later.entries.keys());
        let mut changed: Vec<String> = names
            .filter(|name| self.entries.get(*name) != later.entries.get(*name))
            .cloned()
            .collect();
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// How many things are in the picture.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn text(&mut self, name: &str, text: String) {
        self.entries.insert(name.to_owned(), text);
    }

    fn file(&mut self, name: &str, path: &Path) -> Result<()> {
        let bytes =
            std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        self.text(name, Digest::of(&bytes).to_string());
        Ok(())
    }

    /// Every file below a folder, if it is there; links as what they point to.
    fn folder(&mut self, name: &str, path: &Path) -> Result<()> {
        let Ok(entries) = std::fs::read_dir(path) else { return Ok(()) };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.folder(&name, &path)?,
                Ok(kind) if kind.is_file() => self.file(&name, &path)?,
                Ok(_) | Err(_) => {
                    let to = std::fs::read_link(&path).unwrap_or_default();
                    self.text(&name, to.display().to_string());
                }
            }
        }
        Ok(())
    }
}

/// Refs that devmesh may make: its landed branches, and what it keeps out of sight.
fn is_ours(name: &str) -> bool {
    name.starts_with("refs/heads/devmesh/") || name.starts_with("refs/devmesh/")
}
