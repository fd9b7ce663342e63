//! Paths as people type them: from where they stand, with globs, into the repository's namespace.

use devmesh_protocol::RepoPath;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::git::Repo;
use crate::state_dir::LINK;

/// The paths that are meant. Globs are expanded here, over the files that git knows.
pub(super) fn resolve(context: &Context, typed: &[String]) -> Result<Vec<RepoPath>> {
    if typed.is_empty() {
        return Ok(Vec::new());
    }
    let repo = context.repo().unwrap_or_default();
    let mut paths = Vec::new();
    for text in typed {
        match &repo {
            Some(repo) if text.contains(['*', '?', '[']) => paths.extend(expand(repo, text)?),
            Some(repo) => paths.push(path(&format!("{}{text}", prefix(repo, text)), text)?),
            None => paths.push(path(text, text)?),
        }
    }
    Ok(paths)
}

/// What stands before a path that is meant from where a person stands; a path that is there from
/// the top only is meant from the top.
fn prefix<'a>(repo: &'a Repo, text: &str) -> &'a str {
    let here = repo.root.join(&repo.prefix).join(text).exists();
    if !here && repo.root.join(text).exists() { "" } else { &repo.prefix }
}

fn expand(repo: &Repo, pattern: &str) -> Result<Vec<RepoPath>> {
    let spec = format!(":(glob){}{pattern}", repo.prefix);
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", &spec];
    let found = repo.read(args)?;
    let names: Vec<&str> = found.split('\0').filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err(Error::usage(format!("{pattern} matches no file"))
            .hint("a folder's path means all that is in it: src/parser/"));
    }
    names.into_iter().map(|name| path(name, pattern)).collect()
}

fn path(text: &str, typed: &str) -> Result<RepoPath> {
    let wrong = match text.split('/').next() {
        Some(LINK) => Some("it leads into devmesh's own state"),
        _ if !text.is_empty() && typed.trim().is_empty() => Some("it names nothing"),
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Err(Error::usage(format!("{typed:?} cannot be used: {wrong}"))
            .hint("give paths of the repository, as in src/parser/"));
    }
    RepoPath::new(text).map_err(|error| {
        Error::usage(format!("{typed:?} cannot be used: {error}"))
            .hint("give paths of the repository, as in src/parser/")
    })
}
