//! What has to wait keeps nobody from other work, and goes on from where it stood.

use devmesh_protocol::command::task::Judgement;
use devmesh_protocol::event::task::Blocked;
use devmesh_protocol::{At, TaskId};
use serde_json::json;

use super::{Tasks, check, name, story};
use crate::invariant::world::actor;

const STARTED: [&str; 3] =
    ["alice add {\"review\":\"person\",\"paths\":[\"src/\"]}", "close 1 codex", "codex start 1"];

fn idle(tasks: &Tasks, who: &str) -> bool {
    tasks.world.state.index.idle.contains(&actor(who))
}

#[track_caller]
fn holds_nothing(tasks: &Tasks, who: &str) {
    let state = &tasks.world.state;
    assert!(idle(tasks, who), "{who} is idle");
    assert!(state.leases.is_empty() && state.index.reserved.is_empty());
    assert!(state.lands.values().all(|queue| queue.turn.is_none() && queue.waiting.is_empty()));
}

/// The defect: a task in review kept its agent, so that nothing else was done at night.
#[test]
fn a_review_frees_its_agent() {
    let mut tasks = Tasks::after_all(&STARTED);
    assert!(!idle(&tasks, "codex"));
    assert_eq!(tasks.step("codex verify 1"), "task_verified t-1, attempt_ended t-1");
    assert_eq!(tasks.state(1), "review");
    holds_nothing(&tasks, "codex");
    assert_eq!(tasks.task(1).tries, 0);
    assert_eq!(tasks.task(1).saved, Some(name("c")));
    tasks.step("alice add");
    assert_eq!(tasks.step("close 2 codex"), "task_awarded t-2");
}

#[test]
fn approved_work_lands_with_its_evidence() {
    story(&[
        ("alice add {\"review\":\"person\"}", "task_added t-1, auction_opened t-1"),
        ("close 1 codex", "task_awarded t-1"),
        ("codex start 1", "task_started t-1"),
        ("codex verify 1 a", "task_verified t-1, attempt_ended t-1"),
        ("codex begin 1 a", "STALE_TOKEN"),
        ("claude approve 1", "NOT_PERMITTED"),
        ("alice approve 1 {\"tree\":\"bbbbbbbb\"}", "BAD_REQUEST"),
        ("alice approve 1", "task_reviewed t-1, auction_opened t-1"),
        ("close 1 claude", "task_awarded t-1"),
        ("claude start 1", "task_started t-1"),
        ("claude begin 1 b", "VERIFICATION_REQUIRED"),
        ("claude begin 1 a", "land_began t-1"),
        ("claude land 1 a", "land_ended t-1"),
        ("claude complete 1", "task_completed t-1"),
    ]);
    let mut tasks = Tasks::after_all(&STARTED);
    tasks.step("codex verify 1 a");
    let other = format!("alice approve 1 {{\"tree\":\"{}\"}}", name("b"));
    assert_eq!(tasks.step(&other), "TASK_STATE_ERROR");
    let seen = format!("alice approve 1 {{\"tree\":\"{}\"}}", name("a"));
    assert!(tasks.step(&seen).starts_with("task_reviewed"));
}

/// Whoever takes it up and does not get on leaves it approved.
#[test]
fn an_approval_outlives_an_award() {
    let given = [&STARTED[..], &["codex verify 1 a", "alice approve 1", "close 1 claude"]].concat();
    for end in ["after 5000", "claude abandon 1 {\"unspent\":true}", "silent claude 30000"] {
        let mut tasks = Tasks::after_all(&given);
        tasks.step(end);
        tasks.step("after 1000");
        assert_eq!(
            tasks.step("close 1 gemini"),
            "task_awarded t-1, gemini has intent src/",
            "{end}"
        );
        tasks.step("gemini start 1");
        assert_eq!(tasks.step("gemini begin 1 a"), "land_began t-1", "{end}");
    }
    // What is made anew is looked at anew.
    let mut tasks = Tasks::after_all(&given);
    tasks.step("claude start 1");
    assert_eq!(tasks.step("claude verify 1 b"), "task_verified t-1, attempt_ended t-1");
    assert_eq!(tasks.state(1), "review");
    // And what comes out the same is not.
    let mut tasks = Tasks::after_all(&given);
    tasks.step("claude start 1");
    assert_eq!(tasks.step("claude verify 1 a"), "task_verified t-1");
    assert_eq!(tasks.step("claude begin 1 a"), "land_began t-1");
}

#[test]
fn rejected_work_begins_again_from_its_save() {
    let given = [&STARTED[..], &["codex verify 1 a", "alice reject 1"]].concat();
    let mut tasks = Tasks::after_all(&given);
    assert_eq!((tasks.state(1), tasks.task(1).said[0].kind.as_str()), ("queued", "reject"));
    assert!(tasks.task(1).parked.is_none());
    tasks.step("close 1 claude");
    tasks.step("claude start 1");
    assert_eq!(tasks.step("claude begin 1 a"), "VERIFICATION_REQUIRED");
    assert_eq!(tasks.task(1).saved, Some(name("c")));
    assert_eq!(tasks.step("claude verify 1 a"), "task_verified t-1, attempt_ended t-1");
    // A rejection still stops what is on its way, until its turn has come.
    let approved = [&STARTED[..], &["codex verify 1 a", "alice approve 1"]].concat();
    check(&approved, "bob reject 1", "task_reviewed t-1");
    let taken = [&approved[..], &["close 1 claude"]].concat();
    let back = "task_reviewed t-1, attempt_ended t-1, auction_opened t-1";
    check(&taken, "bob reject 1", back);
    check(&[&taken[..], &["claude start 1"]].concat(), "bob reject 1", back);
    let turn = [&taken[..], &["claude start 1", "claude begin 1 a"]].concat();
    check(&turn, "bob reject 1", "TASK_STATE_ERROR");
    check(&STARTED, "alice reject 1 {\"what\":\"plan\"}", "task_reviewed t-1");
    check(&STARTED, "alice approve 1", "TASK_STATE_ERROR");
}

#[test]
fn a_guarded_diff_waits_for_a_person() {
    for review in ["none", "agent"] {
        let add = format!("alice add {{\"review\":\"{review}\"}}");
        story(&[
            (&add, "task_added t-1, auction_opened t-1"),
            ("close 1 codex", "task_awarded t-1"),
            ("codex start 1", "task_started t-1"),
            ("codex verify 1 a guarded", "task_verified t-1, attempt_ended t-1"),
            ("claude approve 1", "NOT_PERMITTED"),
            ("alice approve 1", "task_reviewed t-1, auction_opened t-1"),
            ("close 1 codex", "task_awarded t-1"),
            ("codex start 1", "task_started t-1"),
            ("codex begin 1 a", "land_began t-1"),
        ]);
    }
}

#[test]
fn blocked_landing_frees_its_agent_and_is_tried_again() {
    let began = [
        "alice add {\"paths\":[\"src/\"]}",
        "close 1 codex",
        "codex start 1",
        "codex verify 1",
        "codex begin 1",
    ];
    let mut tasks = Tasks::after_all(&began);
    let blocked = "land_ended t-1, task_blocked t-1, attempt_ended t-1";
    assert_eq!(tasks.step("codex end 1 blocked"), blocked);
    assert_eq!(tasks.state(1), "blocked");
    holds_nothing(&tasks, "codex");
    // By itself: after five minutes, then after ten, and so on, and not for ever.
    for minutes in [5, 10, 20, 40, 80, 80, 80, 80] {
        assert_eq!(tasks.step(&format!("after {}", minutes * 60_000 - 1)), "nothing");
        assert_eq!(tasks.step("after 1"), "task_unblocked t-1, auction_opened t-1");
        for step in ["close 1 codex", "codex start 1", "codex begin 1"] {
            tasks.step(step);
        }
        assert_eq!(tasks.step("codex end 1 blocked"), blocked);
    }
    assert_eq!(tasks.step("after 864000000"), "nothing");
    assert_eq!(tasks.step("alice resume 1"), "task_unblocked t-1, auction_opened t-1");
    assert_eq!(tasks.task(1).tries, 0);
}

#[test]
fn a_question_frees_its_agent() {
    let given = ["alice add", "close 1 codex", "codex start 1"];
    for ask in ["codex ask 1", "codex ask 1 {\"default\":\"no\"}"] {
        let mut tasks = Tasks::after_all(&given);
        assert_eq!(tasks.step(ask), "task_asked t-1, attempt_ended t-1");
        holds_nothing(&tasks, "codex");
        assert_eq!(tasks.state(1), "blocked");
        assert_eq!(tasks.step("after 86400000"), "nothing");
        let id = tasks.task(1).question.as_ref().unwrap().id;
        let answered = tasks.step(&format!("alice answer {id}"));
        assert_eq!(answered, "task_answered t-1, auction_opened t-1");
        assert_eq!(tasks.task(1).said[0].kind, "answer");
    }
    // Within its time the worker waits, and no longer.
    let mut tasks = Tasks::after_all(&given);
    assert_eq!(tasks.step("codex ask 1 {\"wait_s\":60}"), "task_asked t-1");
    assert_eq!(tasks.step("after 59999"), "nothing");
    assert_eq!(tasks.step("after 1"), "attempt_ended t-1");
    holds_nothing(&tasks, "codex");
    let question = tasks.task(1).question.as_ref().map(|question| question.id);
    assert_eq!(tasks.task(1).blocked, question.map(Blocked::Question));
    assert_eq!(tasks.step("alice cancel 1"), "task_cancelled t-1");
}

#[test]
fn a_held_attempt_frees_its_agent_after_a_while() {
    let given = ["alice add", "close 1 codex", "codex start 1", "alice pause 1"];
    let mut tasks = Tasks::after_all(&given);
    assert_eq!(tasks.step("after 599999"), "nothing");
    assert!(!idle(&tasks, "codex"));
    assert_eq!(tasks.step("after 1"), "attempt_ended t-1");
    holds_nothing(&tasks, "codex");
    assert_eq!((tasks.state(1), tasks.task(1).tries), ("paused", 0));
    assert_eq!(tasks.step("alice resume 1"), "task_resumed t-1, auction_opened t-1");
    // One that goes on in time keeps its worker.
    let mut tasks = Tasks::after_all(&given);
    tasks.step("alice resume 1");
    assert_eq!(tasks.step("after 86400000"), "nothing");
    assert_eq!(tasks.state(1), "working");
    // One that has landed is done, held or not.
    let landed = ["codex verify 1", "codex begin 1", "codex land 1", "alice pause 1"];
    let mut tasks = Tasks::after_all(&[&given[..3], &landed].concat());
    assert_eq!(tasks.step("after 86400000"), "nothing");
    assert_eq!(tasks.step("codex complete 1"), "task_completed t-1");
}

const FOR_AGENTS: [&str; 3] =
    ["alice add {\"review\":\"agent\"}", "close 1 codex", "codex start 1"];

fn reviewer(tasks: &Tasks, number: u64) -> Option<String> {
    tasks.task(number).reviewer.as_ref().map(|reviewer| reviewer.actor.to_string())
}

/// Another agent is given the review: not its author, and of the others the longest idle.
#[test]
fn an_agent_reviews_anothers_work() {
    let mut tasks = Tasks::after_all(&FOR_AGENTS);
    let came = "task_verified t-1, attempt_ended t-1, review_assigned t-1";
    assert_eq!(tasks.step("codex verify 1"), came);
    assert_eq!(reviewer(&tasks, 1).as_deref(), Some("claude"));
    assert!(!idle(&tasks, "claude") && idle(&tasks, "codex"));
    assert_eq!(tasks.step("codex approve 1"), "SELF_REVIEW");
    tasks.step("alice add");
    assert_eq!(tasks.step("claude bid 2"), "NOT_PERMITTED");
    assert_eq!(tasks.step("claude approve 1"), "task_reviewed t-1, auction_opened t-1");
    assert!(idle(&tasks, "claude") && tasks.world.state.index.reserved.is_empty());
    let tree = tasks.task(1).parked.as_ref().unwrap().review.clone();
    assert_eq!(tree, Some((name("a"), Judgement::Approve)));
    tasks.world.check_replay();
}

#[test]
fn a_review_is_given_on() {
    let given = [&FOR_AGENTS[..], &["codex verify 1"]].concat();
    // The assigned one abstains, is silent, leaves, or takes too long.
    for (step, ends) in [
        ("claude abstain 1", "review_lapsed t-1, review_assigned t-1"),
        ("after 1200000", "review_lapsed t-1, review_assigned t-1"),
        ("silent claude 30000", "session_lost claude, review_lapsed t-1, review_assigned t-1"),
        ("claude send agent.leave {}", "agent_left claude, review_lapsed t-1, review_assigned t-1"),
    ] {
        let mut tasks = Tasks::after_all(&given);
        assert_eq!(tasks.step(step), ends, "{step}");
        assert_eq!(reviewer(&tasks, 1).as_deref(), Some("gemini"), "{step}");
        tasks.world.check_replay();
    }
    check(&given, "gemini abstain 1", "NOT_OWNER");
    check(&given, "alice abstain 1", "NOT_OWNER");
    // A person is faster, or ends it: nobody reviews for nothing.
    check(&given, "alice approve 1", "review_lapsed t-1, task_reviewed t-1, auction_opened t-1");
    check(&given, "gemini approve 1", "review_lapsed t-1, task_reviewed t-1, auction_opened t-1");
    check(&given, "alice cancel 1", "review_lapsed t-1, task_cancelled t-1");
}

/// What agents cannot settle is a person's to decide.
#[test]
fn reviews_do_not_go_round_for_ever() {
    let mut tasks = Tasks::after_all(&[&FOR_AGENTS[..], &["codex verify 1"]].concat());
    let mut came = String::new();
    for _ in 0..3 {
        let who = reviewer(&tasks, 1).unwrap();
        came = tasks.step(&format!("{who} abstain 1"));
    }
    assert_eq!(came, "review_lapsed t-1, task_blocked t-1");
    assert_eq!(tasks.task(1).blocked, Some(Blocked::Decision));
    assert_eq!(tasks.step("after 86400000"), "nothing");
    let mut other = tasks.clone();
    assert_eq!(other.step("alice approve 1"), "task_reviewed t-1, auction_opened t-1");
    assert_eq!(tasks.step("alice resume 1"), "task_unblocked t-1, review_assigned t-1");

    let mut tasks = Tasks::after_all(&FOR_AGENTS);
    for n in 0..3 {
        tasks.step("codex verify 1");
        let who = reviewer(&tasks, 1).unwrap();
        let came = tasks.step(&format!("{who} reject 1"));
        assert_eq!(came.contains("task_blocked t-1"), n == 2, "{came}");
        tasks.step("close 1 codex");
        tasks.step("codex start 1");
    }
    assert_eq!(tasks.task(1).blocked, Some(Blocked::Decision));
    assert_eq!(tasks.step("alice resume 1"), "task_unblocked t-1, auction_opened t-1");
}

/// Nobody reviews what is out of their reach, and a review waits for somebody who can.
#[test]
fn a_review_waits_for_somebody_who_can() {
    let mut tasks = Tasks::after_all(&FOR_AGENTS);
    for who in ["claude", "gemini"] {
        tasks.step(&format!("alice send agent.drain {{\"agent\":\"{who}\"}}"));
    }
    assert_eq!(tasks.step("codex verify 1"), "task_verified t-1, attempt_ended t-1");
    assert_eq!(tasks.step("after 86400000"), "nothing");
    let join = "{\"tool\":\"x\",\"host\":\"host\",\"session\":\"new\"}";
    let came = tasks.step(&format!("newcomer send agent.join {join}"));
    assert_eq!(came, "agent_joined newcomer, review_assigned t-1");
    // It is not touched by a new term either, but its time is never cut short by one.
    let deadline = tasks.task(1).reviewer.as_ref().unwrap().deadline;
    assert_eq!(deadline, At(tasks.world.at.0 + 20 * 60_000));
    assert_eq!(tasks.world.state.index.tasks.reviews.len(), 0);
    assert_eq!(tasks.world.state.agents.get(&actor("newcomer")).unwrap().review, Some(TaskId(1)));
}

/// Whoever answers no auctions, and may be there for leases alone, looks at nothing while there is
/// somebody who does, be it at work; with nobody else it is asked too.
#[test]
fn a_review_waits_for_somebody_who_answers() {
    let is_absent =
        |tasks: &Tasks, who: &str| tasks.world.state.agents.get(&actor(who)).unwrap().is_absent();
    let mut tasks = Tasks::after_all(&FOR_AGENTS[..1]);
    for wait_ms in [1_000, 2_000, 4_000] {
        assert!(!is_absent(&tasks, "claude"), "once or twice is nothing");
        tasks.step("close 1");
        tasks.step(&format!("after {wait_ms}"));
    }
    tasks.step("close 1 codex");
    assert_eq!([is_absent(&tasks, "claude"), is_absent(&tasks, "codex")], [true, false]);
    for step in ["codex start 1", "alice add", "after 1000", "close 2 gemini", "gemini start 2"] {
        tasks.step(step);
    }
    let mut without = tasks.clone();
    assert_eq!(tasks.step("codex verify 1"), "task_verified t-1, attempt_ended t-1");
    let came = tasks.step("gemini fail 2 {\"hard\":true}");
    assert!(came.starts_with("attempt_ended t-2, review_assigned t-1"), "{came}");
    assert_eq!(reviewer(&tasks, 1).as_deref(), Some("gemini"));
    // Who lets a review lie does not answer either, until it does.
    assert_eq!(tasks.step("after 1200000"), "review_lapsed t-1, review_assigned t-1");
    assert!(is_absent(&tasks, "gemini"));
    assert_eq!(reviewer(&tasks, 1).as_deref(), Some("claude"));
    tasks.step("claude approve 1");
    assert!(!is_absent(&tasks, "claude"));
    tasks.world.check_replay();

    without.step("alice send agent.drain {\"agent\":\"gemini\"}");
    let came = "task_verified t-1, attempt_ended t-1, review_assigned t-1";
    assert_eq!(without.step("codex verify 1"), came);
    assert_eq!(reviewer(&without, 1).as_deref(), Some("claude"));
}

/// Nor is whoever has given it back asked again, while there is somebody who has not.
#[test]
fn a_review_that_was_given_back_waits_for_another() {
    let mut tasks = Tasks::after_all(&FOR_AGENTS);
    for step in ["alice add", "close 2 gemini", "gemini start 2", "codex verify 1"] {
        tasks.step(step);
    }
    assert_eq!(reviewer(&tasks, 1).as_deref(), Some("claude"));
    assert_eq!(tasks.step("claude abstain 1"), "review_lapsed t-1");
    assert_eq!(tasks.step("after 60000"), "nothing");
    let came = tasks.step("gemini fail 2 {\"hard\":true}");
    assert!(came.starts_with("attempt_ended t-2, review_assigned t-1"), "{came}");
    assert_eq!(reviewer(&tasks, 1).as_deref(), Some("gemini"));
    // Of two who have both given it back one is asked once more.
    assert_eq!(tasks.step("gemini abstain 1"), "review_lapsed t-1, review_assigned t-1");
}

/// Reviews come before new work, and one idle agent is not promised twice.
#[test]
fn reviews_come_before_new_work() {
    let mut tasks = Tasks::after_all(&FOR_AGENTS);
    tasks.step("alice add");
    tasks.step("close 2 claude");
    tasks.step("claude start 2");
    tasks.step("alice add");
    tasks.step("close 3 gemini");
    tasks.step("gemini start 3");
    tasks.step("alice add");
    tasks.step("codex verify 1");
    assert_eq!(reviewer(&tasks, 1), None);
    let came = tasks.step("claude fail 2 {\"hard\":true}");
    assert!(came.starts_with("attempt_ended t-2, review_assigned t-1"), "{came}");
    assert_eq!(reviewer(&tasks, 1).as_deref(), Some("claude"));
}

/// Nothing new begins while the mesh is paused, and a review is something new.
#[test]
fn a_paused_mesh_gives_no_reviews() {
    let mut tasks = Tasks::after_all(&FOR_AGENTS);
    tasks.step("alice send mesh.pause {}");
    assert_eq!(tasks.step("codex verify 1"), "task_verified t-1, attempt_ended t-1");
    assert_eq!(tasks.step("after 60000"), "nothing");
    assert_eq!(tasks.step("alice send mesh.resume {}"), "mesh_resumed mesh, review_assigned t-1");
}

/// Who is asked to bid is not given a review beside it, and what was searched in vain is not
/// searched again before something has changed.
#[test]
fn who_is_asked_to_bid_is_given_no_review() {
    let [gemini, codex, claude] = ["gemini", "codex", "claude"]
        .map(|who| format!("alice send agent.drain {{\"agent\":\"{who}\"}}"));
    let given = [&FOR_AGENTS[..], &[&gemini, &codex, "alice add"]].concat();
    let mut tasks = Tasks::after_all(&given);
    assert!(tasks.task(2).auction.is_some());
    assert_eq!(tasks.step("codex verify 1"), "task_verified t-1, attempt_ended t-1");
    let came = tasks.step("close 2");
    assert_eq!(came, "auction_lapsed t-2, review_assigned t-1");
    let is_fresh = |tasks: &Tasks| tasks.world.state.index.tasks.stirred.is_fresh_for_reviews();
    let mut tasks = Tasks::after_all(&[&FOR_AGENTS[..], &[&gemini, &claude]].concat());
    assert_eq!(tasks.step("codex verify 1"), "task_verified t-1, attempt_ended t-1");
    assert!(!is_fresh(&tasks), "nobody can look, and that is known");
    let join = json!({ "tool": "x", "host": "h", "session": "s" });
    assert!(tasks.send("ada", "agent.join", join).ends_with("review_assigned t-1"));
}

/// Whoever had a part in the work looks at it after those who had none, however long it is idle.
#[test]
fn who_worked_on_it_is_asked_last() {
    let mut tasks = Tasks::after_all(&["alice add {\"review\":\"agent\"}", "close 1 claude"]);
    for step in ["claude start 1", "claude abandon 1", "close 1 codex", "codex start 1"] {
        tasks.step(step);
    }
    for step in ["alice add", "close 2 gemini", "gemini start 2", "gemini fail 2 {\"hard\":true}"] {
        tasks.step(step);
    }
    let since = |who: &str| tasks.world.state.agents.get(&actor(who)).unwrap().idle_since;
    assert!(since("claude") < since("gemini"));
    tasks.step("codex verify 1");
    assert_eq!(reviewer(&tasks, 1).as_deref(), Some("gemini"));
}
