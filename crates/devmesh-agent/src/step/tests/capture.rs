//! Work on its way from the tool to its proof: captured, leased, brought up to date, verified.

use super::*;

#[test]
fn every_changed_path_is_leased_as_many_at_a_time_as_a_request_takes() {
    let mut view = at(Phase::Capturing);
    let paths: Vec<String> = (0..200).map(|n| format!("f{n}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let captured = Captured { work: Some(work(&paths)), ..Captured::default() };
    let mut effects = take(&mut view, 0, Input::Captured { key: KEY, captured: Ok(captured) });
    let mut sizes = Vec::new();
    while let [Effect::Send { verb, .. }] = effects.as_slice()
        && let Verb::LockAcquire(acquire) = &**verb
    {
        sizes.push(acquire.paths.len());
        effects = answer(&mut view, "lock.acquire", done(json!({})));
    }
    assert_eq!(sizes, [128, 72]);
    assert_eq!(names(&effects), ["Refresh"]);
    assert_eq!(names(&take(&mut view, 0, refreshed(None))), ["task.progress"]);
    assert_eq!(names(&answer(&mut view, "task.progress", done(json!({})))), ["Verify"]);
    assert_eq!(view.attempt.as_ref().unwrap().leased.len(), 200);
}

#[test]
fn a_lease_waited_for_in_vain_is_asked_for_again_and_not_for_ever() {
    let rest = vec!["a.txt".to_owned()];
    let mut view = at(Phase::Leasing { rest, refused: 0, verified: false });
    let mut rounds = 0;
    let last = loop {
        let effects = answer(&mut view, "lock.acquire", refused(Code::LockTimeout));
        match names(&effects).as_slice() {
            [one] if one == "lock.acquire" => rounds += 1,
            other => break other.to_vec(),
        }
    };
    assert_eq!((rounds, last), (20, vec!["Save".to_owned(), "task.abandon".to_owned()]));
}

#[test]
fn a_lease_granted_late_is_on_the_current_version() {
    let leasing = || {
        let mut view = at(Phase::Capturing);
        let captured = Captured { work: Some(work(&["a.txt"])), ..Captured::default() };
        take(&mut view, 0, Input::Captured { key: KEY, captured: Ok(captured) });
        assert_eq!(names(&answer(&mut view, "lock.acquire", done(json!({})))), ["Refresh"]);
        view
    };
    let mut view = leasing();
    assert_eq!(names(&take(&mut view, 0, refreshed(None))), ["task.progress"]);
    // What comes in without a conflict is proven as it is then.
    let mut view = leasing();
    let other = Work { tree: "t2".into(), base: "h2".into(), ..work(&["a.txt"]) };
    let captured = Captured { work: Some(other.clone()), ..Captured::default() };
    let fresh = Refreshed { base: "h2".into(), conflicts: Vec::new(), captured };
    assert_eq!(names(&take(&mut view, 0, refreshed(Some(fresh)))), ["task.progress"]);
    assert_eq!(view.attempt.as_ref().unwrap().work, Some(other));
    assert_eq!(view.attempt.as_ref().unwrap().place.as_ref().unwrap().base, "h2");
    // A conflict is the model's next turn, not one of its retries.
    let mut view = leasing();
    let conflicts = vec!["a.txt".to_owned()];
    let fresh = Refreshed { base: "h2".into(), conflicts, captured: Captured::default() };
    let effects = take(&mut view, 0, refreshed(Some(fresh)));
    let [Effect::Run { prompt, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(prompt.contains("a.txt") && prompt.contains("Read these files again"), "{prompt}");
    assert_eq!(view.attempt.as_ref().unwrap().retries, 0);
}

#[test]
fn a_conflict_that_stays_costs_no_try() {
    let mut view = at(Phase::Capturing);
    let captured = Captured { unresolved: vec!["a.txt".into()], ..Captured::default() };
    let capture = || Input::Captured { key: KEY, captured: Ok(captured.clone()) };
    assert_eq!(names(&take(&mut view, 0, capture())), ["Run"]);
    view.attempt.as_mut().unwrap().phase = Phase::Capturing;
    let effects = take(&mut view, 0, capture());
    let [_, Effect::Post { verbs, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let [Verb::TaskAbandon(abandon)] = verbs.as_slice() else { panic!("{verbs:?}") };
    assert!(abandon.unspent && abandon.reason.contains("a.txt"), "{abandon:?}");
}

#[test]
fn conflicts_left_by_an_attempt_before_are_told_and_stand_in_the_way() {
    let mut view = at(Phase::Preparing);
    let place = view.attempt.as_ref().unwrap().place.clone().unwrap();
    let conflicts = vec!["a.txt".to_owned()];
    let place = Ok(Box::new(Prepared { place, work: None, said: 0, conflicts }));
    let effects = take(&mut view, 0, Input::Prepared { key: KEY, place });
    let [Effect::Run { prompt, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(prompt.starts_with("PROMPT") && prompt.contains("a.txt"), "{prompt}");
    tell_done(&mut view, true, None);
    let effects = take(&mut view, 0, ended(EndCause::Exited, Some(0)));
    let [Effect::Capture { conflicts, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(conflicts, &["a.txt"]);
}

/// What stands in the way is told to the model once, and then it fails with the name in it.
fn is_told_and_then_fails(captured: &Captured, class: &str, name: &str) {
    let mut view = at(Phase::Capturing);
    let capture = || Input::Captured { key: KEY, captured: Ok(captured.clone()) };
    let effects = take(&mut view, 0, capture());
    let [Effect::Run { prompt, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(prompt.contains(name), "{prompt}");
    view.attempt.as_mut().unwrap().phase = Phase::Capturing;
    let effects = take(&mut view, 0, capture());
    let [_, Effect::Post { verbs, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let [Verb::TaskFail(fail)] = verbs.as_slice() else { panic!("{verbs:?}") };
    assert_eq!(fail.class, class);
    assert!(fail.message.contains(name), "{}", fail.message);
}

#[test]
fn what_no_lease_can_name_does_not_land() {
    let unnamable = vec!["\"a\\nb\"".to_owned()];
    let work = Some(work(&["a\nb"]));
    let captured = Captured { work, unnamable, ..Captured::default() };
    is_told_and_then_fails(&captured, "path", "\"a\\nb\"");
}

#[test]
fn what_git_would_run_anew_is_a_persons_to_look_at_and_other_changes_are_told() {
    let captured = |commands: &[&str]| {
        let mut view = at(Phase::Capturing);
        let commands = commands.iter().map(|key| (*key).to_owned()).collect();
        let change = crate::git::Change { commands, files: vec!["hooks/pre-push".into()] };
        let captured = Captured { work: Some(work(&["a.txt"])), change, ..Captured::default() };
        take(&mut view, 0, Input::Captured { key: KEY, captured: Ok(captured) })
    };
    let effects = captured(&["filter.x.clean"]);
    let [_, Effect::Post { verbs, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let [Verb::TaskFail(fail)] = verbs.as_slice() else { panic!("{verbs:?}") };
    assert_eq!((fail.class.as_str(), fail.hard), ("git_config", true));
    assert!(fail.message.contains("filter.x.clean"), "{}", fail.message);
    let effects = captured(&[]);
    assert_eq!(names(&effects), ["task.progress", "lock.acquire"]);
    assert!(format!("{effects:?}").contains("hooks/pre-push"));
}

#[test]
fn a_repository_in_the_worktree_does_not_land() {
    let nested = vec!["vendor/lib".to_owned()];
    let captured = Captured { work: Some(work(&["vendor/lib/x"])), nested, ..Captured::default() };
    is_told_and_then_fails(&captured, "nested_repository", "vendor/lib");
}

#[test]
fn what_is_changed_within_a_submodule_does_not_land() {
    let submodules = vec!["vendor/lib".to_owned()];
    let captured = Captured { work: Some(work(&["a.txt"])), submodules, ..Captured::default() };
    is_told_and_then_fails(&captured, "submodule", "vendor/lib");
    let submodules = vec!["vendor/lib".to_owned()];
    let alone = Captured { submodules, ..Captured::default() };
    is_told_and_then_fails(&alone, "submodule", "vendor/lib");
}

#[test]
fn a_failed_verification_is_told_and_goes_back_until_it_repeats() {
    let mut view = at(Phase::Verifying);
    assert_eq!(names(&take(&mut view, 0, failed(Class::Test, "no 1"))), ["task.verified"]);
    let effects = answer(&mut view, "task.verified", done(json!({})));
    let [Effect::Run { prompt, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(prompt.contains("no 1") && prompt.contains("Tests fail"));
    view.attempt.as_mut().unwrap().phase = Phase::Verifying;
    take(&mut view, 0, failed(Class::Test, "no 2"));
    let effects = answer(&mut view, "task.verified", done(json!({})));
    assert_eq!(names(&effects), ["Save", "task.abandon"], "the same but for a number");
}

#[test]
fn a_full_disk_is_not_the_models_to_mend() {
    let mut view = at(Phase::Verifying);
    take(&mut view, 0, failed(Class::DiskFull, "No space left on device"));
    let effects = answer(&mut view, "task.verified", done(json!({})));
    let [_, Effect::Post { verbs, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(matches!(verbs.as_slice(), [Verb::TaskFail(fail)] if fail.hard));
}
