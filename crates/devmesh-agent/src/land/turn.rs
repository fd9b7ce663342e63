//! A whole turn: prepare, gates, publish, again where the branch moved.

use std::collections::BTreeSet;
use std::time::Duration;

use devmesh_protocol::command::task::Change;

use super::{
    Conflict, Preparation, Prepared, Published, ROUNDS_MAX, Seen, Turn, obstacle, prepare, publish,
    refs,
};
use crate::classify::Classified;
use crate::error::{Doing, Result};
use crate::git::Git;
use crate::verify::{Receipt, Verdict, VerifySpec, verify};

/// Between two rounds: whoever moved the branch or holds its lock is done in less.
const PAUSE: Duration = Duration::from_millis(500);

/// What stands between a prepared commit and the branch.
#[derive(Debug, Clone)]
pub struct Gates {
    /// The tree that has a receipt already.
    pub verified_tree: String,
    /// Paths that the attempt holds a writing lease on.
    pub leased: BTreeSet<String>,
    /// How another tree is verified; its worktree is the attempt's slot.
    pub verify: VerifySpec,
    /// Files copied into the slot, which no cleaning takes away.
    pub copied: Vec<String>,
    /// Until when the leases live for sure, on the clock of [`Gates::clock`].
    pub until_ms: u64,
    /// What this process measures time with.
    pub clock: crate::clock::Clock,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landing {
    /// The work is on the branch.
    Landed {
        /// The commit.
        commit: String,
        /// Its tree.
        tree: String,
        /// The evidence for that tree, where the merge made another one than was verified.
        receipt: Option<Receipt>,
        /// What landed, where it is not what was verified.
        change: Option<Change>,
        /// The head that the branch had before.
        from: Option<String>,
        /// Why it is not signed although the user signs commits.
        unsigned: Option<String>,
    },
    /// The work changes nothing on top of the branch.
    Nothing,
    /// The work does not fit what has landed meanwhile.
    Conflict(Conflict),
    /// It fits, and what comes of it does not pass.
    Broken {
        /// The commit that it was to land on.
        onto: String,
        /// What ran.
        receipt: Receipt,
        /// What kind of failure it is.
        classified: Classified,
        /// The end of the failed step's output.
        tail: String,
    },
    /// Paths that no lease covers.
    NotLeased(Vec<String>),
    /// A later turn has begun.
    TurnLost,
    /// It is not sure any more that the leases live.
    InDoubt,
    /// A person has to look.
    Blocked {
        /// Why.
        reason: String,
        /// The files it is about.
        files: Vec<String>,
    },
}

/// Lands the work, or says why not; the branch moved by others is told with it.
///
/// # Errors
/// When git refuses for a reason that is none of [`Landing`].
pub async fn take(turn: &Turn, gates: &Gates) -> Result<(Landing, Seen)> {
    let mut seen = Seen::default();
    let mut receipts: Vec<Receipt> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let prepared = match prepare(turn).await? {
            Preparation::Ready(prepared) => *prepared,
            Preparation::Landed { commit, tree, seen } => {
                let receipt = proof_of(&commit, &tree, gates).await?;
                let change = change_of(turn, &format!("{commit}^"), &tree, gates).await;
                let (from, unsigned) = (None, None);
                let landed = Landing::Landed { commit, tree, receipt, change, from, unsigned };
                return Ok((landed, seen));
            }
            Preparation::Nothing { seen } => return Ok((Landing::Nothing, seen)),
            Preparation::Conflict(conflict) => return Ok((Landing::Conflict(conflict), seen)),
            Preparation::Stale { .. } => return Ok((Landing::TurnLost, seen)),
            Preparation::Blocked { reason, files } => {
                return Ok((Landing::Blocked { reason, files }, seen));
            }
        };
        seen = prepared.seen.clone();
        if let Some(stop) = gate(&prepared, gates, &mut receipts).await? {
            return Ok((stop, seen));
        }
        match publish(turn, &prepared).await? {
            Published::Done => {
                let change = change_of(turn, &prepared.parent, &prepared.tree, gates).await;
                return Ok((landed(prepared, receipts, change), seen));
            }
            Published::Moved => tokio::time::sleep(PAUSE).await,
            Published::TurnLost => return Ok((Landing::TurnLost, seen)),
            Published::Blocked { reason, files } => {
                return Ok((Landing::Blocked { reason, files }, seen));
            }
        }
    }
    let (branch, turn_ref) = (format!("refs/heads/{}", turn.target), refs::turn_ref(&turn.target));
    let locked = obstacle::stale_lock(&Git::at(&turn.repo), &[&branch, &turn_ref]).await?;
    let reason = locked.unwrap_or_else(|| {
        format!("{} was moved {ROUNDS_MAX} times while landing on it", turn.target)
    });
    Ok((Landing::Blocked { reason, files: Vec::new() }, seen))
}

/// What landed, where the merge made another tree than was verified. It has landed, whether or
/// not this can be told.
async fn change_of(turn: &Turn, parent: &str, tree: &str, gates: &Gates) -> Option<Change> {
    if tree == gates.verified_tree {
        return None;
    }
    match super::change(&Git::at(&turn.repo).within(super::LIMIT), parent, tree).await {
        Ok(change) => Some(change),
        Err(error) => {
            tracing::warn!(error = error.chain(), "what has landed is not told file by file");
            None
        }
    }
}

fn landed(prepared: Prepared, receipts: Vec<Receipt>, change: Option<Change>) -> Landing {
    let receipt = receipts.into_iter().find(|receipt| receipt.tree == prepared.tree);
    Landing::Landed {
        commit: prepared.commit,
        tree: prepared.tree,
        receipt,
        change,
        from: prepared.head,
        unsigned: prepared.unsigned,
    }
}

/// Leases, verification, belief: in the order of what they cost, the one that time undoes last.
async fn gate(
    prepared: &Prepared,
    gates: &Gates,
    receipts: &mut Vec<Receipt>,
) -> Result<Option<Landing>> {
    let open = prepared.changed.iter().filter(|path| !gates.leased.contains(*path));
    let open: Vec<String> = open.cloned().collect();
    if !open.is_empty() {
        return Ok(Some(Landing::NotLeased(open)));
    }
    let proven = prepared.tree == gates.verified_tree
        || receipts.iter().any(|receipt| receipt.tree == prepared.tree);
    if !proven {
        match prove(&prepared.commit, &prepared.tree, gates).await? {
            Verdict::Passed(receipt) => receipts.push(receipt),
            Verdict::Failed { receipt, classified, tail, .. } => {
                let onto = prepared.parent.clone();
                return Ok(Some(Landing::Broken { onto, receipt, classified, tail }));
            }
        }
    }
    Ok((gates.clock.now_ms() >= gates.until_ms).then_some(Landing::InDoubt))
}

/// Verifies a tree in the attempt's slot, which is left standing at it.
async fn prove(commit: &str, tree: &str, gates: &Gates) -> Result<Verdict> {
    let git = Git::at(&gates.verify.worktree).within(super::LIMIT);
    stand_at(&git, commit, &gates.copied).await?;
    let spec = VerifySpec { tree: tree.to_owned(), ..gates.verify.clone() };
    verify(&spec).await
}

/// The evidence for a tree that landed before its process could tell, where it is not the one
/// that was verified: what was found out then was lost with that process.
async fn proof_of(commit: &str, tree: &str, gates: &Gates) -> Result<Option<Receipt>> {
    if tree == gates.verified_tree {
        return Ok(None);
    }
    Ok(match prove(commit, tree, gates).await? {
        Verdict::Passed(receipt) => Some(receipt),
        Verdict::Failed { .. } => None,
    })
}

/// Brings a slot to a commit; ignored and copied files stay.
async fn stand_at(slot: &Git, commit: &str, copied: &[String]) -> Result<()> {
    slot.run(&["checkout", "--quiet", "--force", "--detach", commit]).await?;
    clean(slot, copied).await
}

/// Removes what is neither tracked, ignored nor copied.
async fn clean(slot: &Git, copied: &[String]) -> Result<()> {
    let mut args = vec!["clean".to_owned(), "--quiet".to_owned(), "-ffd".to_owned()];
    for path in copied {
        // A pattern: anchored, and with its special characters taken literally.
        let literal: String = path
            .chars()
            .flat_map(|c| match c {
                '*' | '?' | '[' | ']' | '\\' | '!' | '#' | ' ' => vec!['\\', c],
                c => vec![c],
            })
            .collect();
        args.push("-e".to_owned());
        args.push(format!("/{literal}"));
    }
    slot.run(&args).await.map(|_| ())
}

/// Puts a slot's files back to the work after something ran over them: a build writes files that
/// are no work, a formatter changes some that are.
///
/// # Errors
/// When git refuses.
pub async fn settle(slot: &Git, tree: &str, base: &str, copied: &[String]) -> Result<()> {
    slot.run(&["read-tree", "-u", "--reset", tree]).await?;
    clean(slot, copied).await?;
    slot.run(&["reset", "--quiet", "--mixed", base]).await?;
    Ok(())
}

/// Puts the work on another base in the slot, uncommitted, with conflict markers where both
/// changed the same lines; gives the paths in conflict.
///
/// # Errors
/// When git refuses for another reason than a conflict.
pub async fn rebase(slot: &Git, work: &str, onto: &str, copied: &[String]) -> Result<Vec<String>> {
    stand_at(slot, onto, copied).await?;
    // The work is one commit on its base, so picking it is the three-way merge wanted.
    let pick = ["cherry-pick", "--no-commit", "--allow-empty", work];
    let picked = slot.try_run(&pick, &[]).await?;
    let paths = slot.fields(&["diff", "--name-only", "--diff-filter=U", "-z"]).await?;
    if picked.code != 0 && paths.is_empty() {
        return Err(crate::git::refused(&pick, &picked));
    }
    let dir = slot.run(&["rev-parse", "--absolute-git-dir"]).await?;
    for state in ["CHERRY_PICK_HEAD", "sequencer"] {
        let path = std::path::Path::new(&dir).join(state);
        let gone = if path.is_dir() {
            tokio::fs::remove_dir_all(&path).await
        } else if path.exists() {
            tokio::fs::remove_file(&path).await
        } else {
            Ok(())
        };
        gone.doing(|| format!("remove {}", path.display()))?;
    }
    slot.run(&["reset", "--quiet", "--mixed", onto]).await?;
    Ok(paths)
}

/// Paths among `paths` that still hold conflict markers.
///
/// # Errors
/// When a file cannot be read.
pub async fn unresolved(slot: &Git, paths: &[String]) -> Result<Vec<String>> {
    let mut open = Vec::new();
    for path in paths {
        let file = slot.dir().join(path);
        let bytes = match tokio::fs::read(&file).await {
            Ok(bytes) => bytes,
            // Deleting the file resolves it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).doing(|| format!("read {}", file.display())),
        };
        let marks = |line: &&[u8]| line.starts_with(b"<<<<<<< ") || line.starts_with(b">>>>>>> ");
        if bytes.split(|byte| *byte == b'\n').any(|line| marks(&line)) {
            open.push(path.clone());
        }
    }
    Ok(open)
}
