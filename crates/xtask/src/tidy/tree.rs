//! What the rules look at: the files git knows or would take, and what cargo says of the crates.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::cargo::{cargo, stdout_of};
use crate::error::{Error, Result};

/// The tree as read once, before any rule.
pub(crate) struct Tree {
    /// In the order of their paths.
    pub(crate) files: Vec<File>,
    /// The workspace's own packages.
    pub(crate) packages: Vec<Package>,
}

/// One file; what is not UTF-8 has no text.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

/// A package as `cargo metadata` describes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    /// The crate's name.
    pub(crate) name: String,
    /// Where its manifest is; absolute as cargo prints it, relative to the root in a [`Tree`].
    pub(crate) manifest_path: String,
    /// What it depends on, for tests and builds too.
    pub(crate) dependencies: Vec<Dependency>,
    /// Its own features, and what each turns on.
    #[serde(default)]
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

/// One line of a package's dependencies.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The crate's own name, whatever it is renamed to.
    pub(crate) name: String,
    /// `dev`, `build`, or none for the ordinary kind.
    pub(crate) kind: Option<String>,
    /// Set for crates of this workspace.
    pub(crate) path: Option<String>,
    /// What of it is turned on.
    #[serde(default)]
    pub(crate) features: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is there for tests only.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("crates/devmesh-testkit/")
            || self.path.ends_with("/tests.rs")
            || self.path.split('/').any(|part| part == "tests")
    }
}

impl Tree {
    /// Reads the working tree below the root.
    pub(crate) fn read(root: &Path) -> Result<Tree> {
        Ok(Tree { files: files(root)?, packages: packages(root)? })
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

fn files(root: &Path) -> Result<Vec<File>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let listed = stdout_of(git)?;
    let mut files = Vec::new();
    for path in String::from_utf8_lossy(&listed).split_terminator('\0') {
        let full = root.join(path);
        let bytes = match fs::read(&full) {
            Ok(bytes) => bytes,
            // Deleted but not yet committed so, or a link to a folder.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => continue,
            Err(source) => return Err(Error::Read { path: full, source }),
        };
        let text = String::from_utf8(bytes).unwrap_or_default();
        files.push(File { path: path.to_owned(), text });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Ok(files)
}

fn packages(root: &Path) -> Result<Vec<Package>> {
    let described = stdout_of(cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Metadata = serde_json::from_slice(&described).map_err(Error::Metadata)?;
    let mut packages = metadata.packages;
    for package in &mut packages {
        if let Ok(relative) = Path::new(&package.manifest_path).strip_prefix(root) {
            package.manifest_path = relative.to_string_lossy().into_owned();
        }
    }
    Ok(packages)
}
