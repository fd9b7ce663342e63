//! What the tool has learned and others should know. It reaches the mesh with the work that it
//! came from: notes of an attempt that proves nothing are dropped.

use devmesh_protocol::RepoPath;
use devmesh_protocol::command::mesh::NoteShare;

use crate::effect::Effect;
use crate::prompt::{self, Learned};
use crate::view::{Attempt, Key, View};

/// Notes of one attempt.
const NOTES_MAX: usize = 8;
/// Paths of the task, or of the work, that a note without any is about.
const PATHS_MAX: usize = 16;
/// A tool says what it thinks; what a person notes is surer.
const CONFIDENCE: u8 = 60;

/// The tool said something.
pub(super) fn heard(attempt: &mut Attempt, message: &str) {
    for one in prompt::learned(message) {
        if attempt.learned.len() < NOTES_MAX || attempt.learned.contains_key(&one.key) {
            attempt.learned.insert(one.key.clone(), one);
        }
    }
}

/// The work is proven: what was learned at it is shared.
pub(super) fn share(view: &mut View, key: Key) -> Option<Effect> {
    let session = view.session.clone();
    let attempt = view.attempt_of(key)?;
    let learned = std::mem::take(&mut attempt.learned);
    if learned.is_empty() {
        return None;
    }
    let repo = attempt.job.as_ref().map(|job| job.repo.repo.clone());
    let paths = paths(attempt);
    let share = |one: Learned| NoteShare {
        key: one.key,
        value: one.value,
        confidence: Some(CONFIDENCE),
        paths: if one.paths.is_empty() { paths.clone() } else { one.paths },
        repo: repo.clone(),
        task: Some(key.task),
    };
    let notes = learned.into_values().map(share).collect();
    Some(Effect::ShareNotes { session, notes })
}

/// What a note that names no path is about.
fn paths(attempt: &Attempt) -> Vec<RepoPath> {
    let declared = attempt.job.as_ref().map_or(&[][..], |job| &job.task.paths);
    if !declared.is_empty() {
        return declared.iter().take(PATHS_MAX).cloned().collect();
    }
    let changed = attempt.work.iter().flat_map(|work| &work.changed);
    changed.filter_map(|path| RepoPath::new(path).ok()).take(PATHS_MAX).collect()
}
