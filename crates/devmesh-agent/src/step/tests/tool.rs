//! The tool's runs and what their ends mean.

use super::*;

#[test]
fn a_base_is_proven_only_by_the_repositorys_own_commands() {
    let prepared = |view: &mut View| {
        let place = view.attempt.as_ref().unwrap().place.clone().unwrap();
        let place = Ok(Box::new(Prepared { place, work: None, said: 0, conflicts: Vec::new() }));
        take(view, 0, Input::Prepared { key: KEY, place })
    };
    let mut view = at(Phase::Preparing);
    assert_eq!(names(&prepared(&mut view)), ["Run"], "the task's command need not pass before");
    let mut view = at(Phase::Preparing);
    view.attempt.as_mut().unwrap().job.as_mut().unwrap().repo.verify = vec!["true".into()];
    assert_eq!(names(&prepared(&mut view)), ["ProveBase"]);
    let red = Input::BaseProven { key: KEY, red: Some("broken".into()) };
    let effects = take(&mut view, 0, red);
    let [_, Effect::Post { verbs, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let [Verb::TaskFail(fail)] = verbs.as_slice() else { panic!("{verbs:?}") };
    assert_eq!((fail.class.as_str(), fail.hard), ("base_red", false));
    assert_eq!(view.red.values().collect::<Vec<_>>(), ["base"]);
}

#[test]
fn exit_zero_is_no_success_without_the_tools_word_for_it() {
    let mut view = at(Phase::Running);
    assert_eq!(names(&take(&mut view, 0, ended(EndCause::Exited, Some(0)))), ["Run"], "a retry");
    let mut view = at(Phase::Running);
    tell_done(&mut view, true, None);
    assert_eq!(names(&take(&mut view, 0, ended(EndCause::Exited, Some(0)))), ["Capture"]);
    let mut view = at(Phase::Running);
    tell_done(&mut view, true, None);
    assert_eq!(names(&take(&mut view, 0, ended(EndCause::Exited, Some(1)))), ["Run"]);
}

#[test]
fn what_people_said_meanwhile_is_the_tools_next_turn() {
    let mut view = at(Phase::Running);
    take(&mut view, 0, Input::Said { key: KEY, words: vec!["alice (say): use tabs".into()] });
    tell_done(&mut view, true, None);
    let effects = take(&mut view, 0, ended(EndCause::Exited, Some(0)));
    let [Effect::Run { prompt, session, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(prompt.contains("use tabs") && !prompt.contains("PROMPT"));
    assert_eq!(session.as_deref(), Some("tool-1"));
    view.me.resumes = false;
    let effects = take(&mut view, 0, ended(EndCause::Idle, None));
    let [Effect::Run { prompt, session, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(prompt.starts_with("PROMPT") && session.is_none(), "it reads the task again");
}

#[test]
fn a_limit_parks_the_agent_until_it_ends() {
    let mut view = at(Phase::Running);
    let done =
        Done { success: false, message: "m".into(), status: Some(429), retry_ms: Some(9_000) };
    take(&mut view, 0, Input::Told { key: KEY, fact: Fact::Done(done) });
    assert_eq!(names(&take(&mut view, 0, ended(EndCause::Exited, Some(1)))), ["Save", "task.fail"]);
    assert_eq!(view.parked_until_ms, Some(9_000), "whatever the wall clock is set to");
    assert!(!view.is_free(8_999));
}

#[test]
fn a_task_whose_time_is_used_up_is_not_tried_again() {
    let mut view = at(Phase::Running);
    let effects = take(&mut view, 0, ended(EndCause::Wall, None));
    let [_, Effect::Post { verbs, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let [Verb::TaskFail(fail)] = verbs.as_slice() else { panic!("{verbs:?}") };
    assert_eq!((fail.class.as_str(), fail.hard), ("timeout", false));
    assert!(fail.message.contains("max_wall_s"), "{}", fail.message);
}

#[test]
fn a_task_over_its_ceiling_is_stopped() {
    let mut view = at(Phase::Running);
    let usage = |cost| Usage { cost_micros: Some(cost), ..Usage::default() };
    let told = |usage| Input::Told { key: KEY, fact: Fact::Usage(usage) };
    assert!(take(&mut view, 0, told(usage(999_999))).is_empty());
    assert_eq!(names(&take(&mut view, 0, told(usage(1)))), ["StopTool"]);
    let effects = take(&mut view, 0, ended(EndCause::Stopped, None));
    let [_, Effect::Post { verbs, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let [Verb::TaskFail(fail)] = verbs.as_slice() else { panic!("{verbs:?}") };
    assert_eq!(fail.class, "budget");
    assert_eq!(fail.usage.unwrap().cost_micro_usd, Some(1_000_000));
}
