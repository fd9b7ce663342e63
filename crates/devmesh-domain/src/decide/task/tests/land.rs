//! The merge queue.

use devmesh_protocol::TaskId;
use devmesh_protocol::event::task::Blocked;
use serde_json::json;

use super::{Tasks, check, name, receipt, story};

/// Three tasks, each verified by its own agent.
fn three() -> Tasks {
    let mut tasks = Tasks::new();
    for _ in 0..3 {
        tasks.step("alice add");
    }
    for (number, who) in [(1, "codex"), (2, "claude"), (3, "gemini")] {
        tasks.step(&format!("close {number} {who}"));
        tasks.step(&format!("{who} start {number}"));
        assert!(tasks.step(&format!("{who} verify {number}")).starts_with("task_verified"));
    }
    tasks
}

fn story_of_three(steps: &[(&str, &str)]) -> Tasks {
    let mut tasks = three();
    for (step, expect) in steps {
        assert_eq!(tasks.step(step), *expect, "{step}, in {steps:#?}");
    }
    tasks.world.check_replay();
    tasks
}

fn head(tasks: &Tasks) -> Option<String> {
    tasks.world.state.lands.values().next().and_then(|queue| queue.head.clone())
}

#[test]
fn one_turn_at_a_time_in_order() {
    let tasks = story_of_three(&[
        ("codex begin 1", "land_began t-1"),
        ("claude begin 2", "land_queued t-2"),
        ("gemini begin 3", "land_queued t-3"),
        ("claude begin 2", "TASK_STATE_ERROR"),
        ("claude land 2", "TASK_STATE_ERROR"),
        ("codex land 1", "land_ended t-1, land_began t-2"),
        ("claude land 2", "land_ended t-2, land_began t-3"),
        ("codex complete 1", "task_completed t-1"),
        ("gemini land 3", "land_ended t-3"),
    ]);
    assert_eq!(head(&tasks), Some(name("d")));
}

#[test]
fn each_branch_has_its_own_turn() {
    let mut tasks = Tasks::after_all(&["alice add", "alice add {\"base\":\"next\"}"]);
    for (number, who) in [(1, "codex"), (2, "claude")] {
        tasks.step(&format!("close {number} {who}"));
        tasks.step(&format!("{who} start {number}"));
        tasks.step(&format!("{who} verify {number}"));
        assert_eq!(tasks.step(&format!("{who} begin {number}")), format!("land_began t-{number}"));
    }
}

/// However a turn ends, the next one begins.
#[test]
fn a_turn_is_free_when_its_attempt_is() {
    for (step, ends) in [
        ("codex end 1 conflict", "land_ended t-1"),
        ("codex end 1 yielded", "land_ended t-1"),
        ("codex end 1 blocked", "land_ended t-1, task_blocked t-1, attempt_ended t-1"),
        ("codex fail 1", "attempt_ended t-1"),
        ("codex abandon 1", "attempt_ended t-1"),
        ("alice cancel 1", "attempt_ended t-1, task_cancelled t-1"),
    ] {
        let mut tasks = three();
        tasks.step("codex begin 1");
        tasks.step("claude begin 2");
        let came = tasks.step(step);
        assert!(came.starts_with(&format!("{ends}, land_began t-2")), "{step}: {came}");
    }
    let mut tasks = three();
    tasks.step("codex begin 1");
    tasks.step("claude begin 2");
    assert!(tasks.step("silent codex 30000").contains("land_began t-2"));
}

#[test]
fn a_wait_ends_at_its_deadline() {
    story_of_three(&[
        ("codex begin 1", "land_began t-1"),
        ("claude begin 2 a {\"wait_ms\":1000}", "land_queued t-2"),
        ("gemini begin 3 a {\"wait_ms\":0}", "LOCK_CONFLICT"),
        ("gemini begin 3", "land_queued t-3"),
        ("after 999", "nothing"),
        ("after 1", "land_withdrawn t-2"),
        ("claude begin 2 a", "land_queued t-2"),
        ("codex land 1", "land_ended t-1, land_began t-3"),
    ]);
}

#[test]
fn who_leaves_the_line_is_out_of_it() {
    story_of_three(&[
        ("codex begin 1", "land_began t-1"),
        ("claude begin 2", "land_queued t-2"),
        ("gemini begin 3", "land_queued t-3"),
        ("alice cancel 2", "attempt_ended t-2, task_cancelled t-2"),
        ("codex land 1", "land_ended t-1, land_began t-3"),
    ]);
}

/// A held task keeps its place and lets others by.
#[test]
fn a_held_task_lets_others_by() {
    story_of_three(&[
        ("codex begin 1", "land_began t-1"),
        ("claude begin 2", "land_queued t-2"),
        ("gemini begin 3", "land_queued t-3"),
        ("alice pause 2", "task_paused t-2"),
        ("codex land 1", "land_ended t-1, land_began t-3"),
        ("gemini land 3", "land_ended t-3"),
        ("alice resume 2", "task_resumed t-2, land_began t-2"),
    ]);
}

#[test]
fn what_the_turn_came_to() {
    let began = ["alice add", "close 1 codex", "codex start 1", "codex verify 1", "codex begin 1"];
    for (end, state) in [
        ("codex end 1 conflict", "working"),
        ("codex end 1 yielded", "verifying"),
        ("codex end 1 blocked", "blocked"),
        ("codex land 1", "landing"),
    ] {
        let mut tasks = Tasks::after_all(&began);
        tasks.step(end);
        assert_eq!(tasks.state(1), state, "{end}");
        assert_eq!(tasks.step(end), "nothing", "{end} again");
        let other = if end.contains("yield") { "codex land 1" } else { "codex end 1 yielded" };
        let refused = if end.contains("block") { "STALE_TOKEN" } else { "TASK_STATE_ERROR" };
        assert_eq!(tasks.step(other), refused, "{other} after {end}");
    }
    let blocked = [&began[..], &["codex end 1 blocked"]].concat();
    check(&blocked, "alice resume 1", "task_unblocked t-1, auction_opened t-1");
    let tasks = Tasks::after_all(&blocked);
    assert_eq!(tasks.task(1).blocked, Some(Blocked::Landing("why".to_owned())));
}

/// A tree that the merge changed needs evidence of its own.
#[test]
fn what_lands_is_proven() {
    let began = ["alice add", "close 1 codex", "codex start 1", "codex verify 1", "codex begin 1"];
    check(&began, "codex land 1 b", "VERIFICATION_REQUIRED");
    let with = |tree, verdict| {
        let body = json!({ "receipt": receipt(tree, verdict) });
        format!("codex land 1 b {body}")
    };
    check(&began, &with("a", "passed"), "VERIFICATION_REQUIRED");
    check(&began, &with("b", "failed"), "VERIFICATION_REQUIRED");
    check(&began, &with("b", "passed"), "land_ended t-1");
    check(&began, &with("b", "flaky"), "land_ended t-1");
    let mut tasks = Tasks::after_all(&began);
    tasks.step(&with("b", "passed"));
    tasks.step("codex complete 1");
    let landed = tasks.task(1).landed.clone().unwrap();
    assert_eq!((landed.tree, landed.commit), (name("b"), Some(name("d"))));
}

/// A commit whose report was lost is found by the next turn, and counted once.
#[test]
fn a_lost_report_is_found() {
    let found = json!({ "found": [{
        "task": "t-1", "attempt": 1, "commit": name("e"), "tree": name("a"),
    }] });
    let mut tasks = three();
    tasks.step("codex begin 1");
    tasks.step("claude begin 2");
    assert!(tasks.step("silent codex 30000").contains("attempt_ended t-1"));
    assert_eq!(tasks.state(1), "queued");
    let came = tasks.step(&format!("claude land 2 a {found}"));
    assert_eq!(came, "task_completed t-1, land_ended t-2");
    assert_eq!(tasks.task(1).landed.as_ref().unwrap().commit, Some(name("e")));
    assert_eq!(tasks.task(1).landed.as_ref().unwrap().actor.as_str(), "codex");
    assert_eq!(head(&tasks), Some(name("d")));
    // The commit counts once.
    tasks.step("gemini begin 3");
    assert_eq!(tasks.step(&format!("gemini land 3 a {found}")), "land_ended t-3");
}

#[test]
fn a_newer_attempt_ends_when_an_older_one_has_landed() {
    let found = json!({ "found": [{
        "task": "t-1", "attempt": 1, "commit": name("e"), "tree": name("a"),
    }] });
    let mut tasks = Tasks::after_all(&[
        "alice add",
        "alice add",
        "close 1 codex",
        "codex start 1",
        "codex verify 1",
        "codex begin 1",
        "codex abandon 1",
        "close 1 codex",
        "codex start 1",
        "close 2 claude",
        "claude start 2",
        "claude verify 2",
        "claude begin 2",
    ]);
    let came = tasks.step(&format!("claude land 2 a {found}"));
    assert!(came.starts_with("attempt_ended t-1, task_completed t-1, land_ended t-2"), "{came}");
    assert_eq!(tasks.step("codex verify 1"), "STALE_TOKEN");
    // Its own earlier attempt, too.
    let mut tasks = Tasks::after_all(&[
        "alice add",
        "close 1 codex",
        "codex start 1",
        "codex verify 1",
        "codex begin 1",
        "codex abandon 1",
        "close 1 codex",
        "codex start 1",
        "codex verify 1",
        "codex begin 1",
    ]);
    let yields = json!({ "outcome": "yielded", "found": found["found"] });
    let came = tasks.step(&format!("codex send land.end {}", {
        let mut body = yields;
        let task = tasks.task(1);
        let attempt = task.attempt.as_ref().unwrap();
        body["task"] = json!(TaskId(1));
        body["attempt"] = json!(attempt.number);
        body["token"] = json!(attempt.token);
        body
    }));
    assert_eq!(came, "attempt_ended t-1, task_completed t-1, land_ended t-1");
    assert_eq!(tasks.task(1).landed.as_ref().unwrap().attempt, 1);
}

/// A trailer alone proves nothing: only who has had a turn can have put a commit there.
#[test]
fn a_forged_trailer_completes_nothing() {
    let mut tasks = three();
    tasks.step("codex begin 1");
    for (task, attempt) in [("t-2", 1), ("t-3", 1), ("t-3", 7), ("t-9", 1), ("t-1", 1)] {
        let mut tasks = tasks.clone();
        let found = json!({ "found": [{
            "task": task, "attempt": attempt, "commit": name("e"), "tree": name("a"),
        }] });
        assert_eq!(tasks.step(&format!("codex land 1 a {found}")), "land_ended t-1");
    }
    // Nor has an attempt the turn that another one of its task had.
    let found = |attempt: u32| {
        let commit = json!({
            "task": "t-1", "attempt": attempt, "commit": name("e"), "tree": name("a"),
        });
        format!("claude land 2 a {}", json!({ "found": [commit] }))
    };
    for step in ["codex end 1 yielded", "codex abandon 1", "close 1 codex", "codex start 1"] {
        tasks.step(step);
    }
    tasks.step("codex abandon 1");
    tasks.step("claude begin 2");
    assert_eq!(tasks.clone().step(&found(2)), "land_ended t-2");
    assert_eq!(tasks.step(&found(1)), "task_completed t-1, land_ended t-2");
}

#[test]
fn somebody_else_moved_the_branch() {
    let mut tasks = three();
    let from = |letter| json!({ "from": name(letter) });
    tasks.step("codex begin 1");
    assert_eq!(tasks.step(&format!("codex land 1 a {}", from("e"))), "land_ended t-1");
    tasks.step("claude begin 2");
    let came = tasks.step(&format!("claude land 2 a {}", from("d")));
    assert_eq!(came, "land_ended t-2", "the head is where it was left");
    tasks.step("gemini begin 3");
    let came = tasks.step(&format!("gemini land 3 a {}", from("f")));
    assert_eq!(came, "branch_moved r, land_ended t-3");
    assert_eq!(head(&tasks), Some(name("d")), "on top of it");
    // It is the head for whoever comes next, also where this turn came to nothing.
    let mut tasks = three();
    for step in ["codex begin 1", "codex land 1", "claude begin 2"] {
        tasks.step(step);
    }
    let came = tasks.step(&format!("claude end 2 conflict {}", from("e")));
    assert_eq!(came, "branch_moved r, land_ended t-2");
    assert_eq!(head(&tasks), Some(name("e")));
}

/// What stands in the way of a task that has landed after all stands in nobody's way, and that
/// another has landed is no help to who is blocked.
#[test]
fn a_blocked_turn_is_a_persons_unless_it_has_landed() {
    let found = |task: &str| {
        json!({ "found": [{
            "task": task, "attempt": 1, "commit": name("e"), "tree": name("a"),
        }] })
    };
    let mut tasks = three();
    tasks.step("codex begin 1");
    for step in ["codex abandon 1", "close 1 codex", "codex start 1", "codex verify 1"] {
        tasks.step(step);
    }
    let mut other = tasks.clone();
    tasks.step("codex begin 1");
    let came = tasks.step(&format!("codex end 1 blocked {}", found("t-1")));
    assert_eq!(came, "attempt_ended t-1, task_completed t-1, land_ended t-1");
    other.step("claude begin 2");
    let came = other.step(&format!("claude end 2 blocked {}", found("t-1")));
    let ended = "land_ended t-2, task_blocked t-2, attempt_ended t-2";
    assert_eq!(came, format!("attempt_ended t-1, task_completed t-1, {ended}"));
}

#[test]
fn a_new_term_gives_waits_their_time_again() {
    let mut tasks = three();
    tasks.step("codex begin 1");
    tasks.step("claude begin 2 a {\"wait_ms\":5000}");
    tasks.step("gemini begin 3 a {\"wait_ms\":60000}");
    tasks.world.at = tasks.world.at + 4_900;
    tasks.world.internal(devmesh_protocol::command::internal::Internal::EpochStart {
        epoch: 1,
        node: "n".to_owned(),
        nonce: 1,
        hash: Default::default(),
    });
    assert_eq!(tasks.step("after 4999"), "nothing");
    assert_eq!(tasks.step("after 1"), "land_withdrawn t-2");
    assert_eq!(tasks.step("after 50099"), "nothing");
    assert_eq!(tasks.step("after 1"), "land_withdrawn t-3");
    story(&[]);
}
