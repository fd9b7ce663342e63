//! Repositories that lie on another host: a bare mirror here, and moves that the other end makes
//! or refuses as a whole.
//!
//! There is one place where a repository's branches are. On that host an agent moves them where
//! they stand; on every other host it works in a mirror and asks for the move. What is compared is
//! the same on all ways, the target's head and the turn ref, so that agents of all hosts land in
//! one queue.
//!
//! A repository of the host that has the mesh is reached by git itself, through the mesh's gate.
//! One that lies on a host that joined has no gate before it: it travels as bundles over the blob
//! stream, see [`crate::keeper`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use devmesh_protocol::RepoId;

use crate::error::{Doing, Result};
use crate::git::{Git, refs, refused};
use crate::keeper;
use crate::save::WORK_REFS;

#[cfg(test)]
mod tests;

/// A first copy of a big repository over a slow wire ends within this.
const LIMIT: Duration = Duration::from_secs(600);
/// Fetches of one mirror: another agent of this host may hold its locks.
const TRIES_MAX: u32 = 5;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(200);
/// Where a mirror keeps the saves as they are at the other end.
const SAVES_THERE: &str = "refs/devmesh/there/work";
/// What a mirror holds. Saves and turns too: the next attempt may be this host's.
const REFSPECS: [&str; 4] = [
    "+refs/heads/*:refs/heads/*",
    "+refs/tags/*:refs/tags/*",
    "+refs/devmesh/work/*:refs/devmesh/there/work/*",
    "+refs/devmesh/turn/*:refs/devmesh/turn/*",
];

/// Where one repository is, seen from a host where it is not.
#[derive(Debug, Clone)]
pub enum Origin {
    /// As git addresses it.
    Git(String),
    /// On a host whose keeper answers for it.
    Kept(Box<keeper::Line>),
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
    /// This host's mirror of the repository, below `mirrors`, as the repository stands now.
    ///
    /// # Errors
    /// When the other host is not reached or git refuses.
    pub async fn mirror(&self, mirrors: &Path, repo: &RepoId) -> Result<PathBuf> {
        let path = mirror_at(mirrors, repo);
        if !path.join("HEAD").is_file() {
            let doing = || format!("create {}", path.display());
            tokio::fs::create_dir_all(&path).await.doing(doing)?;
            // Made twice at once it is the same.
            Git::at(&path).run(&["init", "--quiet", "--bare", "."]).await?;
        }
        self.fetch(&Git::at(&path)).await?;
        Ok(path)
    }

    /// Brings a mirror up to date.
    ///
    /// # Errors
    /// When the other host is not reached or git refuses.
    pub async fn fetch(&self, git: &Git) -> Result<()> {
        let before = saves_there(git).await?;
        match self {
            Self::Git(address) => fetch(git, address).await?,
            Self::Kept(line) => line.fetch(git).await?,
        }
        adopt_saves(git, &before).await
    }

    /// Moves refs where they are, all or none, for the turn of `task`, and then in the mirror.
    ///
    /// # Errors
    /// When the other host is not reached: what became of the move is not known then, and the
    /// next look finds out.
    pub async fn push(&self, git: &Git, task: &str, moves: &[Move<'_>]) -> Result<Pushed> {
        let pushed = match self {
            Self::Git(address) => push(git, address, moves).await?,
            Self::Kept(line) => line.push(git, task, moves).await?,
        };
        if pushed == Pushed::Done {
            for one in moves {
                git.run(&["update-ref", "--no-deref", one.name, one.new]).await?;
            }
        }
        Ok(pushed)
    }

    /// Sends a commit under a ref that only this host moves. It is named, because the mirror's own
    /// ref may be another agent's fetch behind.
    ///
    /// # Errors
    /// When the other host is not reached or refuses.
    pub async fn send(&self, git: &Git, task: &str, name: &str, commit: &str) -> Result<()> {
        match self {
            Self::Git(address) => {
                let refspec = format!("+{commit}:{name}");
                let args = ["push", "--quiet", address, &refspec];
                reaching(git).run(&args).await.map(|_| ())
            }
            Self::Kept(line) => line.send(git, task, name, commit).await,
        }
    }

    /// Removes the saves of a task, there too.
    ///
    /// # Errors
    /// When the other host is not reached or git refuses.
    pub async fn forget(&self, git: &Git, task: &str) -> Result<()> {
        match self {
            Self::Git(address) => forget(git, address, task).await,
            Self::Kept(line) => line.forget(task).await,
        }
    }
}

async fn forget(git: &Git, address: &str, task: &str) -> Result<()> {
    let git = reaching(git);
    let pattern = format!("{WORK_REFS}/{task}/*");
    let listed = git.run(&["ls-remote", "--refs", address, &pattern]).await?;
    let names = listed.lines().filter_map(|line| line.split_once('\t'));
    let gone: Vec<String> = names.map(|(_, name)| format!(":{name}")).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let mut args = vec!["push".to_owned(), "--quiet".to_owned(), address.to_owned()];
    args.extend(gone);
    git.run(&args).await.map(|_| ())
}

async fn fetch(git: &Git, address: &str) -> Result<()> {
    let mut args = vec!["fetch", "--quiet", "--prune", "--no-tags"];
    args.extend(["--no-write-fetch-head", address]);
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

async fn push(git: &Git, address: &str, moves: &[Move<'_>]) -> Result<Pushed> {
    let lease =
        |one: &Move<'_>| format!("--force-with-lease={}:{}", one.name, one.old.unwrap_or_default());
    let mut args: Vec<String> =
        ["push", "--quiet", "--porcelain", "--atomic"].map(Into::into).into();
    args.extend(moves.iter().map(lease));
    args.push(address.to_owned());
    args.extend(moves.iter().map(|one| format!("{}:{}", one.new, one.name)));
    let output = reaching(git).try_run(&args, &[]).await?;
    if output.code == 0 {
        return Ok(Pushed::Done);
    }
    let said = output.text();
    let told = said.lines().find(|line| line.starts_with('!')).map(str::to_owned);
    match told {
        Some(line) => Ok(Pushed::Refused { said: line.replace('\t', " ") }),
        None => Err(refused(&args, &output)),
    }
}

/// The saves that were at the other end when this mirror last looked.
async fn saves_there(git: &Git) -> Result<BTreeMap<String, String>> {
    let there = refs(git, &[SAVES_THERE]).await?.into_iter();
    Ok(there.map(|(name, commit)| (name.replacen(SAVES_THERE, WORK_REFS, 1), commit)).collect())
}

/// Takes the saves that came with a fetch, and lets those go that were forgotten. What this host
/// has saved and not sent yet stays: it is not there, and may be all that is left of the work.
async fn adopt_saves(git: &Git, before: &BTreeMap<String, String>) -> Result<()> {
    let there = saves_there(git).await?;
    let here = refs(git, &[WORK_REFS]).await?;
    for (name, commit) in &there {
        let old = match here.get(name) {
            Some(own) if own == commit => continue,
            Some(own) if before.get(name).is_none_or(|seen| seen != own) => {
                if saved_at(git, own).await? >= saved_at(git, commit).await? {
                    continue;
                }
                own.clone()
            }
            Some(own) => own.clone(),
            None => "0".repeat(commit.len()),
        };
        // Moved by somebody else since it was read: theirs is the newer.
        git.try_run(&["update-ref", "--no-deref", name, commit, &old], &[]).await?;
    }
    for (name, seen) in before.iter().filter(|(name, _)| !there.contains_key(*name)) {
        if here.get(name) == Some(seen) {
            git.try_run(&["update-ref", "--no-deref", "-d", name, seen], &[]).await?;
        }
    }
    Ok(())
}

/// When a save was made, seconds UTC. One attempt's are made on one host.
pub(crate) async fn saved_at(git: &Git, commit: &str) -> Result<u64> {
    let shown = git.run(&["show", "--no-patch", "--format=%ct", commit]).await?;
    Ok(shown.trim().parse().unwrap_or(0))
}

/// Where a repository's mirror is.
pub(crate) fn mirror_at(mirrors: &Path, repo: &RepoId) -> PathBuf {
    mirrors.join(format!("{repo}.git"))
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
