//! Waiting for a review, and looking at others' work.

use super::*;

#[test]
fn a_review_is_waited_for_and_a_rejection_goes_to_the_tool() {
    let mut view = at(Phase::Verifying);
    let reviewed = |verdict| TaskReviewed {
        task: TaskId(1),
        attempt: 1,
        what: devmesh_protocol::command::task::Reviewed::Diff,
        verdict,
        comments: None,
        by: ActorId::new("alice").unwrap(),
    };
    use devmesh_protocol::command::task::{Judgement, ReviewBy};
    view.attempt.as_mut().unwrap().job.as_mut().unwrap().task.review = ReviewBy::Person;
    take(&mut view, 0, Input::Verified { key: KEY, verdict: Ok(Verdict::Passed(receipt())) });
    let effects = answer(&mut view, "task.verified", done(json!({})));
    assert_eq!(names(&effects), ["Drop"], "nobody waits for a person");
    assert_eq!(names(&take(&mut view, 0, Input::Dropped(KEY))), ["Reconcile"]);
    // One whose evidence the coordinator finds unapproved only when it wants to land stays.
    let mut view = at(Phase::Queueing);
    answer(&mut view, "land.begin", refused(Code::ReviewRequired));
    assert_eq!(*phase(&view), Phase::Reviewing);
    let mut approved = View { attempt: view.attempt.clone(), ..self::view() };
    assert_eq!(names(&notice(&mut approved, 8, reviewed(Judgement::Approve))), ["land.begin"]);
    assert_eq!(names(&notice(&mut view, 8, reviewed(Judgement::Reject))), ["ReadSaid"]);
    let effects = take(&mut view, 0, Input::Said { key: KEY, words: Vec::new() });
    assert_eq!(names(&effects), ["Run"], "a rejection without words is one too");
}

#[test]
fn a_diff_that_touches_what_proves_it_waits_for_a_person() {
    let mut view = at(Phase::Verifying);
    view.attempt.as_mut().unwrap().work = Some(work(&["a.txt", ".github/workflows/ci.yml"]));
    let verdict = Ok(Verdict::Passed(receipt()));
    let effects = take(&mut view, 0, Input::Verified { key: KEY, verdict });
    let [Effect::Send { verb, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let Verb::TaskVerified(body) = verb.as_ref() else { panic!("{verb:?}") };
    assert_eq!(body.receipt.guarded, [".github/workflows/ci.yml"]);
    assert_eq!(names(&answer(&mut view, "task.verified", done(json!({})))), ["Drop"]);
}

fn review_given(session: &str) -> devmesh_protocol::event::task::ReviewAssigned {
    serde_json::from_value(json!({
        "task": "t-7", "attempt": 2, "reviewer": "codex-1", "session": session, "host": "h1",
        "needs": { "ram_mb": 0, "vram_mb": 0, "slots": 1 }, "tree": "t", "deadline": "2026-01-01T00:00:00Z",
    }))
    .unwrap()
}

const OTHERS: Key = Key { task: TaskId(7), attempt: 2 };

/// A view whose tool looks at another's work.
fn reviewing() -> View {
    let mut view = view();
    assert!(notice(&mut view, 1, review_given("another")).is_empty());
    assert_eq!(names(&notice(&mut view, 2, review_given("s1"))), ["PrepareReview"]);
    let prompt = Ok("LOOK".to_owned());
    let effects = take(&mut view, 0, Input::ReviewPrepared { key: OTHERS, prompt });
    assert_eq!(names(&effects), ["Run"]);
    assert!(!view.is_free(0), "it bids for nothing meanwhile");
    view
}

fn looked(view: &mut View, words: &[&str], exit: i32) -> serde_json::Value {
    for word in words {
        let fact = Fact::Message((*word).to_owned());
        take(view, 0, Input::Told { key: OTHERS, fact });
    }
    let Input::ToolEnded { end, .. } = ended(EndCause::Exited, Some(exit)) else { panic!() };
    let effects = take(view, 0, Input::ToolEnded { key: OTHERS, end });
    let [Effect::Send { verb, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let Verb::TaskReview(body) = verb.as_ref() else { panic!("{verb:?}") };
    serde_json::to_value(body).unwrap()
}

#[test]
fn a_review_ends_with_the_tools_verdict_and_frees_the_agent() {
    let mut view = reviewing();
    let told = looked(&mut view, &["It drops the error.", "VERDICT: reject"], 0);
    let wanted = json!({ "task": "t-7", "what": "diff", "verdict": "reject",
        "comments": "It drops the error.", "tree": "t" });
    assert_eq!(told, wanted);
    let answered = Input::Answered { key: OTHERS, verb: "task.review", answer: done(json!({})) };
    assert_eq!(names(&take(&mut view, 0, answered)), ["Vacate"]);
    assert_eq!(names(&take(&mut view, 0, Input::Dropped(OTHERS))), ["Reconcile"]);
    assert!(view.is_free(0));
}

#[test]
fn a_review_without_a_verdict_is_somebody_elses() {
    assert_eq!(looked(&mut reviewing(), &["Looks good to me!"], 0)["verdict"], "abstain");
    assert_eq!(looked(&mut reviewing(), &["VERDICT: approve"], 1)["verdict"], "abstain");
    let mut leaving = view();
    take(&mut leaving, 0, Input::Shutdown);
    let effects = notice(&mut leaving, 2, review_given("s1"));
    let [Effect::Tell { verb, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(format!("{verb:?}").contains("Abstain"), "{verb:?}");
}

/// An agent is free for the mesh as soon as its attempt has ended; for itself a moment later.
#[test]
fn a_review_that_comes_while_the_last_work_is_put_away_is_begun_after_it() {
    let mut view = at(Phase::Dropping);
    assert!(notice(&mut view, 50, review_given("s1")).is_empty());
    assert!(view.review.is_none());
    assert_eq!(names(&take(&mut view, 0, Input::Dropped(KEY))), ["PrepareReview"]);
    // That its attempt has ended it may not have heard; what is older says nothing of it.
    let mut view = at(Phase::Running);
    view.attempt.as_mut().unwrap().token = 40;
    assert!(notice(&mut view, 39, review_given("s1")).is_empty());
    assert_eq!(*phase(&view), Phase::Running);
    assert_eq!(names(&notice(&mut view, 41, review_given("s1"))), ["Drop"]);
    assert_eq!(names(&take(&mut view, 0, Input::Dropped(KEY))), ["PrepareReview"]);
    // Nor that a review before it is over; the same one twice is one.
    let mut view = reviewing();
    assert!(notice(&mut view, 50, review_given("s1")).is_empty());
    let mut next = review_given("s1");
    next.task = TaskId(9);
    assert_eq!(names(&notice(&mut view, 51, next.clone())), ["Vacate"]);
    assert_eq!(names(&take(&mut view, 0, Input::Dropped(OTHERS))), ["PrepareReview"]);
    assert_eq!(view.review.as_ref().unwrap().key.task, TaskId(9));
    // Unless that is over as well by then.
    use devmesh_protocol::event::task::{ReviewLapse, ReviewLapsed};
    let mut view = at(Phase::Dropping);
    notice(&mut view, 50, next);
    let reviewer = ActorId::new("codex-1").unwrap();
    let why = ReviewLapse::NotNeeded;
    notice(&mut view, 51, ReviewLapsed { task: TaskId(9), reviewer, why });
    assert_eq!(names(&take(&mut view, 0, Input::Dropped(KEY))), ["Reconcile"]);
}

#[test]
fn a_review_that_is_taken_away_or_outlived_stops_and_tells_nothing() {
    use devmesh_protocol::event::task::{ReviewLapse, ReviewLapsed};
    let reviewer = ActorId::new("codex-1").unwrap();
    let lapsed =
        |task| ReviewLapsed { task, reviewer: reviewer.clone(), why: ReviewLapse::NotNeeded };
    let mut view = reviewing();
    assert!(notice(&mut view, 3, lapsed(TaskId(8))).is_empty());
    assert_eq!(names(&notice(&mut view, 4, lapsed(TaskId(7)))), ["Vacate"]);
    let Input::ToolEnded { end, .. } = ended(EndCause::Stopped, None) else { panic!() };
    assert!(take(&mut view, 0, Input::ToolEnded { key: OTHERS, end }).is_empty());
    assert_eq!(names(&take(&mut view, 0, Input::Dropped(OTHERS))), ["Reconcile"]);
    let mut view = reviewing();
    assert_eq!(names(&take(&mut view, 0, Input::Shutdown)), ["Vacate"]);
    assert_eq!(names(&take(&mut view, 0, Input::Dropped(OTHERS))), ["Leave"]);
}

#[test]
fn a_review_given_unheard_is_found_again() {
    let waiting = |session: &str| {
        let mut task = job().task;
        task.task = TaskId(7);
        task.parked = serde_json::from_value(json!({
            "attempt": 2, "actor": "cleo", "host": "h1", "at": "2026-01-01T00:00:00Z",
            "base_commit": "base", "commit": "c", "receipt": receipt().told(false),
            "approved": false,
        }))
        .unwrap();
        task.reviewer = serde_json::from_value(json!({
            "actor": "codex-1", "session": session, "assigned_at": "2026-01-01T00:00:00Z",
            "deadline": "2026-01-01T00:20:00Z",
        }))
        .unwrap();
        Input::Reconciled(vec![task])
    };
    let mut view = view();
    assert!(take(&mut view, 0, waiting("another")).is_empty());
    assert_eq!(names(&take(&mut view, 0, waiting("s1"))), ["PrepareReview"]);
    assert_eq!(view.review.as_ref().map(|review| review.key), Some(OTHERS));
    assert!(take(&mut view, 0, waiting("s1")).is_empty(), "once");
}
