//! What is submitted, file by file: the same twice, and two who change one file together.

use devmesh_protocol::command::task::{Change, FileEdit};
use devmesh_protocol::event::task::Blocked;
use devmesh_protocol::{RepoPath, TaskId};
use serde_json::json;

use super::{Tasks, name};

/// `path:was>is …`, each side a letter or nothing, as a field of a body.
pub(super) fn change(edits: &str) -> String {
    let object = |letter: &str| (!letter.is_empty()).then(|| name(letter));
    let edit = |text: &str| {
        let (path, digests) = text.split_once(':').unwrap();
        let (base, now) = digests.split_once('>').unwrap();
        let path = RepoPath::new(path).unwrap();
        FileEdit { path, base: object(base), now: object(now), mode: None }
    };
    let change = Change::of(edits.split_whitespace().map(edit).collect(), &[]);
    json!({ "change": change }).to_string()
}

fn verify(tasks: &mut Tasks, who: &str, number: u64, tree: &str, edits: &str) -> String {
    tasks.step(&format!("{who} verify {number} {tree} {}", change(edits)))
}

/// Two tasks, one of codex and one of claude, both begun.
fn two_of(first: &str, second: &str) -> Tasks {
    let mut tasks =
        Tasks::after_all(&[&format!("alice add {first}"), &format!("alice add {second}")]);
    for (number, who) in [(1, "codex"), (2, "claude")] {
        tasks.step(&format!("close {number} {who}"));
        assert_eq!(
            tasks.step(&format!("{who} start {number}")),
            format!("task_started t-{number}")
        );
    }
    tasks
}

fn two() -> Tasks {
    two_of("{}", "{}")
}

/// What comes of claude submitting what codex has submitted, after those steps.
fn again(mut tasks: Tasks, steps: &[&str]) -> String {
    assert!(verify(&mut tasks, "codex", 1, "a", "x:1>2").starts_with("task_verified t-1"));
    for step in steps {
        let came = tasks.step(step);
        assert!(came.chars().next().unwrap().is_lowercase(), "{step}: {came}");
    }
    let came = verify(&mut tasks, "claude", 2, "b", "x:1>2");
    tasks.world.check_replay();
    came
}

const LANDED: [&str; 3] = ["codex begin 1", "codex land 1", "codex complete 1"];

#[test]
fn the_same_change_twice_is_refused() {
    assert_eq!(again(two(), &[]), "DUPLICATE_CHANGE");
    assert_eq!(again(two(), &["codex begin 1"]), "DUPLICATE_CHANGE");
    assert_eq!(again(two(), &["codex begin 1", "codex land 1"]), "DUPLICATE_CHANGE");
    assert_eq!(again(two(), &LANDED), "DUPLICATE_CHANGE");
    let reviewed = || two_of(r#"{"review":"person"}"#, "{}");
    assert_eq!(again(reviewed(), &[]), "DUPLICATE_CHANGE", "it waits for a person");
    let mut tasks = two();
    verify(&mut tasks, "codex", 1, "a", "x:1>2");
    let body = serde_json::from_str::<serde_json::Value>(&change("x:1>2")).unwrap();
    let token = tasks.world.token(2);
    let mut own = json!({ "task": "t-2", "attempt": 1, "token": token });
    own["receipt"] = super::receipt("b", "passed");
    own["change"] = body["change"].clone();
    let refused = tasks.world.send("claude", "task.verified", own).unwrap_err();
    assert_eq!(refused.details["earlier"], "t-1");
}

#[test]
fn what_nobody_has_submitted_any_more_may_be_submitted() {
    let fine = "task_verified t-2";
    for end in
        ["codex abandon 1", "alice cancel 1", "silent codex 30000", "codex verify 1 a failed"]
    {
        assert_eq!(again(two(), &[end]), fine, "{end}");
    }
    let reworked = format!("codex verify 1 a {}", change("x:1>3"));
    assert_eq!(again(two(), &[&reworked]), fine);
    let mut tasks = two();
    verify(&mut tasks, "codex", 1, "a", "x:1>2");
    assert_eq!(verify(&mut tasks, "codex", 1, "a", "x:1>2"), "task_verified t-1", "its own again");
    for other in ["x:1>3", "x:3>2", "y:1>2", "x:1>2 y:1>2", "x:>2"] {
        assert_eq!(verify(&mut tasks, "claude", 2, "b", other), fine, "{other}");
    }
}

#[test]
fn another_branch_and_work_that_does_not_land_are_not_compared() {
    let fine = "task_verified t-2";
    assert_eq!(again(two_of("{}", r#"{"base":"next"}"#), &[]), fine);
    assert_eq!(again(two_of(r#"{"flow":"branch"}"#, r#"{"flow":"branch"}"#), &[]), fine);
}

/// What landed and was undone since may be done again: whoever begins behind it has it before them.
#[test]
fn what_landed_before_the_award_may_be_done_again() {
    let mut tasks = two();
    verify(&mut tasks, "codex", 1, "a", "x:1>2");
    for step in LANDED {
        tasks.step(step);
    }
    tasks.step("claude abandon 2 {\"unspent\":true}");
    tasks.step("after 5000");
    assert_eq!(tasks.step("close 2 claude"), "task_awarded t-2");
    tasks.step("claude start 2");
    assert_eq!(verify(&mut tasks, "claude", 2, "b", "x:1>2"), "task_verified t-2");
    tasks.world.check_replay();
}

#[test]
fn a_tree_that_is_the_base_is_no_edit() {
    let mut tasks = two();
    assert_eq!(verify(&mut tasks, "codex", 1, "a", ""), "NO_EDIT");
    assert_eq!(
        tasks.step("codex verify 1 a"),
        "task_verified t-1",
        "what is not told is not judged"
    );
}

#[test]
fn what_was_rejected_is_not_looked_at_again_as_it_is() {
    let rejected = || {
        let mut tasks = two_of(r#"{"review":"person"}"#, "{}");
        verify(&mut tasks, "codex", 1, "a", "x:1>2");
        tasks.step("alice reject 1");
        tasks.step("close 1 gemini");
        assert_eq!(tasks.step("gemini start 1"), "task_started t-1");
        tasks
    };
    let waits = "task_verified t-1, attempt_ended t-1";
    let mut tasks = rejected();
    assert_eq!(verify(&mut tasks, "gemini", 1, "a", "x:1>2"), "DUPLICATE_CHANGE");
    assert_eq!(verify(&mut tasks, "gemini", 1, "b", "x:1>3"), waits);
    let mut tasks = rejected();
    tasks.step("alice say 1");
    assert_eq!(verify(&mut tasks, "gemini", 1, "a", "x:1>2"), waits);
    tasks.world.check_replay();
}

#[test]
fn whether_a_duplicate_leaves_anything_to_do_a_person_decides() {
    let mut tasks = two();
    verify(&mut tasks, "codex", 1, "a", "x:1>2");
    assert_eq!(verify(&mut tasks, "claude", 2, "b", "x:1>2"), "DUPLICATE_CHANGE");
    assert_eq!(tasks.step("claude fail 2 duplicate"), "attempt_ended t-2, task_blocked t-2");
    assert_eq!((tasks.task(2).tries, &tasks.task(2).blocked), (0, &Some(Blocked::Decision)));
    assert!(tasks.step("alice resume 2").starts_with("task_unblocked t-2"));
}

/// Both get a lease on the folder.
fn share(tasks: &mut Tasks, mode: &str) {
    for (who, task) in [("codex", "t-1"), ("claude", "t-2")] {
        let body = json!({ "paths": ["src/"], "mode": mode, "task": task });
        let came = tasks.send(who, "lock.acquire", body);
        assert!(came.starts_with(who), "{came}");
    }
}

/// Codex and claude share a folder; codex lands its change of it first.
fn shared(mode: &str, landed: &str) -> Tasks {
    let mut tasks = two();
    share(&mut tasks, mode);
    verify(&mut tasks, "codex", 1, "a", landed);
    for step in LANDED {
        assert!(tasks.step(step).contains("t-1"), "{step}");
    }
    tasks
}

#[test]
fn whoever_lands_second_on_a_shared_file_brings_the_first_in_and_another_agent_looks() {
    let mut tasks = shared("co_write", "src/x:1>2 src/y:1>2");
    assert_eq!(verify(&mut tasks, "claude", 2, "b", "src/x:1>3"), "task_verified t-2");
    assert_eq!(tasks.step("claude begin 2 b"), "MERGE_REQUIRED");
    let waits = "task_verified t-2, attempt_ended t-2, review_assigned t-2";
    assert_eq!(verify(&mut tasks, "claude", 2, "b", "src/x:2>4 src/z:>1"), waits);
    let task = tasks.task(2);
    let merged = &task.parked.as_ref().unwrap().receipt.merged;
    assert_eq!(merged.len(), 1);
    assert_eq!((merged[0].path.key(), merged[0].with), ("src/x", TaskId(1)));
    let reviewer = task.reviewer.as_ref().unwrap().actor.to_string();
    assert_ne!(reviewer, "claude");
    assert_eq!(tasks.step("claude approve 2"), "SELF_REVIEW");
    assert!(tasks.step(&format!("{reviewer} approve 2")).starts_with("task_reviewed t-2"));
    tasks.step("close 2 claude");
    tasks.step("claude start 2");
    assert_eq!(tasks.step("claude begin 2 b"), "land_began t-2");
    tasks.world.check_replay();
}

#[test]
fn a_rejected_merge_goes_back_with_what_was_said() {
    let mut tasks = shared("co_write", "src/x:1>2");
    verify(&mut tasks, "claude", 2, "b", "src/x:2>4");
    let reviewer = tasks.task(2).reviewer.as_ref().unwrap().actor.to_string();
    tasks.step(&format!("{reviewer} reject 2"));
    assert_eq!((tasks.state(2), tasks.task(2).said[0].kind.as_str()), ("queued", "reject"));
    // What comes of it is looked at again: it holds the other's change still.
    tasks.step("close 2 gemini");
    tasks.step("gemini start 2");
    assert_eq!(verify(&mut tasks, "gemini", 2, "d", "src/x:2>4"), "DUPLICATE_CHANGE");
    let waits = "task_verified t-2, attempt_ended t-2, review_assigned t-2";
    assert_eq!(verify(&mut tasks, "gemini", 2, "d", "src/x:2>5"), waits);
    tasks.world.check_replay();
}

#[test]
fn a_merge_that_no_agent_can_look_at_waits_for_a_person() {
    let mut tasks = shared("co_write", "src/x:1>2");
    for who in ["codex", "gemini"] {
        tasks.step(&format!("silent {who} 30000"));
    }
    let waits = "task_verified t-2, attempt_ended t-2";
    assert_eq!(verify(&mut tasks, "claude", 2, "b", "src/x:2>4"), waits);
    let view = crate::look::look(
        &tasks.world.state,
        &devmesh_protocol::query::What::Task(devmesh_protocol::query::Task { task: TaskId(2) }),
    );
    let view = view.unwrap();
    assert_eq!((&view["needs_you"], &view["state"]), (&json!(true), &json!("review")));
    let waits = "it waits for another agent to review it, because t-1 has changed src/x at the \
                 same time";
    assert!(view["waits"].as_array().unwrap().contains(&json!(waits)), "{view}");
    assert!(view["nobody_why"].as_str().unwrap().contains("one agent"), "{view}");
    assert!(tasks.step("alice approve 2").starts_with("task_reviewed t-2"));
}

#[test]
fn what_was_not_shared_or_is_not_the_same_file_needs_no_merge() {
    let lands = |mut tasks: Tasks, edits: &str| {
        assert_eq!(verify(&mut tasks, "claude", 2, "b", edits), "task_verified t-2", "{edits}");
        assert_eq!(tasks.step("claude begin 2 b"), "land_began t-2", "{edits}");
    };
    lands(shared("co_write", "src/x:1>2"), "src/z:1>3");
    lands(shared("co_write", "docs/x:1>2"), "docs/x:1>3");
    lands(shared("read", "src/x:1>2"), "src/x:1>3");
    // What is hot is written together all the time.
    lands(shared("co_write", "src/CHANGELOG.md:1>2"), "src/CHANGELOG.md:1>3");
    // Another branch is another version of the file.
    let mut tasks = two_of("{}", r#"{"base":"next"}"#);
    share(&mut tasks, "co_write");
    verify(&mut tasks, "codex", 1, "a", "src/x:1>2");
    for step in LANDED {
        tasks.step(step);
    }
    lands(tasks, "src/x:1>3");
}

#[test]
fn a_landing_is_said_once_to_whoever_has_to_bring_it_in() {
    let mut tasks = shared("co_write", "src/x:1>2");
    verify(&mut tasks, "claude", 2, "b", "src/x:1>3");
    let met = tasks.task(2).met[0].seq;
    let begin = |seen: u64| format!("claude begin 2 b {{\"seen\":{seen}}}");
    assert_eq!(tasks.step(&begin(met - 1)), "MERGE_REQUIRED");
    assert_eq!(tasks.step(&begin(met)), "land_began t-2");
}

#[test]
fn whoever_waits_for_a_turn_while_the_other_lands_asks_again() {
    let mut tasks = two();
    share(&mut tasks, "co_write");
    verify(&mut tasks, "codex", 1, "a", "src/x:1>2");
    verify(&mut tasks, "claude", 2, "b", "src/x:1>3");
    assert_eq!(tasks.step("codex begin 1"), "land_began t-1");
    assert_eq!(tasks.step("claude begin 2 b"), "land_queued t-2");
    assert_eq!(tasks.step("codex land 1"), "land_ended t-1, land_withdrawn t-2");
    assert_eq!(tasks.step("claude begin 2 b"), "MERGE_REQUIRED");
    tasks.world.check_replay();
}

/// What the merge at the first one's landing made of the file counts, not what it had verified.
#[test]
fn what_landed_is_what_whoever_lands_told() {
    let mut tasks = two();
    share(&mut tasks, "co_write");
    verify(&mut tasks, "codex", 1, "a", "src/x:1>2");
    tasks.step("codex begin 1");
    let mut told: serde_json::Value = serde_json::from_str(&change("src/x:1>5")).unwrap();
    told["receipt"] = super::receipt("b", "passed");
    assert!(tasks.step(&format!("codex land 1 b {told}")).starts_with("land_ended t-1"));
    assert_eq!(tasks.task(2).met[0].now, Some(name("5")));
    // Landed as another tree, and not said what: nothing is known of it.
    let mut tasks = two();
    share(&mut tasks, "co_write");
    verify(&mut tasks, "codex", 1, "a", "src/x:1>2");
    tasks.step("codex begin 1");
    let told = json!({ "receipt": super::receipt("b", "passed") });
    assert!(tasks.step(&format!("codex land 1 b {told}")).starts_with("land_ended t-1"));
    assert!(tasks.task(2).met.is_empty());
}

#[test]
fn nobody_says_of_themselves_what_was_merged() {
    let mut tasks = two();
    let mut receipt = super::receipt("a", "passed");
    receipt["merged"] = json!([{ "path": "src/x", "with": "t-2" }]);
    let step = format!("codex verify 1 a {}", json!({ "receipt": receipt }));
    assert_eq!(tasks.step(&step), "BAD_REQUEST");
}
