//! A task's life: added, depended on, proven, reviewed, asked about, ended.

use devmesh_protocol::TaskId;
use devmesh_protocol::command::task::{Flow, ReviewBy};
use devmesh_protocol::event::task::{Blocked, Next};
use serde_json::json;

use super::{Tasks, check, story};
use crate::invariant::world::World;

const TO_LAND: [&str; 4] = ["close 1 codex", "codex start 1", "codex verify 1", "codex begin 1"];

#[test]
fn what_is_left_out_is_filled_in() {
    let mut tasks = Tasks::new();
    assert_eq!(tasks.step("alice add"), "task_added t-1, auction_opened t-1");
    let spec = &tasks.task(1).spec;
    assert_eq!((spec.repo.as_str(), spec.base.as_str()), ("r", "main"));
    assert_eq!(spec.target, "devmesh/landed/main");
    assert_eq!((spec.priority, spec.max_attempts, spec.max_wall_s), (2, 3, 3_600));
    assert_eq!(spec.max_cost_micro_usd, 5_000_000);
    assert_eq!((spec.flow, spec.review), (Flow::Merge, ReviewBy::None));
    assert_eq!(spec.by.as_str(), "alice");
    tasks.step("alice add {\"base\":\"next\"}");
    assert_eq!(tasks.task(2).spec.target, "devmesh/landed/next");
}

#[test]
fn what_cannot_be_added() {
    check(&[], "alice add {\"repo\":\"other\"}", "BAD_REQUEST");
    check(&[], "alice add {\"depends_on\":[\"t-1\"]}", "DEPENDENCY_ERROR");
    check(&["alice add"], "alice add {\"depends_on\":[\"t-1\",\"t-7\"]}", "DEPENDENCY_ERROR");
    check(&[], "alice add {\"parent\":\"t-7\"}", "TASK_NOT_FOUND");
    check(&[], "codex add {\"verify\":[\"true\"]}", "NOT_PERMITTED");
    check(&[], "codex add {\"max_cost_usd\":9}", "NOT_PERMITTED");
    check(&[], "codex add {\"session\":\"other\"}", "AGENT_NOT_REGISTERED");
    check(&[], "nobody add", "AGENT_NOT_REGISTERED");
    check(&[], "alice add {\"verify\":[\"true\"]}", "task_added t-1, auction_opened t-1");
    let mut bare = World::bare();
    let refused = bare.send("codex", "task.add", json!({ "title": "x" })).unwrap_err();
    assert_eq!(refused.code.as_str(), "AGENT_NOT_REGISTERED");
}

#[test]
fn a_key_names_one_task() {
    let tasks = story(&[
        ("alice add {\"key\":\"issue-7\"}", "task_added t-1, auction_opened t-1"),
        ("alice add {\"key\":\"issue-7\",\"title\":\"other\"}", "nothing"),
        ("bob add {\"key\":\"issue-7\"}", "nothing"),
        ("alice add {\"key\":\"issue-8\"}", "task_added t-2, auction_opened t-2"),
    ]);
    assert_eq!(tasks.task(1).spec.title, "x");
}

/// A task that an agent adds is for the person whose task it works on.
#[test]
fn who_a_task_is_for() {
    let mut tasks = Tasks::after_all(&["bob add", "close 1 codex"]);
    tasks.step("codex add");
    tasks.step("claude add");
    tasks.step("claude add {\"parent\":\"t-1\"}");
    let by = |n| tasks.task(n).spec.by.as_str();
    assert_eq!((by(2), by(3), by(4)), ("bob", "claude", "bob"));
}

#[test]
fn a_dependency_comes_first() {
    let mut tasks = Tasks::after_all(&["alice add"]);
    assert_eq!(tasks.step("alice add {\"depends_on\":[\"t-1\"]}"), "task_added t-2");
    assert_eq!(tasks.step("alice add {\"depends_on\":[\"t-2\",\"t-1\"]}"), "task_added t-3");
    for step in TO_LAND {
        tasks.step(step);
    }
    assert_eq!(tasks.step("codex land 1"), "land_ended t-1");
    assert_eq!(tasks.step("codex complete 1"), "task_completed t-1, auction_opened t-2");
    assert_eq!(tasks.state(3), "queued");
    assert!(tasks.task(3).ready_at.is_none());
}

#[test]
fn a_lost_dependency_blocks_until_it_is_tried_again() {
    let mut tasks = Tasks::after_all(&["alice add", "alice add {\"depends_on\":[\"t-1\"]}"]);
    tasks.step("alice cancel 1");
    assert_eq!(tasks.task(2).blocked, Some(Blocked::Dependency(TaskId(1))));
    assert_eq!(tasks.step("alice retry 1"), "task_retried t-1, auction_opened t-1");
    assert_eq!((tasks.state(1), tasks.state(2)), ("queued", "queued"));
    for step in TO_LAND {
        tasks.step(step);
    }
    tasks.step("codex land 1");
    assert!(tasks.step("codex complete 1").contains("auction_opened t-2"));
    // One that failed blocks as well.
    let given = [
        "alice add {\"max_attempts\":1}",
        "alice add {\"depends_on\":[\"t-1\"]}",
        "close 1 codex",
        "codex start 1",
        "codex fail 1",
    ];
    let mut tasks = Tasks::after_all(&given);
    assert_eq!(tasks.task(2).blocked, Some(Blocked::Dependency(TaskId(1))));
    // Nothing is put behind what will never end well; whoever tries is told what to do.
    for after in [&given[..], &["alice add", "alice cancel 1"]] {
        let mut tasks = Tasks::after_all(after);
        let body = json!({ "title": "x", "depends_on": ["t-1"] });
        let refused = tasks.world.send("alice", "task.add", body).unwrap_err();
        assert_eq!(refused.code.as_str(), "DEPENDENCY_ERROR");
        assert_eq!(refused.details["failed"], json!(["t-1"]));
        assert_eq!(refused.details["fix"], "devmesh task retry t-1");
        tasks.step("alice add");
        let last = tasks.world.state.tasks.len();
        let edit = format!("alice edit {last} {{\"depends_on\":[\"t-1\"]}}");
        assert_eq!(tasks.step(&edit), "DEPENDENCY_ERROR");
    }
    assert_eq!(tasks.state(2), "blocked");
    let freed = tasks.step("alice edit 2 {\"depends_on\":[]}");
    assert_eq!(freed, "task_edited t-2, auction_opened t-2");
}

#[test]
fn nothing_waits_for_itself() {
    let given = [
        "alice add",
        "alice add {\"depends_on\":[\"t-1\"]}",
        "alice add {\"depends_on\":[\"t-2\"]}",
    ];
    check(&given, "alice edit 1 {\"depends_on\":[\"t-3\"]}", "DEPENDENCY_ERROR");
    check(&given, "alice edit 1 {\"depends_on\":[\"t-1\"]}", "DEPENDENCY_ERROR");
    check(&given, "alice edit 2 {\"depends_on\":[\"t-3\"]}", "DEPENDENCY_ERROR");
    check(&given, "alice edit 2 {\"depends_on\":[\"t-9\"]}", "DEPENDENCY_ERROR");
    check(&given, "alice edit 3 {\"depends_on\":[\"t-1\"]}", "task_edited t-3");
    check(&given, "alice edit 3 {\"title\":\"x\"}", "nothing");
}

#[test]
fn a_task_is_held_and_goes_on() {
    story(&[
        ("alice add", "task_added t-1, auction_opened t-1"),
        ("alice pause 1", "task_paused t-1"),
        ("close 1 codex", "nothing"),
        ("after 60000", "nothing"),
        ("alice resume 1", "task_resumed t-1, auction_opened t-1"),
        ("close 1 codex", "task_awarded t-1"),
        ("codex start 1", "task_started t-1"),
        ("alice pause 1", "task_paused t-1"),
        ("codex begin 1", "TASK_STATE_ERROR"),
        ("codex progress 1 b", "task_progressed t-1"),
        ("alice resume 1", "task_resumed t-1"),
    ]);
}

/// Whatever stage an attempt is at, cancelling ends it and frees what it had.
#[test]
fn cancelled_at_each_stage() {
    let stages: [(&[&str], &str); 5] = [
        (&[], "task_cancelled t-1"),
        (&["close 1 codex"], "attempt_ended t-1, task_cancelled t-1"),
        (&["close 1 codex", "codex start 1"], "attempt_ended t-1, task_cancelled t-1"),
        (
            &["close 1 codex", "codex start 1", "codex verify 1"],
            "attempt_ended t-1, task_cancelled t-1",
        ),
        (&TO_LAND, "attempt_ended t-1, task_cancelled t-1"),
    ];
    for (stage, expect) in stages {
        let given = ["alice add {\"paths\":[\"src/\"]}"];
        let mut tasks = Tasks::after_all(&[&given, stage].concat());
        assert_eq!(tasks.step("alice cancel 1"), expect, "{stage:?}");
        assert!(tasks.world.state.leases.is_empty(), "{stage:?}");
        assert_eq!(tasks.world.state.index.idle.len(), 3, "{stage:?}");
        assert!(tasks.world.state.lands.values().all(|queue| queue.turn.is_none()));
        assert_eq!(tasks.task(1).tries, 0);
    }
}

#[test]
fn tries_are_counted() {
    let mut tasks = Tasks::after_all(&["alice add {\"max_attempts\":3}"]);
    for (try_, (step, tries, state)) in [
        ("codex fail 1", 1, "queued"),
        ("codex fail 1 rate_limit", 1, "queued"),
        ("codex abandon 1 {\"unspent\":true}", 1, "queued"),
        ("codex abandon 1", 2, "queued"),
        ("silent codex 30000", 3, "failed"),
    ]
    .into_iter()
    .enumerate()
    {
        tasks.step("after 40000");
        assert!(tasks.close(1, &[("codex", 1)]).starts_with("task_awarded"), "{step}");
        assert_eq!(tasks.step("codex start 1"), "task_started t-1");
        tasks.step(step);
        assert_eq!((tasks.task(1).tries, tasks.state(1)), (tries, state), "{step}");
        assert_eq!(tasks.task(1).past.len(), try_ + 1);
    }
    assert!(tasks.step("alice retry 1").starts_with("task_retried t-1"));
    assert_eq!((tasks.task(1).tries, tasks.task(1).attempts), (0, 5));
    tasks.world.check_replay();
}

#[test]
fn a_hard_failure_is_the_last() {
    let given = ["alice add", "close 1 codex", "codex start 1"];
    let mut tasks = Tasks::after_all(&given);
    assert_eq!(tasks.step("codex fail 1 sign_in {\"hard\":true}"), "attempt_ended t-1");
    assert_eq!(tasks.state(1), "failed");
    assert_eq!(tasks.task(1).past[0].next, Next::Failed);
}

#[test]
fn a_red_base_blocks_without_a_try() {
    let given = ["alice add", "close 1 codex", "codex start 1", "codex fail 1 base_red"];
    let mut tasks = Tasks::after_all(&given);
    assert_eq!((tasks.task(1).tries, tasks.state(1)), (0, "blocked"));
    assert_eq!(tasks.step("after 60000"), "nothing");
    assert!(tasks.step("alice resume 1").starts_with("task_unblocked t-1"));
}

#[test]
fn money_that_is_spent_stops_the_next_try() {
    let mut tasks = Tasks::after_all(&["alice add {\"max_cost_usd\":2}", "close 1 codex"]);
    tasks.step("codex start 1");
    let used = "{\"usage\":{\"input_tokens\":1,\"output_tokens\":1,\"cost_micro_usd\":2000000}}";
    assert_eq!(
        tasks.step(&format!("codex fail 1 test {used}")),
        "attempt_ended t-1, task_blocked t-1"
    );
    assert_eq!(tasks.task(1).blocked, Some(Blocked::Budget));
    assert_eq!(tasks.task(1).usage.cost_micro_usd, Some(2_000_000));
}

/// A failed verification is a try; the attempt goes on while some are left.
#[test]
fn a_failed_verification_is_a_try() {
    story(&[
        ("alice add {\"max_attempts\":2}", "task_added t-1, auction_opened t-1"),
        ("close 1 codex", "task_awarded t-1"),
        ("codex start 1", "task_started t-1"),
        ("codex verify 1 a failed", "task_verified t-1"),
        ("codex begin 1 a", "VERIFICATION_REQUIRED"),
        ("codex complete 1", "VERIFICATION_REQUIRED"),
        ("codex verify 1 b failed", "task_verified t-1, attempt_ended t-1"),
        ("codex verify 1 b", "STALE_TOKEN"),
        ("codex fail 1", "nothing"),
    ]);
    for verdict in ["passed", "flaky", "unverified"] {
        let verify = format!("codex verify 1 a {verdict}");
        let given = ["alice add", "close 1 codex", "codex start 1", &verify];
        check(&given, "codex begin 1 a", "land_began t-1");
        check(&given, "codex begin 1 b", "VERIFICATION_REQUIRED");
    }
}

#[test]
fn a_question_blocks_its_task_alone() {
    let given = ["alice add", "alice add", "close 1 codex", "codex start 1"];
    let mut tasks = Tasks::after_all(&given);
    tasks.step("codex ask 1 {\"wait_s\":86400,\"default\":\"no\"}");
    let id = tasks.task(1).question.as_ref().unwrap().id;
    assert_eq!(tasks.state(1), "blocked");
    assert_eq!(tasks.step("after 86399000"), "nothing");
    assert!(tasks.step("close 2 claude").starts_with("task_awarded t-2"));
    assert_eq!(tasks.step(&format!("codex answer {id}")), "NOT_PERMITTED");
    assert_eq!(tasks.step("alice answer q-1"), "TASK_STATE_ERROR");
    assert!(tasks.step(&format!("alice answer {id}")).starts_with("task_answered t-1"));
    assert_eq!(tasks.state(1), "working");
    assert_eq!(tasks.step(&format!("alice answer {id}")), "TASK_STATE_ERROR");
    assert_eq!(tasks.task(1).said.back().unwrap().by.as_ref().unwrap().as_str(), "alice");
}

#[test]
fn the_default_answers_in_time() {
    let ask = "codex ask 1 {\"default\":\"no\",\"wait_s\":60}";
    let mut tasks = Tasks::after_all(&["alice add", "close 1 codex", "codex start 1", ask]);
    assert_eq!(tasks.step("after 59999"), "nothing");
    assert_eq!(tasks.step("after 1"), "task_answered t-1");
    assert_eq!((tasks.state(1), &tasks.task(1).said[0].by), ("working", &None));
    // A question ends with its attempt.
    let ask = "codex ask 1 {\"wait_s\":60}";
    let mut tasks = Tasks::after_all(&["alice add", "close 1 codex", "codex start 1", ask]);
    tasks.step("codex abandon 1");
    assert!(tasks.task(1).question.is_none() && tasks.world.state.index.tasks.questions.is_empty());
}

#[test]
fn what_follows_a_task_that_is_done() {
    let done = [
        "alice add {\"paths\":[\"a\"],\"key\":\"k\",\"verify\":[\"true\"]}",
        "close 1 codex",
        "codex start 1",
        "codex verify 1",
        "codex begin 1",
        "codex land 1",
        "codex complete 1",
    ];
    let mut tasks = Tasks::after_all(&done);
    assert_eq!(tasks.step("bob revert 1"), "task_added t-2, auction_opened t-2");
    let spec = tasks.task(2).spec.clone();
    assert_eq!((spec.reverts, spec.by.as_str(), spec.key), (Some(TaskId(1)), "bob", None));
    assert_eq!(tasks.step("bob say 1"), "task_added t-3", "on the same path as t-2");
    let spec = &tasks.task(3).spec;
    assert_eq!((spec.parent, spec.reverts), (Some(TaskId(1)), None));
    assert!(spec.prompt.is_some() && spec.verify == ["true"]);
}

/// Each report of an end counts once, however often and late it comes, under whatever id.
#[test]
fn an_end_is_reported_for_ever() {
    let done = [
        "alice add",
        "close 1 codex",
        "codex start 1",
        "codex verify 1",
        "codex begin 1",
        "codex land 1",
        "codex complete 1",
    ];
    for given in [&done[..], &[&done[..], &["alice add", "after 3600000"]].concat()] {
        for again in ["codex complete 1", "codex land 1"] {
            check(given, again, "nothing");
            check(given, &again.replace("codex", "claude"), "NOT_OWNER");
        }
        check(given, "codex fail 1", "STALE_TOKEN");
        check(given, "codex complete 1 {\"token\":3}", "STALE_TOKEN");
        check(given, "codex complete 1 {\"attempt\":2}", "STALE_TOKEN");
    }
    // What has failed may be given back as well, which is no news; not the other way round.
    for (end, other, came) in [
        ("codex fail 1", "codex abandon 1", "nothing"),
        ("codex fail 1 {\"hard\":true}", "codex abandon 1", "nothing"),
        ("codex abandon 1", "codex fail 1", "STALE_TOKEN"),
    ] {
        let given = ["alice add", "close 1 codex", "codex start 1", end];
        check(&given, end, "nothing");
        check(&given, other, came);
        check(&given, "codex complete 1", "STALE_TOKEN");
    }
    // A new attempt of the same agent is another one: the old token still gets the old answer.
    let given = [
        "alice add",
        "close 1 codex",
        "codex start 1",
        "codex fail 1",
        "after 5000",
        "close 1 codex",
        "codex start 1",
    ];
    let mut tasks = Tasks::after_all(&given);
    let old = tasks.task(1).past[0].token;
    let late = format!("codex fail 1 test {{\"attempt\":1,\"token\":{old}}}");
    assert_eq!(tasks.step(&late), "nothing");
    assert_eq!(tasks.state(1), "working");
}

#[test]
fn other_flows_complete_with_a_receipt() {
    for flow in ["branch", "pr", "patch"] {
        let add = format!("alice add {{\"flow\":\"{flow}\"}}");
        let given = [&*add, "close 1 codex", "codex start 1"];
        check(&given, "codex complete 1", "VERIFICATION_REQUIRED");
        check(&given, "codex begin 1", "TASK_STATE_ERROR");
        let given = [&given[..], &["codex verify 1"]].concat();
        check(&given, "codex begin 1", "TASK_STATE_ERROR");
        check(&given, "codex complete 1", "task_completed t-1");
        let given = [&given[..], &["codex complete 1"]].concat();
        check(&given, "codex complete 1", "nothing");
    }
    let add = "alice add {\"flow\":\"pr\",\"review\":\"agent\"}";
    let given = [add, "close 1 codex", "codex start 1", "codex verify 1"];
    check(&given, "codex complete 1", "STALE_TOKEN");
    let again = ["claude approve 1", "close 1 codex", "codex start 1"];
    check(&[&given[..], &again].concat(), "codex complete 1", "task_completed t-1");
}

/// What has landed is done, also when its agent cannot say so any more.
#[test]
fn landed_work_is_not_done_twice() {
    let landed = [
        "alice add",
        "close 1 codex",
        "codex start 1",
        "codex verify 1",
        "codex begin 1",
        "codex land 1",
    ];
    let mut tasks = Tasks::after_all(&landed);
    assert!(tasks.step("silent codex 30000").contains("task_completed t-1"));
    assert_eq!(tasks.state(1), "completed");
    let mut tasks = Tasks::after_all(&landed);
    assert!(tasks.step("codex send agent.leave {}").contains("task_completed t-1"));
    assert_eq!(tasks.state(1), "completed");
}

#[test]
fn progress_is_recorded_where_it_is_news() {
    let given = ["alice add", "close 1 codex", "codex start 1"];
    check(&given, "codex progress 1 b", "task_progressed t-1");
    check(&given, "codex progress 1 b {\"phase\":\"verifying\"}", "task_progressed t-1");
    let saved = [&given[..], &["codex progress 1 b"]].concat();
    check(&saved, "codex progress 1 b", "nothing");
    check(&saved, "codex progress 1 b {\"message\":\"half way\"}", "nothing");
    check(&saved, "codex progress 1 b {\"phase\":\"working\"}", "nothing");
    check(&saved, "codex progress 1 b {\"tool_session\":\"s\"}", "task_progressed t-1");
    let mut tasks = Tasks::after_all(&saved);
    tasks.step("codex progress 1 b {\"tool_session\":\"s\"}");
    tasks.step("codex abandon 1");
    assert_eq!(tasks.task(1).tool_session.as_deref(), Some("s"));
    assert_eq!(tasks.task(1).saved, Some(super::name("b")));
}
