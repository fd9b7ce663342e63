//! Merges and commits made in the object store alone: no checkout, no index, no hook.

use std::time::Duration;

use super::{Branches, Turn};
use crate::error::Result;
use crate::git::{Git, refused};

/// A signature that needs a person at a terminal is not waited for.
const SIGN_LIMIT: Duration = Duration::from_secs(3);

/// Who a commit is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

/// Two sides that changed the same lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What the work was to land on.
    pub ours: String,
    /// The work.
    pub theirs: String,
    /// The paths in conflict.
    pub paths: Vec<String>,
    /// What git says about them.
    pub messages: String,
}

/// The work's changes on top of `parent`.
pub(super) async fn merged_tree(
    git: &Git,
    turn: &Turn,
    parent: &str,
) -> Result<Result<String, Conflict>> {
    let from = format!("--merge-base={}", turn.work_base);
    let merged = merge_tree(git, &[&from, parent, &turn.work]).await?;
    Ok(merged.map_err(|(paths, messages)| Conflict {
        ours: parent.to_owned(),
        theirs: turn.work.clone(),
        paths,
        messages,
    }))
}

/// A merge commit of the target's head and the base; the conflicting files where they conflict.
pub(super) async fn merge_base_in(
    git: &Git,
    branches: &Branches<'_>,
    head: &str,
    base: &str,
) -> Result<Result<String, Vec<String>>> {
    let tree = match merge_tree(git, &[head, base]).await? {
        Ok(tree) => tree,
        Err((paths, _)) => return Ok(Err(paths)),
    };
    let message =
        format!("merge {} into {}\n\nDevmesh-Merge: {base}\n", branches.base, branches.target);
    let args = ["commit-tree", tree.as_str(), "-p", head, "-p", base];
    Ok(Ok(by(git, branches.author).run_with(&args, message.as_bytes()).await?))
}

/// One commit of the whole work on `parent`, signed where the user signs and no question is
/// asked for it; else the reason why not.
pub(super) async fn squash(
    git: &Git,
    turn: &Turn,
    parent: &str,
    tree: &str,
) -> Result<(String, Option<String>)> {
    let text = message(turn);
    let git = by(git, &turn.author);
    let args = ["commit-tree", tree, "-p", parent];
    let signs = git.try_run(&["config", "--type=bool", "commit.gpgSign"], &[]).await?;
    if signs.text() != "true" {
        return Ok((git.run_with(&args, text.as_bytes()).await?, None));
    }
    let signed = ["commit-tree", "-S", tree, "-p", parent];
    let reason = match git.clone().within(SIGN_LIMIT).run_with(&signed, text.as_bytes()).await {
        Ok(commit) => return Ok((commit, None)),
        Err(error) => error.to_string(),
    };
    Ok((git.run_with(&args, text.as_bytes()).await?, Some(reason)))
}

fn message(turn: &Turn) -> String {
    let title = one_line(&turn.title);
    let subject = if title.is_empty() { turn.task.clone() } else { title };
    let mut text = crate::text::head(&subject, 200);
    // The last paragraph is that of the trailers, so the text may not pretend to be one.
    let body = crate::text::plain(turn.body.trim());
    if !body.is_empty() {
        text.push_str("\n\n");
        text.push_str(&body.replace("\nDevmesh-", "\n Devmesh-"));
    }
    text.push_str(&format!(
        "\n\nDevmesh-Task: {}\nDevmesh-Attempt: {}\nDevmesh-Token: {}\n",
        turn.task, turn.attempt, turn.token
    ));
    if let Some(tool) = &turn.co_author {
        text.push_str(&format!("Co-authored-by: {}\n", one_line(tool)));
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

fn by(git: &Git, person: &Person) -> Git {
    git.clone()
        .with_env("GIT_AUTHOR_NAME", &person.name)
        .with_env("GIT_AUTHOR_EMAIL", &person.email)
        .with_env("GIT_COMMITTER_NAME", &person.name)
        .with_env("GIT_COMMITTER_EMAIL", &person.email)
}

/// A merge in the object store: its tree, or the conflicting paths and git's words.
async fn merge_tree(git: &Git, sides: &[&str]) -> Result<Result<String, (Vec<String>, String)>> {
    let mut args = vec!["merge-tree", "--write-tree", "--name-only", "--messages", "-z"];
    args.extend(sides);
    let output = git.try_run(&args, &[]).await?;
    if !matches!(output.code, 0 | 1) {
        return Err(refused(&args, &output));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut fields = text.split('\0');
    let tree = fields.next().unwrap_or_default().trim().to_owned();
    if output.code == 0 {
        return Ok(Ok(tree));
    }
    let paths: Vec<String> =
        fields.by_ref().take_while(|field| !field.is_empty()).map(str::to_owned).collect();
    // Groups of count, paths, kind and message follow; the messages are the ones with a space.
    let messages: Vec<&str> = fields.filter(|field| field.contains(' ')).map(str::trim).collect();
    Ok(Err((paths, crate::text::head(&messages.join("\n"), 4_000))))
}
