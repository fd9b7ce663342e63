//! One turn of a branch's merge queue on a local repository: from saved work to one commit on
//! the target branch, moved atomically and never beneath a checkout.
//!
//! The turn itself (who may land now) is decided elsewhere; its token is what stands in the turn
//! ref. A turn is [`prepare`], then the caller's gates (leases, verification), then [`publish`],
//! repeated when somebody moved the branch in between.

mod aside;
mod commit;
mod obstacle;
mod publish;
mod refs;
mod turn;

#[cfg(test)]
mod tests;

pub use aside::{make_branch, write_patch};
pub use commit::{Conflict, Person};
pub use publish::Published;
pub use refs::{Found, Seen};
pub use turn::{Gates, Landing, rebase, settle, take, unresolved};

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use devmesh_protocol::RepoPath;
use devmesh_protocol::command::task::{Change, FileEdit};

use crate::error::{Error, Result};
use crate::git::{Git, is_ancestor, resolve, tree_of};
use crate::origin::Origin;

/// How often a turn starts over because the branch moved under it.
pub const ROUNDS_MAX: u32 = 5;
/// A merge of a big tree on a slow disk ends within this.
const LIMIT: Duration = Duration::from_secs(300);

/// A turn of the merge queue.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The repository.
    pub repo: PathBuf,
    /// The branch whose gains are merged in first, short name.
    pub base: String,
    /// The branch to land on, short name; `devmesh/landed/<base>` unless configured.
    pub target: String,
    /// The task.
    pub task: String,
    /// The attempt's number within the task.
    pub attempt: u32,
    /// The attempt's token; rises with every turn of the branch.
    pub token: u64,
    /// The commit's subject.
    pub title: String,
    /// The commit's text.
    pub body: String,
    /// The commit's author.
    pub author: Person,
    /// The trailer that names the tool.
    pub co_author: Option<String>,
    /// The commit whose tree is the work.
    pub work: String,
    /// The commit that the work started from.
    pub work_base: String,
    /// What the log knows of the target.
    pub known: Known,
    /// Where the branches really are, where `repo` is but their mirror.
    pub origin: Option<Origin>,
}

/// What the log knows of a branch.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its last head that was recorded.
    pub head: Option<String>,
    /// Attempts recorded as landed: `(task, attempt)`.
    pub landed: BTreeSet<(String, u32)>,
    /// Where no head is known: commits older than this (seconds UTC) are of another mesh, whose
    /// tasks had the same numbers.
    pub since_s: u64,
}

/// A commit ready to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The target's head that it was made for; none where the branch does not exist yet.
    pub head: Option<String>,
    /// The commit below it: the head, or the merge of what the base gained.
    pub parent: String,
    /// The commit.
    pub commit: String,
    /// Its tree: what has to be verified.
    pub tree: String,
    /// Every path that it changes: what has to be leased.
    pub changed: Vec<String>,
    /// Who else moved the branch since the log last looked.
    pub seen: Seen,
    /// Why it is not signed although the user signs commits.
    pub unsigned: Option<String>,
    /// The object that the turn ref names while this turn lasts.
    turn_ref: String,
}

/// How the preparation of a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preparation {
    /// A commit is ready.
    Ready(Box<Prepared>),
    /// This attempt has landed already: its process died between landing and telling.
    Landed {
        /// The commit.
        commit: String,
        /// Its tree.
        tree: String,
        /// Who else moved the branch.
        seen: Seen,
    },
    /// The work changes nothing on top of the target.
    Nothing {
        /// Who else moved the branch.
        seen: Seen,
    },
    /// The work does not fit what has landed meanwhile.
    Conflict(Conflict),
    /// A later turn has begun; this one lands nothing.
    Stale {
        /// The later turn's token.
        token: u64,
    },
    /// A person has to look.
    Blocked {
        /// Why, for people.
        reason: String,
        /// The files it is about.
        files: Vec<String>,
    },
}

/// Steps 1 and 2 of a turn: takes the turn ref, looks who moved the branch, makes the commit.
/// Moves no branch and touches no checkout.
///
/// # Errors
/// When git refuses for another reason than those of [`Preparation`].
pub async fn prepare(turn: &Turn) -> Result<Preparation> {
    let git = Git::at(&turn.repo).within(LIMIT);
    if let Err(error) = obstacle::check_branch(&git, &turn.target).await {
        let Error::RefInTheWay { reason } = error else { return Err(error) };
        return Ok(Preparation::Blocked { reason, files: Vec::new() });
    }
    if let Some(origin) = &turn.origin {
        origin.fetch(&git).await?;
    }
    let turn_ref = match refs::take_turn(&git, turn).await? {
        refs::Taken::Ours(object) => object,
        refs::Taken::Later(token) => return Ok(Preparation::Stale { token }),
        refs::Taken::Locked(reason) => {
            return Ok(Preparation::Blocked { reason, files: Vec::new() });
        }
    };
    let base = resolve(&git, &format!("refs/heads/{}^{{commit}}", turn.base)).await?;
    let Some(base) = base else {
        let reason = format!("the base branch {} is not there", turn.base);
        return Ok(Preparation::Blocked { reason, files: Vec::new() });
    };
    let head = resolve(&git, &format!("refs/heads/{}^{{commit}}", turn.target)).await?;
    let seen = match &head {
        Some(head) => refs::look(&git, turn, head, &base).await?,
        None => Seen::default(),
    };
    if let Some(own) = seen.found.iter().find(|found| found.is(&turn.task, turn.attempt)) {
        let (commit, tree) = (own.commit.clone(), tree_of(&git, &own.commit).await?);
        return Ok(Preparation::Landed { commit, tree, seen });
    }
    let branches = Branches { base: &turn.base, target: &turn.target, author: &turn.author };
    if seen.found.iter().any(|found| found.task == turn.task) {
        // Another attempt of the task has landed it: that one counts.
        return Ok(Preparation::Nothing { seen });
    }
    let parent = match onto(&git, &branches, head.as_deref(), &base).await? {
        Ok(parent) => parent,
        Err(files) => {
            let reason = format!("{} conflicts with what has landed", turn.base);
            return Ok(Preparation::Blocked { reason, files });
        }
    };
    let tree = match commit::merged_tree(&git, turn, &parent).await? {
        Ok(tree) => tree,
        Err(conflict) => return Ok(Preparation::Conflict(conflict)),
    };
    if tree == tree_of(&git, &parent).await? {
        return Ok(Preparation::Nothing { seen });
    }
    let changed = changed_paths(&git, &parent, &tree).await?;
    let (commit, unsigned) = commit::squash(&git, turn, &parent, &tree).await?;
    let prepared = Prepared { head, parent, commit, tree, changed, seen, unsigned, turn_ref };
    Ok(Preparation::Ready(Box::new(prepared)))
}

/// Where work on a task stands best: on what a landing would land on now, the base's gains
/// included. None where the base does not exist, or conflicts with what has landed: then on the
/// target, and a person has to look before anything lands.
///
/// # Errors
/// When git refuses.
pub async fn standing_point(
    repo: &Git,
    base: &str,
    target: &str,
    author: &Person,
) -> Result<Option<String>> {
    let Some(tip) = resolve(repo, &format!("refs/heads/{base}^{{commit}}")).await? else {
        return Ok(None);
    };
    let head = resolve(repo, &format!("refs/heads/{target}^{{commit}}")).await?;
    let branches = Branches { base, target, author };
    match onto(repo, &branches, head.as_deref(), &tip).await? {
        Ok(commit) => Ok(Some(commit)),
        Err(_) => Ok(head),
    }
}

/// Two branches that meet, and who makes them.
struct Branches<'a> {
    base: &'a str,
    target: &'a str,
    author: &'a Person,
}

/// Step 3 of a turn: the target moves to the prepared commit, or nothing changes.
///
/// # Errors
/// When git refuses for another reason than those of [`Published`].
pub async fn publish(turn: &Turn, prepared: &Prepared) -> Result<Published> {
    publish::publish(&Git::at(&turn.repo).within(LIMIT), turn, prepared).await
}

/// Every path that differs between two trees; a rename is two of them. One that is not UTF-8 is
/// given quoted, see [`Git::fields`].
///
/// # Errors
/// When git refuses.
pub async fn changed_paths(git: &Git, from: &str, to: &str) -> Result<Vec<String>> {
    let changed = diff_raw(git, from, to).await?;
    Ok(changed.into_iter().map(|(_, path)| path).collect())
}

/// What differs between two trees, file by file, with the digests of what was and is there.
///
/// # Errors
/// When git refuses.
pub async fn change(git: &Git, from: &str, to: &str) -> Result<Change> {
    let (mut edits, mut unnamed) = (Vec::new(), Vec::new());
    for (meta, path) in diff_raw(git, from, to).await? {
        match edit(&meta, &path) {
            Some(edit) => edits.push(edit),
            None => unnamed.push(format!("{meta} {path}")),
        }
    }
    Ok(Change::of(edits, &unnamed))
}

/// `:100644 100755 <was> <is> M`: modes and objects; one of zeros is none.
fn edit(meta: &str, path: &str) -> Option<FileEdit> {
    let mut words = meta.trim_start_matches(':').split(' ').skip(1);
    let (mode, base, now) = (words.next()?, words.next()?, words.next()?);
    let object = |name: &str| (!name.bytes().all(|c| c == b'0')).then(|| name.to_owned());
    let mode = object(mode).filter(|mode| mode != "100644");
    let path = RepoPath::new(path).ok().filter(|it| it.key() == path)?;
    Some(FileEdit { path, base: object(base), now: object(now), mode })
}

/// The raw lines of a diff, each with its path.
async fn diff_raw(git: &Git, from: &str, to: &str) -> Result<Vec<(String, String)>> {
    let args =
        ["diff", "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff", "-z", from, to, "--"];
    let fields = git.fields(&args).await?;
    let mut changed = Vec::new();
    for pair in fields.chunks(2) {
        match pair {
            [meta, path] if meta.starts_with(':') => changed.push((meta.clone(), path.clone())),
            _ => {
                let answer = pair.join(" ").chars().take(200).collect();
                return Err(Error::GitAnswer { command: "diff --raw".into(), answer });
            }
        }
    }
    Ok(changed)
}

/// The commit to land on: the target's head with what the base gained merged in, so that a
/// person's branch can fast-forward to it. The files, where the two conflict.
async fn onto(
    git: &Git,
    branches: &Branches<'_>,
    head: Option<&str>,
    base: &str,
) -> Result<Result<String, Vec<String>>> {
    let Some(head) = head else { return Ok(Ok(base.to_owned())) };
    if branches.base == branches.target || is_ancestor(git, base, head).await? {
        return Ok(Ok(head.to_owned()));
    }
    if is_ancestor(git, head, base).await? {
        return Ok(Ok(base.to_owned()));
    }
    commit::merge_base_in(git, branches, head, base).await
}
