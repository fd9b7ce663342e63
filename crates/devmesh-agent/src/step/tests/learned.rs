//! What a tool notes for others.

use super::*;
use devmesh_protocol::command::mesh::NoteShare;
use devmesh_protocol::event::task::TaskVerified;

fn say(view: &mut View, text: &str) {
    take(view, 0, Input::Told { key: KEY, fact: Fact::Message(text.into()) });
}

/// The notes that are shared when the work was verified so.
fn shared(view: &mut View) -> Vec<NoteShare> {
    let effects = answer(view, "task.verified", done(json!({})));
    let notes = effects.into_iter().find_map(|effect| match effect {
        Effect::ShareNotes { session, notes } => Some((session, notes)),
        _ => None,
    });
    let Some((session, notes)) = notes else { return Vec::new() };
    assert_eq!(session.as_str(), "s1");
    notes
}

#[test]
fn what_the_tool_notes_is_shared_with_the_work_it_came_from() {
    let mut view = at(Phase::Running);
    say(&mut view, "Done.\nNOTE tabs [src/lex.rs]: eight wide\nNOTE build: make first");
    say(&mut view, "NOTE build: make all first");
    view.attempt.as_mut().unwrap().phase = Phase::Telling;
    let notes = shared(&mut view);
    let shown: Vec<_> = notes
        .iter()
        .map(|note| {
            let paths: Vec<&str> = note.paths.iter().map(|path| path.key()).collect();
            (note.key.as_str(), note.value.as_str(), paths.join(","))
        })
        .collect();
    // One that names no path is about what was changed; the last word on a thing counts.
    assert_eq!(
        shown,
        [
            ("build", "make all first", "a.txt".to_owned()),
            ("tabs", "eight wide", "src/lex.rs".to_owned())
        ]
    );
    let first = &notes[0];
    assert_eq!((first.task, first.confidence), (Some(TaskId(1)), Some(60)));
    assert_eq!(first.repo.as_ref().map(|repo| repo.as_str()), Some("app"));
    assert!(view.attempt.as_ref().unwrap().learned.is_empty(), "and only once");
}

#[test]
fn notes_at_work_that_proves_nothing_are_kept_until_it_does() {
    let mut view = at(Phase::Running);
    for n in 0..20 {
        say(&mut view, &format!("NOTE n{n:02}: x"));
    }
    view.attempt.as_mut().unwrap().phase = Phase::Verifying;
    take(&mut view, 0, failed(Class::Test, "no"));
    assert!(shared(&mut view).is_empty());
    view.attempt.as_mut().unwrap().phase = Phase::Telling;
    assert_eq!(shared(&mut view).len(), 8, "and no more than a few");
}

/// A review ends the attempt, and its notice may overtake the answer.
#[test]
fn notes_are_shared_at_the_notice_where_it_comes_before_the_answer() {
    let mut view = at(Phase::Running);
    say(&mut view, "NOTE tabs: eight wide");
    view.attempt.as_mut().unwrap().phase = Phase::Telling;
    let verified = |class: Option<&str>, attempt| TaskVerified {
        task: KEY.task,
        attempt,
        receipt: receipt().told(false),
        commit: None,
        usage: None,
        class: class.map(str::to_owned),
        change: None,
        repo: None,
    };
    assert!(notice(&mut view, 7, verified(Some("test"), KEY.attempt)).is_empty());
    assert!(notice(&mut view, 8, verified(None, KEY.attempt + 1)).is_empty());
    let effects = notice(&mut view, 9, verified(None, KEY.attempt));
    let [Effect::ShareNotes { notes, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(notes[0].value, "eight wide");
    assert!(shared(&mut view).is_empty(), "and only once");
}
