//! Repositories within the worktree: a tool has cloned or begun one there. Git would keep a pointer
//! to a commit that nobody else has, so their files are saved as files.

use std::path::Path;

use crate::error::{Doing, Result};
use crate::git::{Git, refused};

/// How deep repositories are looked for in each other.
const DEPTH_MAX: usize = 4;
/// More would say nothing more.
const COUNT_MAX: usize = 256;

/// Folders of the worktree that are repositories of their own and neither submodules nor in the
/// base already.
///
/// # Errors
/// When git refuses.
pub async fn nested(git: &Git, base: &str) -> Result<Vec<String>> {
    let mut found = embedded(git, base).await?;
    found.retain(|path| git.dir().join(path).join(".git").exists());
    Ok(found)
}

/// These, and folders for which the tool has put a pointer into its index and then thought better
/// of it: git would go on with the pointer.
pub(super) async fn embedded(git: &Git, base: &str) -> Result<Vec<String>> {
    // Git does not look into a repository and gives it with a `/` at its end, and nothing else.
    let others = git.fields(&["ls-files", "-z", "--others", "--exclude-standard"]).await?;
    let others = others.iter().filter_map(|path| path.strip_suffix('/')).map(str::to_owned);
    let staged = git.fields(&["ls-files", "-z", "--stage"]).await?;
    let mut found: Vec<String> = others.chain(staged.iter().filter_map(|it| link(it))).collect();
    if found.is_empty() {
        return Ok(found);
    }
    found.retain(|path| git.dir().join(path).is_dir());
    let mut known = links_of(git, base).await?;
    known.extend(submodules(git).await?);
    found.retain(|path| !known.contains(path));
    found.sort_unstable();
    found.dedup();
    found.truncate(COUNT_MAX);
    Ok(found)
}

/// The path of an entry that points to another repository.
fn link(entry: &str) -> Option<String> {
    let (meta, path) = entry.split_once('\t')?;
    meta.starts_with("160000 ").then(|| path.to_owned())
}

async fn links_of(git: &Git, base: &str) -> Result<Vec<String>> {
    let entries = git.fields(&["ls-tree", "-r", "-z", base]).await?;
    Ok(entries.iter().filter_map(|it| link(it)).collect())
}

/// Submodules with changes that their pointer does not hold, or whose pointer is to a commit that
/// exists here only: what is verified with them would land without them.
///
/// # Errors
/// When git refuses.
pub async fn changed_within(git: &Git) -> Result<Vec<String>> {
    if !git.dir().join(".gitmodules").exists() {
        return Ok(Vec::new());
    }
    // What a build leaves in them is none of the work.
    let args = ["status", "--porcelain=v2", "-z", "--untracked-files=no"];
    let entries = git.fields(&[&args[..], &["--ignore-submodules=none"]].concat()).await?;
    let mut found = Vec::new();
    for entry in entries.iter().take(COUNT_MAX) {
        let fields: Vec<&str> = entry.splitn(9, ' ').collect();
        let ["1", _, state, _, _, _, _, _, path] = fields[..] else { continue };
        let [b'S', moved, changed, _] = *state.as_bytes() else { continue };
        let alone = moved == b'C' && is_here_only(git, path).await?;
        if changed == b'M' || alone {
            found.push(path.to_owned());
        }
    }
    Ok(found)
}

async fn is_here_only(git: &Git, path: &str) -> Result<bool> {
    let inner = git.at_other(git.dir().join(path));
    let args = ["for-each-ref", "--count=1", "--contains", "HEAD", "refs/remotes", "refs/tags"];
    Ok(inner.try_run(&args, &[]).await?.text().is_empty())
}

/// The paths that `.gitmodules` names.
async fn submodules(git: &Git) -> Result<Vec<String>> {
    let args = ["config", "-z", "--file", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$"];
    let output = git.try_run(&args, &[]).await?;
    let entries = crate::git::split_nul(&output.stdout);
    Ok(entries.iter().filter_map(|it| it.split_once('\n')).map(|it| it.1.to_owned()).collect())
}

/// Puts a nested repository's files into the index that `git` works on; what it ignores itself
/// stays out. `own` is the worktree's own index.
pub(super) async fn add(git: &Git, own: &str, path: &str) -> Result<()> {
    let tree = Box::pin(tree_of(git, own, Path::new(path), DEPTH_MAX)).await?;
    git.run(&["update-index", "--force-remove", "--", path]).await?;
    git.run(&["read-tree", &format!("--prefix={path}/"), &tree]).await?;
    Ok(())
}

async fn tree_of(git: &Git, own: &str, path: &Path, depth: usize) -> Result<String> {
    let folder = tempfile::tempdir().doing(|| "create a folder for an index".into())?;
    let place = git.dir().join(path);
    let store = Path::new(own).parent().unwrap_or(Path::new(own));
    // Our own repository over that folder: git passes over the `.git` in it.
    let inner = git
        .at_other(&place)
        .with_env("GIT_DIR", store)
        .with_env("GIT_WORK_TREE", &place)
        .with_env("GIT_INDEX_FILE", folder.path().join("index"));
    let others = inner.fields(&["ls-files", "-z", "--others", "--exclude-standard"]).await?;
    let deeper: Vec<&str> = others.iter().filter_map(|it| it.strip_suffix('/')).collect();
    let mut args: Vec<String> =
        ["add", "--all", "--ignore-errors", "--", "."].map(String::from).into();
    args.extend(deeper.iter().map(|path| format!(":(exclude,top,literal){path}")));
    let added = inner.try_run(&args, &[]).await?;
    if !matches!(added.code, 0 | 1) {
        return Err(refused(&args, &added));
    }
    for below in deeper.into_iter().take(COUNT_MAX).filter(|_| depth > 0) {
        let tree = Box::pin(tree_of(git, own, &path.join(below), depth - 1)).await?;
        inner.run(&["read-tree", &format!("--prefix={below}/"), &tree]).await?;
    }
    inner.run(&["write-tree"]).await
}
