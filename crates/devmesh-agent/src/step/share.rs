//! Paths that the attempt no longer has alone: both go on, and whoever lands second merges.

use devmesh_protocol::command::task::Progress;
use devmesh_protocol::event::lock::LeaseShared;
use devmesh_protocol::event::task::TaskVerified;
use devmesh_protocol::limits::LINE_CHARS_MAX;
use devmesh_protocol::{ActorId, RepoPath, Verb};
use serde_json::Value;

use super::tool::progress;
use crate::effect::Effect;
use crate::view::{Attempt, View};

/// Paths that a prompt names as shared; more would bury the rest of it.
const ASIDES_MAX: usize = 32;

/// Another has a path of the attempt's too from now on. The tool learns it with its next turn,
/// and what the other has landed by the end of this one is brought in before the work is proven.
pub(super) fn shared(view: &mut View, event: &LeaseShared) -> Vec<Effect> {
    let session = view.session.clone();
    let Some(attempt) = view.attempt.as_mut().filter(|it| Some(it.key.task) == event.task) else {
        return Vec::new();
    };
    let with = match event.with_task {
        Some(task) => format!("{} (for {task})", event.with),
        None => event.with.to_string(),
    };
    attempt.unfresh = true;
    if attempt.asides.len() < ASIDES_MAX {
        attempt.asides.push(words(event.path.key(), &with));
    }
    let text = format!("{} is shared with {with}: whoever lands second merges", event.path);
    let message = Some(crate::text::head(&text, LINE_CHARS_MAX));
    let verb = Verb::TaskProgress(Progress { message, ..progress(attempt) });
    vec![Effect::Tell { session, verb: Box::new(verb) }]
}

/// Another attempt has submitted a change. What it meets of this one's paths the tool learns with
/// its next turn; the change is not on the branch yet, so there is nothing to bring in.
pub(super) fn changed(view: &mut View, actor: &ActorId, event: &TaskVerified) {
    let Some(attempt) = view.attempt.as_mut().filter(|it| it.key.task != event.task) else {
        return;
    };
    let here = attempt.job.as_ref().map(|job| &job.repo.repo);
    let Some(change) = event.change.as_ref().filter(|_| here == event.repo.as_ref()) else {
        return;
    };
    let met = change.edits.iter().filter(|edit| is_own(attempt, &edit.path)).map(|it| &it.path);
    let met: Vec<RepoPath> =
        met.take(ASIDES_MAX.saturating_sub(attempt.asides.len())).cloned().collect();
    for path in met {
        let line = format!(
            "- {} has been changed by {actor} (for {}); it is proven and has not landed yet. Keep \
             your own change to it small; the two are merged at landing.",
            path.key(),
            event.task
        );
        if !attempt.asides.contains(&line) {
            attempt.asides.push(line);
        }
    }
}

/// Whether the attempt declares the file, has a lease on it or has changed it.
fn is_own(attempt: &Attempt, path: &RepoPath) -> bool {
    let declared = attempt.job.as_ref().map_or(&[][..], |job| &job.task.paths);
    let changed = attempt.work.iter().flat_map(|work| &work.changed);
    declared.iter().any(|own| own.overlaps(path))
        || attempt.leased.contains(path.key())
        || changed.into_iter().any(|own| own == path.key())
}

/// Who else changes what was granted, as the tool reads it.
pub(super) fn with_whom(result: &Value) -> Vec<String> {
    let text = |one: &Value, name: &str| one.get(name)?.as_str().map(str::to_owned);
    let line = |one: &Value| {
        let (path, actor) = (text(one, "path")?, text(one, "actor")?);
        let with = match text(one, "task") {
            Some(task) => format!("{actor} (for {task})"),
            None => actor,
        };
        Some(words(&path, &with))
    };
    let by_hand = |one: &Value| {
        let (path, actor) = (text(one, "path")?, text(one, "actor")?);
        Some(format!(
            "- {path} is changed by {actor} by hand, in a checkout of their own, and is not \
             committed there. Keep your change to it small."
        ))
    };
    let list = |name: &str| result.get(name).and_then(Value::as_array).into_iter().flatten();
    let shared = list("shared").filter_map(line);
    shared.chain(list("advisory").filter_map(by_hand)).take(ASIDES_MAX).collect()
}

fn words(path: &str, with: &str) -> String {
    format!(
        "- {path} is changed by {with} too. Go on with it, keep your change to it small, and \
         leave what is not part of your task as it is; the two are merged at landing."
    )
}
