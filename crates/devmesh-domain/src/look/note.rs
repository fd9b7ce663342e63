//! Notes: what is known, as narrow as it is asked for.

use std::cmp::Reverse;
use std::ops::Bound;

use devmesh_protocol::RepoPath;
use devmesh_protocol::query::{LIMIT, LIMIT_MAX, Notes};
use devmesh_protocol::view::NoteView;
use serde_json::{Value, json};

use super::{list, value};
use crate::state::State;
use crate::state::mesh::Note;

/// Bytes of the texts that one answer may come to; the rest of it stays below the server's 1 MiB.
const TEXTS_BYTES_MAX: u64 = 512 * 1024;

/// The notes that are asked for. A word is not looked for here: the texts stand elsewhere, and
/// whoever fills them in leaves out what does not hold it.
pub(super) fn notes(state: &State, query: &Notes) -> Value {
    let rows = match &query.key {
        Some(key) => (Bound::Included(key.clone()), Bound::Included(key.clone())),
        None => list::behind(query.after.clone()),
    };
    let rows = state.notes.range(rows);
    let mut rows = rows.filter(|(_, note)| is_meant(note, query));
    let limit = query.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX) as usize;
    if !query.about.is_empty() {
        let best = best(rows);
        return json!({ "notes": part(&mut best.into_iter(), limit).0 });
    }
    let (notes, has_more) = part(&mut rows, limit);
    let next = notes.last().filter(|_| has_more).map(|note| note["key"].clone());
    match next {
        Some(next) => json!({ "notes": notes, "next": next }),
        None => json!({ "notes": notes }),
    }
}

fn is_meant(note: &Note, query: &Notes) -> bool {
    let overlaps = |path: &RepoPath| note.paths.iter().any(|other| other.overlaps(path));
    query.by.as_ref().is_none_or(|by| note.by == *by)
        && query.repo.as_ref().is_none_or(|repo| note.repo.as_ref().is_none_or(|it| it == repo))
        && query.path.as_ref().is_none_or(overlaps)
        && (query.about.is_empty() || note.paths.is_empty() || query.about.iter().any(overlaps))
}

/// First what is about a path, then what is about none; of each the surest, then the newest.
fn best<'s>(rows: impl Iterator<Item = (&'s String, &'s Note)>) -> Vec<(&'s String, &'s Note)> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|(key, note)| {
        (note.paths.is_empty(), Reverse(note.confidence), Reverse(note.at), *key)
    });
    rows
}

/// The first of them, as many as fit; and whether there are more.
fn part<'s>(
    rows: &mut dyn Iterator<Item = (&'s String, &'s Note)>,
    limit: usize,
) -> (Vec<Value>, bool) {
    let mut notes = Vec::new();
    let mut bytes = 0;
    for (key, note) in rows {
        bytes += note.value.bytes;
        if notes.len() == limit || (bytes > TEXTS_BYTES_MAX && !notes.is_empty()) {
            return (notes, true);
        }
        notes.push(view(key, note));
    }
    (notes, false)
}

fn view(key: &str, note: &Note) -> Value {
    value(NoteView {
        key: key.to_owned(),
        value: None,
        confidence: note.confidence,
        paths: note.paths.clone(),
        by: note.by.clone(),
        at: note.at,
        repo: note.repo.clone(),
        task: note.task,
    })
}

#[cfg(test)]
mod tests;
