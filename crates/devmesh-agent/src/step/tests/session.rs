//! Joining, beating, and what ends a session or an attempt from outside.

use super::*;

#[test]
fn beats_go_out_every_four_seconds_and_joins_when_due() {
    let mut view = view();
    assert!(take(&mut view, 3_999, Input::Tick).is_empty());
    assert_eq!(names(&take(&mut view, 4_000, Input::Tick)), ["Beat"]);
    view.standing = Standing::Out { join_at_ms: 9_000 };
    assert!(take(&mut view, 8_999, Input::Tick).is_empty());
    assert_eq!(names(&take(&mut view, 9_000, Input::Tick)), ["Join"]);
    let session = view.session.clone();
    let effects = take(&mut view, 9_100, Input::Joined { session, answer: done(json!({})) });
    assert_eq!(names(&effects), ["Beat", "Resend"], "what was done is told before anything else");
}

#[test]
fn a_dead_session_is_renewed_and_a_live_rival_waited_out() {
    let mut view = view();
    view.standing = Standing::Joining;
    let session = view.session.clone();
    let dead =
        Input::Joined { session: session.clone(), answer: refused(Code::AgentNotRegistered) };
    assert_eq!(names(&take(&mut view, 0, dead)), ["RenewSession"]);
    let rival = Rejection::new(Code::NotPermitted, "here").retry_after(30_000);
    view.standing = Standing::Joining;
    let effects = take(&mut view, 0, Input::Joined { session, answer: Answer::Refused(rival) });
    assert!(effects.is_empty());
    assert_eq!(view.standing, Standing::Out { join_at_ms: 30_000 });
}

#[test]
fn a_gap_in_the_notices_is_looked_into_once() {
    let mut view = view();
    let beaten = |view: &mut View, seq| {
        let answer = Some(reply(seq, None));
        let session = view.session.clone();
        take(view, 0, Input::Beaten { sent_ms: 0, session, answer })
    };
    assert!(beaten(&mut view, 7).is_empty(), "the notice may be on its way");
    assert_eq!(names(&beaten(&mut view, 7)), ["Reconcile"]);
    assert!(beaten(&mut view, 7).is_empty());
}

#[test]
fn work_that_was_given_unheard_is_found_by_the_second_beat_that_names_it() {
    let beaten = |view: &mut View, work| {
        let answer = Some(BeatReply { work, ..reply(0, None) });
        let session = view.session.clone();
        take(view, 0, Input::Beaten { sent_ms: 0, session, answer })
    };
    let mut view = view();
    assert!(beaten(&mut view, Some(TaskId(9))).is_empty(), "the notice may be on its way");
    assert!(beaten(&mut view, Some(TaskId(8))).is_empty());
    let found = beaten(&mut view, Some(TaskId(8)));
    assert!(matches!(found[..], [Effect::FindWork(TaskId(8))]), "{found:?}");
    assert!(beaten(&mut view, None).is_empty());
    let mut view = at(Phase::Running);
    let own = Some(KEY.task);
    assert!(beaten(&mut view, own).is_empty());
    assert!(beaten(&mut view, own).is_empty(), "it is at work on it");
    view.leaving = true;
    view.attempt = None;
    assert!(beaten(&mut view, own).is_empty(), "leaving ends it");
}

#[test]
fn who_was_unheard_for_longer_than_leases_live_joins_again() {
    let mut view = view();
    let ttl_ms = view.me.ttl_ms;
    let beaten = |view: &mut View, sent_ms| {
        let answer = Some(reply(0, None));
        let session = view.session.clone();
        names(&take(view, sent_ms, Input::Beaten { sent_ms, session, answer }))
    };
    assert!(beaten(&mut view, 1_000).is_empty());
    assert!(beaten(&mut view, 5_000).is_empty(), "heard in time");
    assert_eq!(beaten(&mut view, 5_000 + ttl_ms), ["Join"]);
}

#[test]
fn only_an_own_award_of_this_session_begins_an_attempt() {
    let mut view = view();
    assert!(notice(&mut view, 5, award("another")).is_empty());
    assert_eq!(names(&notice(&mut view, 5, award("s1"))), ["LookUp"]);
    assert_eq!(view.attempt.as_ref().unwrap().token, 5, "the award's record is the token");
    let looked = Input::LookedUp { key: KEY, job: Ok(Box::new(job())) };
    assert_eq!(names(&take(&mut view, 0, looked)), ["task.start"]);
    assert_eq!(names(&answer(&mut view, "task.start", done(json!({})))), ["Prepare"]);
}

#[test]
fn nobody_busy_paused_draining_parked_or_leaving_looks_at_an_auction() {
    let opened =
        || devmesh_protocol::event::task::AuctionOpened { task: TaskId(2), closes_at: At(1) };
    let set: [fn(&mut View); 5] = [
        |view| view.attempt = Some(Attempt::awarded(KEY, 5)),
        |view| view.paused = true,
        |view| view.draining = true,
        |view| view.parked_until_ms = Some(2_000_000),
        |view| view.leaving = true,
    ];
    for set in set {
        let mut view = view();
        set(&mut view);
        assert!(notice(&mut view, 1, opened()).is_empty());
    }
    assert_eq!(names(&notice(&mut view(), 1, opened())), ["LookAt"]);
}

#[test]
fn a_stale_token_ends_the_attempt_wherever_it_is() {
    let phases = [Phase::Starting, Phase::Announcing, Phase::Telling, Phase::Queueing];
    let verbs = ["task.start", "task.progress", "task.verified", "land.begin"];
    for (phase, verb) in phases.into_iter().zip(verbs) {
        let mut view = at(phase);
        assert_eq!(names(&answer(&mut view, verb, refused(Code::StaleToken))), ["Drop"]);
    }
}

#[test]
fn a_lost_session_drops_the_attempt_and_begins_another() {
    let mut view = at(Phase::Running);
    let (actor, session) = (view.me.actor.clone(), view.session.clone());
    let lost = SessionLost { actor, session, silent_ms: 30_000 };
    assert_eq!(names(&notice(&mut view, 9, lost)), ["Drop", "RenewSession"]);
    assert!(take(&mut view, 0, Input::Dropped(KEY)).is_empty());
    assert!(take(&mut view, 0, Input::Tick).is_empty(), "the dead session does not join");
    let renewed = Input::SessionRenewed(SessionId::new("s2").unwrap());
    assert_eq!(names(&take(&mut view, 0, renewed)), ["Join"]);
}

#[test]
fn a_pause_freezes_the_tool_and_holds_the_landing() {
    let mut view = at(Phase::Running);
    let paused = mesh::MeshPaused { now: true, reason: None };
    assert_eq!(names(&notice(&mut view, 9, paused)), ["Freeze"]);
    view.beat_sent_ms = Some(100_000);
    assert!(take(&mut view, 100_000, Input::Tick).is_empty(), "nothing to save while it stands");
    let mut attempt = view.attempt.take().unwrap();
    assert!(attempt::queue(&mut attempt, view.session.clone()).is_empty());
    view.attempt = Some(attempt);
    let effects = notice(&mut view, 10, mesh::MeshResumed {});
    assert_eq!(names(&effects), ["Thaw", "land.begin"]);
}

#[test]
fn a_beat_tells_of_a_pause_and_of_its_end_where_the_notice_was_lost() {
    let mut view = at(Phase::Running);
    let beaten = |view: &mut View, seq, mesh, work| {
        let (session, answer) =
            (view.session.clone(), Some(reply(seq, Some(Pause { mesh, work }))));
        names(&take(view, 0, Input::Beaten { sent_ms: 0, session, answer }))
    };
    let paused = mesh::MeshPaused { now: true, reason: None };
    assert_eq!(names(&notice(&mut view, 9, paused)), ["Freeze"]);
    assert!(beaten(&mut view, 8, false, false).is_empty(), "older than what was heard");
    assert!(view.paused);
    assert!(beaten(&mut view, 9, true, true).is_empty(), "nothing new");
    assert_eq!(beaten(&mut view, 10, false, false), ["Thaw"]);
    assert!(!view.paused);
    assert_eq!(beaten(&mut view, 11, true, true), ["Freeze"]);
    assert!(view.paused);
    assert_eq!(beaten(&mut view, 12, true, false), ["Thaw"], "paused, and not at once");
    assert!(view.paused);
}

#[test]
fn a_shutdown_gives_the_task_back_but_lets_a_landing_end() {
    let mut view = at(Phase::Running);
    let effects = take(&mut view, 0, Input::Shutdown);
    assert_eq!(names(&effects), ["Halt", "Save", "task.abandon"]);
    assert_eq!(names(&take(&mut view, 0, Input::Posted { key: KEY, refused: None })), ["Drop"]);
    assert_eq!(names(&take(&mut view, 0, Input::Dropped(KEY))), ["Leave"]);
    assert_eq!(names(&take(&mut view, 0, Input::Left)), ["Exit"]);
    let mut view = at(Phase::Landing);
    assert!(take(&mut view, 0, Input::Shutdown).is_empty());
}
