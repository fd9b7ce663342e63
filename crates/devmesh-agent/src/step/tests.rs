//! Decisions: given what is known, when this comes in, then that is to be done. Time is a number.

mod plan;

use std::path::PathBuf;

use devmesh_protocol::command::agent::Join;
use devmesh_protocol::command::task::{Receipt as ToldReceipt, Verdict as Told};
use devmesh_protocol::event::agent::SessionLost;
use devmesh_protocol::event::task::{AttemptEnded, Ended, Next, TaskAwarded, TaskReviewed};
use devmesh_protocol::event::{Notice, mesh};
use devmesh_protocol::report::{BeatReply, Pause};
use devmesh_protocol::view::{RepoView, TaskView};
use devmesh_protocol::{ActorId, At, Code, Event, HostId, Rejection, SessionId, TaskId, Verb};
use serde_json::json;

use super::*;
use crate::classify::{Class, Classified};
use crate::dialect::{Done, Fact, Usage};
use crate::input::{Answer, Captured, Prepared, Refreshed, ToolEnd};
use crate::land::{Landing, Seen};
use crate::process::EndCause;
use crate::verify::{Receipt, Verdict};
use crate::view::{Attempt, Job, Key, Me, Phase, Place, Standing, Work};

mod around;

const KEY: Key = Key { task: TaskId(1), attempt: 1 };

fn view() -> View {
    let actor = ActorId::new("codex-1").unwrap();
    let join = Join {
        tool: "codex".into(),
        host: HostId::new("h1").unwrap(),
        model: None,
        capabilities: Vec::new(),
        needs: Default::default(),
        repos: Vec::new(),
        for_persons: Vec::new(),
        seen: None,
    };
    let me =
        Me { actor, join, retries_max: 2, resumes: true, lease_wait_ms: 30_000, ttl_ms: 15_000 };
    let mut view = View::new(me, SessionId::new("s1").unwrap());
    view.standing = Standing::In;
    view.beat_sent_ms = Some(0);
    view
}

fn job() -> Job {
    let task: TaskView = serde_json::from_value(json!({
        "task": "t-1", "title": "T", "state": "working", "blocked": null, "repo": "app",
        "base": "main", "target": "devmesh/landed/main", "paths": [], "priority": 2,
        "depends_on": [], "needs": [], "tool": null, "review": "none", "key": null,
        "verify": ["true"], "flow": "merge", "max_attempts": 3, "max_cost_usd": 1.0,
        "max_wall_s": 60, "tries": 0, "by": "alice", "added_at": "2026-01-01T00:00:00Z",
        "ended_at": null, "commit": null, "question": null, "attempt": null, "attempts": [],
        "reverts": null,
    }))
    .unwrap();
    let repo: RepoView = serde_json::from_value(json!({
        "repo": "app", "url": null, "path": "/r", "base": "main", "target": "devmesh/landed/main",
        "verify": [], "setup": null, "head": null, "landing": null, "land_queue": [],
    }))
    .unwrap();
    Job { task, repo, repo_path: PathBuf::from("/r"), base_commit: "base".into() }
}

/// A view with an attempt in that phase, with everything that it has by then.
fn at(phase: Phase) -> View {
    let mut view = view();
    let mut attempt = Attempt::awarded(KEY, 5);
    attempt.phase = phase;
    attempt.job = Some(job());
    attempt.place = Some(Place {
        worktree: PathBuf::from("/w"),
        base: "base".into(),
        prompt: "PROMPT".into(),
        continues: false,
    });
    attempt.work = Some(work(&["a.txt"]));
    attempt.tool_session = Some("tool-1".into());
    view.attempt = Some(attempt);
    view
}

fn work(changed: &[&str]) -> Work {
    let changed = changed.iter().map(|path| (*path).to_owned()).collect();
    Work { commit: "c".into(), tree: "t".into(), base: "base".into(), changed }
}

fn take(view: &mut View, ms: u64, input: Input) -> Vec<Effect> {
    step(view, Timed { now: Now { ms, wall_ms: 1_000_000 + ms }, input })
}

fn notice(view: &mut View, seq: u64, event: impl Into<Event>) -> Vec<Effect> {
    let actor = ActorId::coordinator();
    let notice = Notice { seq, at: At(seq), actor, event: event.into() };
    take(view, 0, Input::Noticed(Box::new(notice)))
}

fn answer(view: &mut View, verb: &'static str, answer: Answer) -> Vec<Effect> {
    take(view, 0, Input::Answered { key: KEY, verb, answer })
}

fn done(result: serde_json::Value) -> Answer {
    Answer::Done { seq: Some(9), result }
}

fn refused(code: Code) -> Answer {
    Answer::Refused(Rejection::new(code, "no"))
}

fn phase(view: &View) -> &Phase {
    &view.attempt.as_ref().unwrap().phase
}

/// The names of effects, of commands their verbs.
fn names(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(name).collect()
}

fn name(effect: &Effect) -> String {
    match effect {
        Effect::Send { verb, .. } | Effect::Tell { verb, .. } => verb.name().to_owned(),
        Effect::Post { verbs, .. } => verbs.iter().map(Verb::name).collect::<Vec<_>>().join("+"),
        other => {
            let text = format!("{other:?}");
            text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
        }
    }
}

fn award(session: &str) -> TaskAwarded {
    TaskAwarded {
        task: TaskId(1),
        attempt: 1,
        actor: ActorId::new("codex-1").unwrap(),
        session: SessionId::new(session).unwrap(),
        host: HostId::new("h1").unwrap(),
        needs: Default::default(),
        device: None,
        start_by: At(0),
        bids: Vec::new(),
    }
}

fn ended(cause: EndCause, exit: Option<i32>) -> Input {
    let end = ToolEnd {
        cause,
        exit,
        marks_end: true,
        tail: "tail".into(),
        rate_limited: false,
        sign_in: false,
        reset_at_ms: None,
    };
    Input::ToolEnded { key: KEY, end }
}

fn tell_done(view: &mut View, success: bool, status: Option<u16>) {
    let done = Done { success, message: "m".into(), status, retry_ms: None };
    take(view, 0, Input::Told { key: KEY, fact: Fact::Done(done) });
}

fn receipt() -> Receipt {
    Receipt { tree: "t".into(), steps: Vec::new(), host: "h1".into() }
}

fn failed(class: Class, tail: &str) -> Input {
    let verdict = Verdict::Failed {
        receipt: receipt(),
        step: "test".into(),
        classified: Classified::of(class, tail),
        tail: tail.into(),
    };
    Input::Verified { key: KEY, verdict: Ok(verdict) }
}

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
    assert_eq!(view.parked_until_ms, Some(1_009_000));
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

fn refreshed(fresh: Option<Refreshed>) -> Input {
    Input::Refreshed { key: KEY, fresh: Ok(fresh) }
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

fn reply(seq: u64, pause: Option<Pause>) -> BeatReply {
    BeatReply { epoch: 1, seq, live: true, leases: Vec::new(), pause }
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
    let mut busy = at(Phase::Running);
    let effects = notice(&mut busy, 2, review_given("s1"));
    let [Effect::Tell { verb, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(format!("{verb:?}").contains("Abstain"), "{verb:?}");
    assert_eq!(*phase(&busy), Phase::Running);
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
