//! Small repositories for tests.

use std::path::{Path, PathBuf};

use crate::builds::Builds;
use crate::git::Git;

/// A repository with one commit on `main`, and room for slots beside it.
pub(crate) struct TestRepo {
    dir: tempfile::TempDir,
}

impl TestRepo {
    pub(crate) fn new() -> Self {
        let repo = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(repo.path()).unwrap();
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo.git(&["config", "user.name", "Ada"]);
        repo.git(&["config", "user.email", "ada@example.org"]);
        repo.write("a.txt", "one\ntwo\nthree\n");
        repo.write(".gitignore", "target/\n.env\n");
        repo.commit("first");
        repo
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub(crate) fn slots(&self) -> PathBuf {
        self.dir.path().join("slots")
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        git_in(&self.path(), args)
    }

    pub(crate) fn git_async(&self) -> Git {
        Git::at(self.path())
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        write_in(&self.path(), name, text);
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", message]);
        self.head("HEAD")
    }

    pub(crate) fn head(&self, rev: &str) -> String {
        self.git(&["rev-parse", rev])
    }
}

/// Places for builds that nobody waits for.
pub(crate) fn builds(dir: &Path) -> Builds {
    Builds::new(dir.join(".builds"), 8, "test".to_owned(), |_| {})
}

/// Runs git for a test; it must succeed.
pub(crate) fn git_in(dir: &Path, args: &[&str]) -> String {
    let output = std::process::Command::new("git")
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

pub(crate) fn write_in(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
