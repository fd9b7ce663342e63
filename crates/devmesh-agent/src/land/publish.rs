//! Moving the target: one atomic update of refs, or a fast-forward in the checkout that holds it.

use std::path::Path;

use super::{Prepared, Turn, refs};
use crate::error::Result;
use crate::git::{Checkout, Git, refused, resolve, worktrees};
use crate::origin::{Move, Origin, Pushed};

/// How the end of a turn went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// The target stands at the commit.
    Done,
    /// Somebody moved the branch in between: prepare again.
    Moved,
    /// Another turn has begun: this one lands nothing.
    TurnLost,
    /// A person's checkout is in the way.
    Blocked {
        /// Why, for people.
        reason: String,
        /// The files it is about.
        files: Vec<String>,
    },
}

pub(super) async fn publish(git: &Git, turn: &Turn, prepared: &Prepared) -> Result<Published> {
    let branch = format!("refs/heads/{}", turn.target);
    if let Some(origin) = &turn.origin {
        return push(git, turn, prepared, (origin, &branch)).await;
    }
    let holders: Vec<Checkout> = worktrees(git)
        .await?
        .into_iter()
        .filter(|checkout| checkout.branch.as_deref() == Some(branch.as_str()))
        .collect();
    if let Some(busy) = holders.iter().find(|checkout| checkout.in_progress) {
        let place = busy.path.display();
        let reason = format!("{} is being rebased or bisected in {place}", turn.target);
        return Ok(Published::Blocked { reason, files: Vec::new() });
    }
    match holders.as_slice() {
        [] => move_refs(git, turn, prepared, &branch).await,
        [one] => forward(git, turn, prepared, &one.path).await,
        many => {
            let files = many.iter().map(|checkout| checkout.path.display().to_string()).collect();
            let reason = format!("{} is checked out in several places", turn.target);
            Ok(Published::Blocked { reason, files })
        }
    }
}

/// Both refs in one transaction: the target moves only while this turn lasts.
async fn move_refs(git: &Git, turn: &Turn, prepared: &Prepared, branch: &str) -> Result<Published> {
    let none = "0".repeat(prepared.commit.len());
    let old = prepared.head.as_deref().unwrap_or(&none);
    let turn_ref = refs::turn_ref(&turn.target);
    let script = format!(
        "start\nupdate {branch} {new} {old}\nverify {turn_ref} {ours}\nprepare\ncommit\n",
        new = prepared.commit,
        ours = prepared.turn_ref
    );
    let message = format!("devmesh: land {}", turn.task);
    let args = ["update-ref", "-m", message.as_str(), "--stdin"];
    let output = git.try_run(&args, script.as_bytes()).await?;
    if output.code == 0 {
        return Ok(Published::Done);
    }
    if !holds_turn(git, turn, prepared).await? {
        return Ok(Published::TurnLost);
    }
    if resolve(git, branch).await? != prepared.head || output.stderr.contains("cannot lock ref") {
        return Ok(Published::Moved);
    }
    Err(refused(&args, &output))
}

/// As [`move_refs`], where the branches are: the turn ref moves too, to the same number written
/// otherwise, so that the other end compares both.
async fn push(
    git: &Git,
    turn: &Turn,
    prepared: &Prepared,
    (origin, branch): (&Origin, &str),
) -> Result<Published> {
    let spent = format!("{}\n\n", turn.token);
    let spent = git.run_with(&["hash-object", "-w", "--stdin"], spent.as_bytes()).await?;
    let name = refs::turn_ref(&turn.target);
    let moves = [
        Move { name: branch, old: prepared.head.as_deref(), new: &prepared.commit },
        Move { name: &name, old: Some(&prepared.turn_ref), new: &spent },
    ];
    let said = match origin.push(git, &turn.task, &moves).await? {
        Pushed::Done => return Ok(Published::Done),
        Pushed::Refused { said } => said,
    };
    origin.fetch(git).await?;
    if !holds_turn(git, turn, prepared).await? {
        return Ok(Published::TurnLost);
    }
    if resolve(git, branch).await? != prepared.head {
        return Ok(Published::Moved);
    }
    let reason = format!("{} cannot be moved where it is: {said}", turn.target);
    Ok(Published::Blocked { reason, files: Vec::new() })
}

/// Where the target is checked out its files move with it, as if its person had pulled.
async fn forward(
    git: &Git,
    turn: &Turn,
    prepared: &Prepared,
    checkout: &Path,
) -> Result<Published> {
    if !holds_turn(git, turn, prepared).await? {
        return Ok(Published::TurnLost);
    }
    let branch = format!("refs/heads/{}", turn.target);
    if resolve(git, &branch).await? != prepared.head {
        return Ok(Published::Moved);
    }
    let args = ["merge", "--ff-only", "--no-stat", "--quiet", prepared.commit.as_str()];
    let output = git.at_other(checkout).try_run(&args, &[]).await?;
    if output.code == 0 {
        return Ok(Published::Done);
    }
    if resolve(git, &branch).await? != prepared.head || output.stderr.contains("index.lock") {
        return Ok(Published::Moved);
    }
    let files = files_in_the_way(&output.stderr);
    if files.is_empty() {
        return Err(refused(&args, &output));
    }
    let reason =
        format!("changes in {} would be overwritten; commit or stash them", checkout.display());
    Ok(Published::Blocked { reason, files })
}

async fn holds_turn(git: &Git, turn: &Turn, prepared: &Prepared) -> Result<bool> {
    let stands = resolve(git, &refs::turn_ref(&turn.target)).await?;
    Ok(stands.as_deref() == Some(prepared.turn_ref.as_str()))
}

/// Git indents the files that it will not overwrite with a tab.
fn files_in_the_way(stderr: &str) -> Vec<String> {
    stderr.lines().filter_map(|line| line.strip_prefix('\t')).map(str::to_owned).collect()
}
