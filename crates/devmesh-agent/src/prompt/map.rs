//! A map of the repository: the files near the task's paths with the names they declare.

use crate::error::Result;
use crate::git::Git;

/// The map's bound.
const BYTES_MAX: usize = 4_096;
/// Files that are looked into.
const FILES_MAX: usize = 60;
/// Larger files are generated or data.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// Names shown of a file.
const NAMES_MAX: usize = 12;

/// Words before a declared name, by language.
const DECLARES: [&str; 16] = [
    "pub fn ",
    "pub async fn ",
    "pub struct ",
    "pub enum ",
    "pub trait ",
    "pub type ",
    "fn ",
    "def ",
    "class ",
    "func ",
    "export function ",
    "export class ",
    "export const ",
    "export default function ",
    "interface ",
    "type ",
];

/// The map for a worktree, at most 4 KiB: first the task's paths, then the rest by folder.
///
/// # Errors
/// When git cannot list the files.
pub async fn repo_map(worktree: &Git, paths: &[String]) -> Result<String> {
    let files = worktree.fields(&["ls-files", "-z"]).await?;
    let near = |file: &str| paths.iter().any(|path| file == path || under(file, path));
    let (near, far): (Vec<&String>, Vec<&String>) = files.iter().partition(|file| near(file));
    let mut map = String::new();
    for file in near.iter().take(FILES_MAX) {
        let names = names_in(worktree, file).await;
        let line = if names.is_empty() { (*file).clone() } else { format!("{file}: {names}") };
        if !push(&mut map, &line) {
            return Ok(map);
        }
    }
    for (folder, count) in by_folder(&far) {
        let line = format!("{folder} ({count} files)");
        if !push(&mut map, &line) {
            break;
        }
    }
    Ok(map)
}

fn push(map: &mut String, line: &str) -> bool {
    let fits = map.len() + line.len() < BYTES_MAX;
    if fits {
        map.push_str(line);
        map.push('\n');
    }
    fits
}

fn under(file: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    folder.is_empty() || file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Folders two levels deep with the number of their files.
fn by_folder(files: &[&String]) -> std::collections::BTreeMap<String, usize> {
    let mut folders = std::collections::BTreeMap::new();
    for file in files {
        let mut parts: Vec<&str> = file.split('/').collect();
        parts.pop();
        parts.truncate(2);
        let folder =
            if parts.is_empty() { "./".to_owned() } else { format!("{}/", parts.join("/")) };
        *folders.entry(folder).or_insert(0) += 1;
    }
    folders
}

async fn names_in(worktree: &Git, file: &str) -> String {
    let path = worktree.dir().join(file);
    let small = tokio::fs::symlink_metadata(&path).await;
    if !small.is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_BYTES_MAX) {
        return String::new();
    }
    let Ok(text) = tokio::fs::read_to_string(&path).await else { return String::new() };
    let names: Vec<&str> = text.lines().filter_map(declared).take(NAMES_MAX).collect();
    names.join(", ")
}

fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = DECLARES.iter().find_map(|word| line.strip_prefix(word))?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}
