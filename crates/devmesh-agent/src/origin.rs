//! Repositories that lie on another host: a bare mirror here, and moves that the other end makes
//! or refuses as a whole.
//!
//! There is one place where a repository's branches are. On that host an agent moves them where
//! they stand; on every other host it works in a mirror and pushes. What is compared is the same
//! on both ways, the target's head and the turn ref, so that agents of all hosts land in one queue.

use std::path::{Path, PathBuf};
use std::time::Duration;

use devmesh_protocol::{RepoId, TaskId};

use crate::error::{Doing, Result};
use crate::git::{Git, refused};
use crate::save::WORK_REFS;

#[cfg(test)]
mod tests;

/// A first copy of a big repository over a slow wire ends within this.
const LIMIT: Duration = Duration::from_secs(600);
/// Fetches of one mirror: another agent of this host may hold its locks.
const TRIES_MAX: u32 = 5;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(200);
/// What a mirror holds. Saves and turns too: the next attempt may be this host's.
const REFSPECS: [&str; 4] = [
    "+refs/heads/*:refs/heads/*",
    "+refs/tags/*:refs/tags/*",
    "+refs/devmesh/work/*:refs/devmesh/work/*",
    "+refs/devmesh/turn/*:refs/devmesh/turn/*",
];

/// Where the mesh's repositories are, seen from this host.
#[derive(Debug, Clone)]
pub struct Origin {
    address: String,
    mirrors: PathBuf,
}

/// A ref that is to move.
#[derive(Debug, Clone, Copy)]
pub struct Move<'a> {
    /// Its whole name.
    pub name: &'a str,
    /// What it must name before; none: it must not be there.
    pub old: Option<&'a str>,
    /// What it names afterwards.
    pub new: &'a str,
}

/// How a push went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// Every ref has moved.
    Done,
    /// None has.
    Refused {
        /// What the other end said.
        said: String,
    },
}

impl Origin {
    /// The repositories at `address` (as git says it, `{repo}` standing for one's name), mirrored
    /// below `mirrors`.
    pub fn new(address: String, mirrors: PathBuf) -> Self {
        Self { address, mirrors }
    }

    /// Where one repository is.
    pub fn address(&self, repo: &RepoId) -> String {
        self.address.replace("{repo}", repo.as_str())
    }

    /// This host's mirror of a repository, as the repository stands now.
    ///
    /// # Errors
    /// When the other host is not reached or git refuses.
    pub async fn mirror(&self, repo: &RepoId) -> Result<PathBuf> {
        let path = self.mirrors.join(format!("{repo}.git"));
        if !path.join("HEAD").is_file() {
            let doing = || format!("create {}", path.display());
            tokio::fs::create_dir_all(&path).await.doing(doing)?;
            // Made twice at once it is the same.
            Git::at(&path).run(&["init", "--quiet", "--bare", "."]).await?;
        }
        fetch(&Git::at(&path), &self.address(repo)).await?;
        Ok(path)
    }

    /// Removes the saves of a task, there too.
    ///
    /// # Errors
    /// When the other host is not reached or git refuses.
    pub async fn forget(&self, git: &Git, repo: &RepoId, task: TaskId) -> Result<()> {
        let address = self.address(repo);
        let git = reaching(git);
        let pattern = format!("{WORK_REFS}/{task}/*");
        let listed = git.run(&["ls-remote", "--refs", &address, &pattern]).await?;
        let names = listed.lines().filter_map(|line| line.split_once('\t'));
        let gone: Vec<String> = names.map(|(_, name)| format!(":{name}")).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let mut args = vec!["push".to_owned(), "--quiet".to_owned(), address];
        args.extend(gone);
        git.run(&args).await.map(|_| ())
    }
}

/// Brings a mirror up to date.
///
/// # Errors
/// When the other host is not reached or git refuses.
pub async fn fetch(git: &Git, address: &str) -> Result<()> {
    let mut args = vec!["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", address];
    args.extend(REFSPECS);
    let git = reaching(git);
    let mut tries = 1;
    loop {
        let output = git.try_run(&args, &[]).await?;
        if output.code == 0 {
            return Ok(());
        }
        if tries >= TRIES_MAX || !output.stderr.contains("cannot lock ref") {
            return Err(refused(&args, &output));
        }
        tries += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Moves refs where they are, all or none, and then in the mirror.
///
/// # Errors
/// When the other host is not reached: what became of the move is not known then, and the next
/// look finds out.
pub async fn push(git: &Git, address: &str, moves: &[Move<'_>]) -> Result<Pushed> {
    let lease =
        |one: &Move<'_>| format!("--force-with-lease={}:{}", one.name, one.old.unwrap_or_default());
    let mut args: Vec<String> =
        ["push", "--quiet", "--porcelain", "--atomic"].map(Into::into).into();
    args.extend(moves.iter().map(lease));
    args.push(address.to_owned());
    args.extend(moves.iter().map(|one| format!("{}:{}", one.new, one.name)));
    let output = reaching(git).try_run(&args, &[]).await?;
    if output.code != 0 {
        let said = output.text();
        let told = said.lines().find(|line| line.starts_with('!')).map(str::to_owned);
        return match told {
            Some(line) => Ok(Pushed::Refused { said: line.replace('\t', " ") }),
            None => Err(refused(&args, &output)),
        };
    }
    for one in moves {
        git.run(&["update-ref", "--no-deref", one.name, one.new]).await?;
    }
    Ok(Pushed::Done)
}

/// Sends a ref that only this host moves.
///
/// # Errors
/// When the other host is not reached or git refuses.
pub async fn send(git: &Git, address: &str, name: &str) -> Result<()> {
    let refspec = format!("+{name}:{name}");
    reaching(git).run(&["push", "--quiet", address, &refspec]).await.map(|_| ())
}

/// Git that may run the command in such an address, which nothing but devmesh's own start says.
fn reaching(git: &Git) -> Git {
    git.clone().within(LIMIT).with_env("GIT_ALLOW_PROTOCOL", "ext:file")
}

/// The address of repositories that `command` reaches: it is run with git's service and the
/// repository's name behind its own words.
#[must_use]
pub fn through(command: &[&Path]) -> String {
    // Git splits at spaces and knows `% ` and `%%`.
    let quoted = |word: &Path| word.to_string_lossy().replace('%', "%%").replace(' ', "% ");
    let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
    format!("ext::{} %S {{repo}}", words.join(" "))
}
