//! Planning a goal: what is prepared, run, published, and told to the tool again.

use devmesh_protocol::command::task::Kind;
use devmesh_protocol::event::plan::TaskPlanned;

use super::*;

const PLAN: &str = r#"{"text":"how","tasks":[{"key":"a","title":"A"}]}"#;

/// A view with an attempt at a goal in that phase.
fn planning(phase: Phase) -> View {
    let mut view = at(phase);
    let attempt = view.attempt.as_mut().unwrap();
    attempt.job.as_mut().unwrap().task.kind = Kind::Plan;
    attempt.work = None;
    view
}

fn says(view: &mut View, text: &str) {
    take(view, 1, Input::Told { key: KEY, fact: Fact::Message(text.into()) });
}

fn ends(view: &mut View) -> Vec<Effect> {
    let end = ToolEnd {
        cause: EndCause::Exited,
        exit: Some(0),
        marks_end: false,
        tail: String::new(),
        rate_limited: false,
        sign_in: false,
        lost_session: false,
        reset_at_ms: None,
    };
    take(view, 2, Input::ToolEnded { key: KEY, end })
}

fn published(effects: &[Effect]) -> devmesh_protocol::command::mesh::FrameworkPublish {
    let [Effect::Send { verb, .. }] = effects else { panic!("{effects:?}") };
    let Verb::FrameworkPublish(body) = &**verb else { panic!("{verb:?}") };
    body.clone()
}

#[test]
fn a_goal_is_prepared_and_its_plan_published() {
    let mut view = planning(Phase::Starting);
    assert_eq!(names(&answer(&mut view, "task.start", done(json!({})))), ["PreparePlan"]);
    let place = view.attempt.as_ref().unwrap().place.clone().unwrap();
    let ready = Prepared { place, work: None, said: 0, conflicts: Vec::new() };
    let run = take(&mut view, 0, Input::Prepared { key: KEY, place: Ok(Box::new(ready)) });
    assert_eq!(names(&run), ["Run"], "no base is proven for it");
    says(&mut view, "I looked around.");
    says(&mut view, PLAN);
    let body = published(&ends(&mut view));
    assert_eq!((body.task, body.attempt, body.token), (Some(TaskId(1)), Some(1), Some(5)));
    assert_eq!((body.text.as_str(), body.graph.len()), ("how", 1));
    let over = answer(&mut view, "framework.publish", done(json!({ "version": 1 })));
    assert_eq!(names(&over), ["Vacate"], "nothing of the worktree is saved");
    assert_eq!(*phase(&view), Phase::Dropping);
}

#[test]
fn what_the_tool_says_last_counts_where_it_says_it_in_the_end_only() {
    let mut view = planning(Phase::Running);
    let said = Done { success: true, message: PLAN.into(), ..Done::default() };
    take(&mut view, 1, Input::Told { key: KEY, fact: Fact::Done(said) });
    assert_eq!(published(&ends(&mut view)).text, "how");
}

#[test]
fn a_bad_plan_goes_back_with_the_exact_error_and_the_same_again_ends_it() {
    let mut view = planning(Phase::Running);
    says(&mut view, r#"{"text":"how","tasks":[{"key":"a","title":"A","depends_on":["b"]}]}"#);
    let effects = ends(&mut view);
    let [Effect::Run { prompt, session, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert!(prompt.contains("no task of the plan has the key \"b\""), "{prompt}");
    assert_eq!(session.as_deref(), Some("tool-1"), "in the same session");
    says(&mut view, PLAN);
    assert_eq!(published(&ends(&mut view)).graph.len(), 1, "and then it is mended");
    let mut view = planning(Phase::Running);
    says(&mut view, "{\"text\":\"how\",\"tasks\":[]}");
    assert_eq!(names(&ends(&mut view)), ["Run"]);
    // What it said before is not what it says now.
    says(&mut view, "no");
    let effects = ends(&mut view);
    let [Effect::Run { prompt, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert!(prompt.contains("no JSON object"), "{prompt}");
    says(&mut view, "no");
    let effects = ends(&mut view);
    let [Effect::Post { verbs, .. }] = &effects[..] else { panic!("{effects:?}") };
    let Verb::TaskFail(fail) = &verbs[0] else { panic!("{verbs:?}") };
    assert_eq!((fail.class.as_str(), fail.hard), ("plan", false));
    assert!(fail.message.contains("no JSON object"), "{}", fail.message);
    let end = take(&mut view, 3, Input::Posted { key: KEY, refused: None });
    assert_eq!(names(&end), ["Vacate"]);
}

#[test]
fn what_the_mesh_refuses_is_mended_or_given_back() {
    let refuse = |code: Code| {
        let mut view = planning(Phase::Proposing);
        names(&answer(&mut view, "framework.publish", refused(code)))
    };
    assert_eq!(refuse(Code::LimitExceeded), ["Run"]);
    assert_eq!(refuse(Code::DependencyError), ["Run"]);
    assert_eq!(refuse(Code::TaskStateError), ["task.abandon"]);
    assert_eq!(refuse(Code::StaleToken), ["Vacate"]);
}

#[test]
fn planning_is_not_saved_and_ends_when_the_log_says_so() {
    let mut view = planning(Phase::Running);
    assert!(names(&take(&mut view, 60_000, Input::Tick)).iter().all(|name| name != "Save"));
    let planned = TaskPlanned {
        task: TaskId(1),
        attempt: 1,
        framework: 1,
        tasks: Vec::new(),
        unknown: Vec::new(),
        usage: None,
    };
    let mut other = planning(Phase::Proposing);
    assert_eq!(names(&notice(&mut other, 9, planned)), ["Vacate"]);
    assert_eq!(names(&take(&mut view, 0, Input::Shutdown)), ["Halt", "task.abandon"]);
}

/// An answer without end costs a bounded share of memory, and says so.
#[test]
fn a_huge_answer_is_cut_and_told() {
    let mut view = planning(Phase::Running);
    let line = "é".repeat(50_000);
    says(&mut view, &PLAN.replace("}]}", "}],"));
    for _ in 0..40 {
        says(&mut view, &line);
        assert!(view.attempt.as_ref().unwrap().words.len() <= 2 << 20);
    }
    let effects = ends(&mut view);
    let [Effect::Run { prompt, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert!(prompt.contains("only the last 524288 bytes of it were read"), "{prompt}");
}

/// What a person says meanwhile is the tool's next turn before its plan is taken.
#[test]
fn what_is_said_meanwhile_comes_first() {
    let mut view = planning(Phase::Running);
    view.attempt.as_mut().unwrap().news.push("alice (say): smaller".into());
    says(&mut view, PLAN);
    let effects = ends(&mut view);
    let [Effect::Run { prompt, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert!(prompt.contains("smaller"), "{prompt}");
}
