//! Turns of the merge queue.

use super::*;

#[test]
fn work_that_was_parked_lands_with_the_evidence_that_it_has() {
    let parked = |tree: &str| {
        let mut view = at(Phase::Looking);
        let mut job = job();
        let receipt = receipt().told(false);
        job.task.attempt = serde_json::from_value(json!({
            "attempt": 1, "token": 5, "actor": "codex-1", "session": "s1", "host": "h1",
            "awarded_at": "2026-01-01T00:00:00Z", "started_at": null, "base_commit": null,
            "receipt": receipt, "approved": true, "turn": null,
            "usage": { "input_tokens": 0, "output_tokens": 0, "cost_micro_usd": null },
        }))
        .unwrap();
        take(&mut view, 0, Input::LookedUp { key: KEY, job: Ok(Box::new(job)) });
        assert_eq!(names(&answer(&mut view, "task.start", done(json!({})))), ["Prepare"]);
        let place = view.attempt.as_ref().unwrap().place.clone().unwrap();
        let work = Some(Work { tree: tree.into(), ..work(&["a.txt"]) });
        let place = Ok(Box::new(Prepared { place, work, said: 0, conflicts: Vec::new() }));
        let effects = take(&mut view, 0, Input::Prepared { key: KEY, place });
        (view, names(&effects))
    };
    let (mut view, effects) = parked("t");
    assert_eq!(effects, ["lock.acquire"]);
    assert_eq!(names(&answer(&mut view, "lock.acquire", done(json!({})))), ["land.begin"]);
    assert_eq!(parked("another").1, ["Run"], "other work has no evidence");
}

#[test]
fn what_has_landed_and_nobody_said_so_is_only_completed() {
    let found = |landed: bool| {
        let mut view = view();
        let mut task = job().task;
        task.attempt = serde_json::from_value(json!({
            "attempt": 1, "token": 5, "actor": "codex-1", "session": "s1", "host": "h1",
            "awarded_at": "2026-01-01T00:00:00Z", "started_at": "2026-01-01T00:00:00Z",
            "base_commit": null, "receipt": null, "approved": false, "turn": null,
            "landed": landed,
            "usage": { "input_tokens": 0, "output_tokens": 0, "cost_micro_usd": null },
        }))
        .unwrap();
        let effects = take(&mut view, 0, Input::Reconciled(vec![task]));
        (names(&effects), view.attempt.is_some())
    };
    assert_eq!(found(true), (vec!["task.complete".to_owned()], false));
    assert_eq!(found(false), (vec!["LookUp".to_owned()], true));
}

#[test]
fn a_turn_lands_with_what_is_believed_now() {
    let mut view = at(Phase::Queueing);
    view.belief.answered(1_000);
    let effects = answer(&mut view, "land.begin", done(json!({ "turn": 33, "head": "h" })));
    let [Effect::Land { order, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((order.turn, order.head.as_deref(), order.until_ms), (33, Some("h"), 14_500));
}

#[test]
fn a_landing_is_told_with_its_completion_and_then_the_slot_is_free() {
    let mut view = at(Phase::Landing);
    view.attempt.as_mut().unwrap().turn = Some(33);
    let landing = Landing::Landed {
        commit: "k".into(),
        tree: "t".into(),
        receipt: None,
        change: None,
        from: Some("h".into()),
        unsigned: None,
    };
    let landing = Ok((landing, Seen::default()));
    let effects = take(&mut view, 0, Input::Landed { key: KEY, landing, trees: Vec::new() });
    assert_eq!(names(&effects), ["Save", "land.end+task.complete"]);
    let told = notice(
        &mut view,
        40,
        AttemptEnded {
            task: TaskId(1),
            attempt: 1,
            why: Ended::Superseded,
            spent: false,
            next: Next::Completed,
            usage: None,
        },
    );
    assert!(told.is_empty(), "its own end is no news");
    let effects = take(&mut view, 0, Input::Posted { key: KEY, refused: None });
    assert_eq!(names(&effects), ["Finish"]);
    assert_eq!(names(&take(&mut view, 0, Input::Dropped(KEY))), ["Reconcile"]);
    assert!(view.attempt.is_none());
}

#[test]
fn each_way_not_to_land_gives_the_turn_back_first() {
    use crate::land::Conflict;
    let conflict = Conflict {
        ours: "h2".into(),
        theirs: "c".into(),
        paths: vec!["a.txt".into()],
        messages: String::new(),
    };
    let blocked = Landing::Blocked { reason: "dirty".into(), files: vec!["a.txt".into()] };
    let cases = [
        (Landing::Conflict(conflict), "conflict", "Rebase"),
        (Landing::NotLeased(vec!["z".into()]), "yielded", "lock.acquire"),
        (Landing::InDoubt, "yielded", "land.begin"),
        (Landing::TurnLost, "yielded", "land.begin"),
        (blocked, "blocked", "Drop"),
    ];
    for (landing, outcome, then) in cases {
        let mut view = at(Phase::Landing);
        let landing = Ok((landing, Seen::default()));
        let effects = take(&mut view, 0, Input::Landed { key: KEY, landing, trees: Vec::new() });
        let [Effect::Send { verb, .. }] = effects.as_slice() else { panic!("{effects:?}") };
        let Verb::LandEnd(end) = &**verb else { panic!("{verb:?}") };
        assert_eq!(serde_json::to_value(end.outcome).unwrap(), outcome);
        assert_eq!(names(&answer(&mut view, "land.end", done(json!({})))), [then]);
    }
}

#[test]
fn a_blocked_landing_is_tried_again_when_time_has_passed() {
    let mut view = at(Phase::Blocked);
    view.beat_sent_ms = Some(600_000);
    assert!(take(&mut view, 0, Input::Tick).is_empty());
    assert!(take(&mut view, 299_999, Input::Tick).is_empty());
    assert_eq!(names(&take(&mut view, 300_000, Input::Tick)), ["land.begin"]);
}

#[test]
fn work_proven_before_a_crash_goes_on_to_land() {
    let mut view = at(Phase::Preparing);
    let attempt = view.attempt.as_mut().unwrap();
    attempt.adopted = true;
    attempt.turn = Some(12);
    attempt.receipt = Some(ToldReceipt {
        tree: "t".into(),
        verdict: Told::Passed,
        steps: Vec::new(),
        host: "h1".into(),
        guarded: Vec::new(),
        merged: Vec::new(),
    });
    let place = attempt.place.clone().unwrap();
    let prepared = Prepared { place, work: Some(work(&["a.txt"])), said: 0, conflicts: Vec::new() };
    let effects = take(&mut view, 0, Input::Prepared { key: KEY, place: Ok(Box::new(prepared)) });
    assert_eq!(names(&effects), ["lock.acquire"]);
    let effects = answer(&mut view, "lock.acquire", done(json!({})));
    let [Effect::Land { order, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(order.turn, 12, "the turn it had");
}

#[test]
fn a_turn_of_a_process_before_is_given_back_where_the_work_is_not_as_it_was() {
    let mut view = at(Phase::Preparing);
    let attempt = view.attempt.as_mut().unwrap();
    (attempt.adopted, attempt.turn) = (true, Some(12));
    let place = attempt.place.clone().unwrap();
    let prepared = Prepared { place, work: None, said: 0, conflicts: Vec::new() };
    let effects = take(&mut view, 0, Input::Prepared { key: KEY, place: Ok(Box::new(prepared)) });
    assert_eq!(names(&effects), ["land.end"]);
    assert_eq!(names(&answer(&mut view, "land.end", done(json!({})))), ["Run"]);
}
