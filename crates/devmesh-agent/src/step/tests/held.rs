//! What the coordinator says is held, against what is known here.

use std::collections::BTreeSet;

use devmesh_protocol::LeaseId;
use devmesh_protocol::view::LeaseView;

use super::*;
use crate::input::LeasesSeen;

fn id(seq: u64) -> LeaseId {
    format!("l-{seq}-0").parse().unwrap()
}

/// A beat's answer with these leases.
fn beat(view: &mut View, leases: &[u64]) -> Vec<String> {
    let leases = leases.iter().copied().map(id).collect();
    let answer = Some(BeatReply { leases, ..reply(0, None) });
    let session = view.session.clone();
    names(&take(view, 0, Input::Beaten { sent_ms: 0, session, answer }))
}

fn lease(seq: u64, path: &str, task: Option<u64>) -> LeaseView {
    serde_json::from_value(json!({
        "lease": format!("l-{seq}-0"), "token": seq, "repo": "app", "path": path,
        "mode": "write", "actor": "codex-1", "session": "s1",
        "task": task.map(|task| format!("t-{task}")), "granted_at": "2026-01-01T00:00:00Z",
        "ttl_ms": 15_000,
    }))
    .unwrap()
}

fn see(view: &mut View, leases: Vec<LeaseView>, awarded: &[u64]) -> Vec<Effect> {
    let awarded: BTreeSet<TaskId> = awarded.iter().copied().map(TaskId).collect();
    let session = view.session.clone();
    take(view, 0, Input::LeasesSeen { session, seen: LeasesSeen { leases, awarded } })
}

fn released(effects: &[Effect]) -> Vec<LeaseId> {
    let [Effect::Tell { verb, .. }] = effects else { panic!("{effects:?}") };
    let Verb::LockRelease(body) = &**verb else { panic!("{verb:?}") };
    body.leases.clone()
}

#[test]
fn a_lease_that_nobody_wants_is_given_back_after_two_beats() {
    let mut view = at(Phase::Running);
    assert!(beat(&mut view, &[3, 4, 5]).is_empty(), "it may be on its way");
    assert_eq!(beat(&mut view, &[3, 4, 5]), ["LookAtLeases"]);
    let leases = || vec![lease(3, "a", Some(1)), lease(4, "b", Some(9)), lease(5, "c", None)];
    assert_eq!(released(&see(&mut view, leases(), &[])), [id(4), id(5)]);
    assert_eq!(beat(&mut view, &[3, 4, 5]), ["LookAtLeases"], "until it is gone");
    assert_eq!(released(&see(&mut view, leases(), &[])), [id(4), id(5)]);
    assert!(beat(&mut view, &[3]).is_empty());
    assert!(beat(&mut view, &[3]).is_empty(), "the own task's is known by now");
}

#[test]
fn leases_of_an_award_that_went_by_unheard_are_kept_and_the_award_looked_up() {
    let mut view = view();
    beat(&mut view, &[3]);
    assert_eq!(beat(&mut view, &[3]), ["LookAtLeases"]);
    let effects = see(&mut view, vec![lease(3, "a", Some(1))], &[1]);
    assert_eq!(names(&effects), ["Reconcile"]);
}

#[test]
fn nothing_is_concluded_while_an_answer_is_awaited_or_what_is_held_changes() {
    let mut view = at(Phase::Leasing { rest: Vec::new(), refused: 0, verified: false });
    for _ in 0..3 {
        assert!(beat(&mut view, &[3]).is_empty());
    }
    let mut view = at(Phase::Running);
    beat(&mut view, &[3]);
    beat(&mut view, &[3]);
    assert!(see(&mut view, vec![lease(4, "b", None)], &[]).is_empty(), "another list");
    view.attempt.as_mut().unwrap().phase = Phase::Queueing;
    assert!(see(&mut view, vec![lease(3, "b", None)], &[]).is_empty(), "asked for meanwhile");
}

#[test]
fn a_lease_that_was_gone_before_any_beat_told_of_it_is_not_believed_in() {
    let mut view = at(Phase::Leasing { rest: vec!["a".into()], refused: 0, verified: false });
    answer(&mut view, "lock.acquire", done(json!({})));
    assert_eq!(*phase(&view), Phase::Refreshing);
    assert_eq!(beat(&mut view, &[]), ["LookAtLeases"]);
    see(&mut view, Vec::new(), &[]);
    assert!(view.attempt.as_ref().unwrap().leased.is_empty());
}

#[test]
fn a_lease_that_is_gone_is_not_believed_in() {
    let mut view = at(Phase::Verifying);
    let leased = ["a", "b", "dir/c"].map(str::to_owned).into();
    view.attempt.as_mut().unwrap().leased = leased;
    beat(&mut view, &[3, 4]);
    assert_eq!(beat(&mut view, &[3, 4]), ["LookAtLeases"]);
    let leases = vec![lease(3, "a", Some(1)), lease(4, "dir/", Some(1))];
    assert!(see(&mut view, leases, &[1]).is_empty());
    let kept: Vec<String> = view.attempt.as_ref().unwrap().leased.iter().cloned().collect();
    assert_eq!(kept, ["a", "dir/c"], "the folder's covers what is in it");
    beat(&mut view, &[]);
    assert_eq!(beat(&mut view, &[]), ["LookAtLeases"], "all are gone");
    assert!(see(&mut view, Vec::new(), &[]).is_empty());
    assert!(view.attempt.as_ref().unwrap().leased.is_empty());
}
