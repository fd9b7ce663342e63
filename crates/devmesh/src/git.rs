//! Git, as a program: the repository that a command stands in.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use devmesh_protocol::RepoId;
use devmesh_protocol::id::plain;

use crate::error::{Error, Result};

/// A checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repo {
    /// The checkout's top folder, without symbolic links.
    pub(crate) root: PathBuf,
    /// The folder that all its worktrees share.
    pub(crate) common: PathBuf,
    /// Where the command stands, from the top folder; empty there.
    pub(crate) prefix: String,
}

impl Repo {
    /// The repository around `from`; none where there is none.
    pub(crate) fn around(from: &Path) -> Result<Option<Repo>> {
        let args = ["rev-parse", "--show-toplevel", "--git-common-dir", "--show-prefix"];
        let output = git(from, args)?;
        if !output.status.success() {
            return without_checkout(from, &output).map(|()| None);
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.lines();
        let (root, common) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let real = |path: &Path| {
            path.canonicalize().map_err(|error| {
                Error::failed(format!("look at {}", path.display())).because(error)
            })
        };
        Ok(Some(Repo {
            root: real(Path::new(root))?,
            common: real(&from.join(common))?,
            prefix: lines.next().unwrap_or_default().to_owned(),
        }))
    }

    /// As [`Repo::around`] the working directory; an error where there is none, or nothing in it.
    pub(crate) fn here() -> Result<Repo> {
        let from = here()?;
        let repo = Repo::around(&from)?.ok_or_else(|| {
            Error::usage(format!("{} is in no git repository", from.display()))
                .hint("go into one, or make one with `git init`")
        })?;
        if !repo.succeeds(["rev-parse", "--quiet", "--verify", "HEAD^{commit}"])? {
            return Err(Error::usage(format!("{} has no commit yet", repo.root.display()))
                .hint("tasks start from a commit: `git add -A && git commit -m start`"));
        }
        Ok(repo)
    }

    /// The branch that is checked out; an error says why there is none, and what else would do.
    pub(crate) fn own_branch(&self, or: &str) -> Result<String> {
        if let Some(branch) = self.branch()? {
            return Ok(branch);
        }
        let root = self.root.display();
        Err(match self.unfinished()? {
            Some((what, end)) => Error::usage(format!("{root} is in the middle of a {what}"))
                .hint(format!("finish it first: {end}{or}")),
            None => Error::usage(format!("{root} has no branch checked out"))
                .hint(format!("check one out: git switch main{or}")),
        })
    }

    /// What git is in the middle of in this checkout, and the commands that end it.
    fn unfinished(&self) -> Result<Option<(&'static str, &'static str)>> {
        const STATES: [(&str, &str, &str); 4] = [
            ("rebase-merge", "rebase", "git rebase --continue, or git rebase --abort"),
            ("rebase-apply", "rebase", "git rebase --continue, or git rebase --abort"),
            ("BISECT_LOG", "bisection", "git bisect reset"),
            ("MERGE_HEAD", "merge", "git merge --continue, or git merge --abort"),
        ];
        for (file, what, end) in STATES {
            let path = self.read(["rev-parse", "--git-path", file])?;
            if self.root.join(path).exists() {
                return Ok(Some((what, end)));
            }
        }
        Ok(None)
    }

    /// The branch that is checked out; none on a detached head.
    pub(crate) fn branch(&self) -> Result<Option<String>> {
        let output = git(&self.root, ["symbolic-ref", "--quiet", "--short", "HEAD"])?;
        let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((output.status.success() && !name.is_empty()).then_some(name))
    }

    /// What a git command prints, trimmed.
    pub(crate) fn read<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let output = git(&self.root, &args)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        }
        let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::failed(format!("run git {}", words.join(" "))).because(said))
    }

    /// Whether a git command succeeds.
    pub(crate) fn succeeds<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<bool> {
        Ok(git(&self.root, args)?.status.success())
    }

    /// The name that this repository has in a mesh unless it is told another: its folder's, in the
    /// alphabet of ids.
    pub(crate) fn default_name(&self) -> RepoId {
        let folder = self.main_root();
        let folder = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        RepoId::new(&plain(&folder))
            .unwrap_or_else(|_| RepoId::new("repo").expect("a plain word is a name"))
    }

    /// The checkout that the repository was made with, also from one of its other worktrees.
    pub(crate) fn main_root(&self) -> PathBuf {
        match self.common.parent() {
            Some(parent) if self.common.file_name() == Some(OsStr::new(".git")) => {
                parent.to_owned()
            }
            _ => self.root.clone(),
        }
    }
}

/// Why there is no checkout: none where there is no repository either, an error where there is one
/// that cannot be worked in.
fn without_checkout(from: &Path, output: &Output) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if said.contains("not a git repository") {
        return Ok(());
    }
    let asks = git(from, ["rev-parse", "--is-bare-repository", "--is-inside-git-dir"])?;
    let answer = String::from_utf8_lossy(&asks.stdout).into_owned();
    let at = from.display();
    Err(match answer.lines().collect::<Vec<_>>()[..] {
        ["true", _] => Error::usage(format!("{at} is a bare repository: nothing is checked out"))
            .hint("go into a checkout, or make one: git worktree add ../work"),
        [_, "true"] => Error::usage(format!("{at} is inside a .git folder"))
            .hint("go into the checkout beside it"),
        _ => Error::usage(format!("git cannot use the repository at {at}"))
            .because(said.lines().next().unwrap_or_default().to_owned())
            .hint("`git status` says more there"),
    })
}

/// The working directory.
pub(crate) fn here() -> Result<PathBuf> {
    std::env::current_dir().map_err(|error| Error::failed("see where this is").because(error))
}

fn git<S: AsRef<OsStr>>(at: &Path, args: impl IntoIterator<Item = S>) -> Result<Output> {
    Command::new("git")
        .args(args)
        .current_dir(at)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::failed("run git").because(error).hint("install git, 2.30 or newer"))
}

#[cfg(test)]
mod tests;
