//! What was changed, file by file: told with the evidence, refused twice, and brought together.

use devmesh_protocol::RepoPath;
use devmesh_protocol::command::task::{Change, FileEdit};
use devmesh_protocol::event::task::TaskVerified;

use super::*;

fn change(path: &str) -> Change {
    let path = RepoPath::new(path).unwrap();
    let edit = FileEdit { path, base: None, now: Some("1".repeat(40)), mode: None };
    Change::of(vec![edit], &[])
}

/// A view whose work names what it changes.
fn told(phase: Phase) -> View {
    let mut view = at(phase);
    let work = Work { change: Some(change("a.txt")), ..work(&["a.txt"]) };
    view.attempt.as_mut().unwrap().work = Some(work);
    view
}

fn verified_body(effects: &[Effect]) -> &devmesh_protocol::command::task::Verified {
    let [Effect::Send { verb, .. }] = effects else { panic!("{effects:?}") };
    let Verb::TaskVerified(body) = verb.as_ref() else { panic!("{verb:?}") };
    body
}

#[test]
fn what_was_changed_is_told_with_the_evidence_that_it_passes() {
    let passed = Input::Verified { key: KEY, verdict: Ok(Verdict::Passed(receipt())) };
    let effects = take(&mut told(Phase::Verifying), 0, passed);
    assert_eq!(verified_body(&effects).change, Some(change("a.txt")));
    let effects = take(&mut told(Phase::Verifying), 0, failed(Class::Test, "no"));
    assert_eq!(verified_body(&effects).change, None, "what fails is nobody's business yet");
}

#[test]
fn a_change_that_was_made_before_goes_to_a_person_and_costs_no_try() {
    let mut view = told(Phase::Telling);
    let effects = answer(&mut view, "task.verified", refused(Code::DuplicateChange));
    let [_, Effect::Post { verbs, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let [Verb::TaskFail(fail)] = verbs.as_slice() else { panic!("{verbs:?}") };
    assert_eq!((fail.class.as_str(), fail.hard), ("duplicate", false));
}

#[test]
fn work_that_somebody_has_to_look_at_does_not_ask_for_its_turn() {
    let mut view = told(Phase::Telling);
    let effects = answer(&mut view, "task.verified", done(json!({ "state": "review" })));
    assert_eq!(names(&effects), ["Drop"]);
    let mut view = told(Phase::Telling);
    let effects = answer(&mut view, "task.verified", done(json!({ "state": "verifying" })));
    assert_eq!(names(&effects), ["land.begin"]);
}

#[test]
fn what_another_has_landed_of_a_shared_file_comes_in_before_the_turn() {
    let mut view = told(Phase::Queueing);
    let behind = Rejection::new(Code::MergeRequired, "no").with("seen", 40);
    let effects = answer(&mut view, "land.begin", Answer::Refused(behind));
    assert_eq!(names(&effects), ["Refresh"]);
    // Together it is other work, proven anew; and the next request says what it holds.
    let work = Work { tree: "t2".into(), base: "h2".into(), ..work(&["a.txt"]) };
    let captured = Captured { work: Some(work), ..Captured::default() };
    view.attempt.as_mut().unwrap().leased.insert("a.txt".into());
    let fresh = Refreshed { base: "h2".into(), conflicts: Vec::new(), captured };
    assert_eq!(names(&take(&mut view, 0, refreshed(Some(fresh)))), ["task.progress"]);
    assert_eq!(names(&answer(&mut view, "task.progress", done(json!({})))), ["Verify"]);
    let passed = Input::Verified { key: KEY, verdict: Ok(Verdict::Passed(receipt())) };
    take(&mut view, 0, passed);
    let effects = answer(&mut view, "task.verified", done(json!({ "state": "verifying" })));
    let [Effect::Send { verb, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let Verb::LandBegin(begin) = verb.as_ref() else { panic!("{verb:?}") };
    assert_eq!(begin.seen, Some(40));
}

fn theirs(task: u64, repo: &str, path: &str) -> TaskVerified {
    TaskVerified {
        task: TaskId(task),
        attempt: 1,
        receipt: receipt().told(false),
        commit: None,
        usage: None,
        class: None,
        change: Some(change(path)),
        repo: Some(repo.parse().unwrap()),
    }
}

#[test]
fn what_others_have_changed_of_ones_own_files_is_told_with_the_next_turn() {
    let mut view = told(Phase::Running);
    let attempt = view.attempt.as_mut().unwrap();
    attempt.job.as_mut().unwrap().task.paths = vec![RepoPath::new("src/").unwrap()];
    attempt.leased.insert("leased.rs".into());
    for (task, repo, path) in [
        (3, "app", "src/lex.rs"),
        (3, "app", "src/lex.rs"),
        (3, "app", "leased.rs"),
        (3, "app", "a.txt"),
        (3, "app", "docs/x"),
        (3, "other", "src/parse.rs"),
        (1, "app", "src/own.rs"),
    ] {
        assert!(notice(&mut view, 8, theirs(task, repo, path)).is_empty());
    }
    let asides = &view.attempt.as_ref().unwrap().asides;
    let files: Vec<&str> = asides.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(files, ["src/lex.rs", "leased.rs", "a.txt"]);
    assert!(asides[0].contains("(for t-3)") && asides[0].contains("has not landed"), "{asides:?}");
}
