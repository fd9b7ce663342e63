//! What is reported, said and asked for once more, or by somebody else, or with nothing new in it.

use devmesh_protocol::command::Encoding;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::mesh::TextRef;
use devmesh_protocol::limits::TASKS_LIVE_MAX;
use devmesh_protocol::{Command, CommandId, TaskId};
use serde_json::{Value, json};

use super::states::{FROZEN, LANDED, WORKING};
use super::{Tasks, check, name};
use crate::invariant::world::actor;
use crate::state::task::SAID_MAX;

/// The number of an attempt is not enough to speak for it.
#[test]
fn a_late_report_is_known_by_its_token() {
    let failed = [WORKING, &["codex fail 1"]].concat();
    check(&failed, "codex fail 1", "nothing");
    check(&failed, "codex fail 1 test {\"token\":1}", "STALE_TOKEN");
    check(&failed, "codex fail 1 test {\"attempt\":2}", "STALE_TOKEN");
    let done = [LANDED, &["codex complete 1"]].concat();
    check(&done, "codex land 1", "nothing");
    check(&done, "codex land 1 a {\"token\":1}", "STALE_TOKEN");
    check(&done, "codex land 1 a {\"attempt\":2}", "STALE_TOKEN");
    check(&done, "codex end 1 blocked", "STALE_TOKEN");
    check(&done, "claude land 1", "NOT_OWNER");
}

#[test]
fn progress_is_what_was_not_known() {
    let mut tasks = Tasks::after_all(WORKING);
    let mut progress = |more: &str| {
        tasks.step(&format!("codex progress 1 b {{\"saved\":null,\"phase\":\"{more}\"}}"))
    };
    assert_eq!(progress("working"), "nothing");
    assert_eq!(progress("verifying"), "task_progressed t-1");
    assert_eq!(progress("verifying"), "nothing");
    assert_eq!(progress("working"), "task_progressed t-1");
}

/// A session's name is its agent's own: another may have taken the same.
#[test]
fn a_question_is_the_workers() {
    let join = json!({ "tool": "custom", "host": "h", "session": "codex" });
    let join = format!("ada send agent.join {join}");
    let given = [WORKING, &[&join]].concat();
    check(&given, "ada ask 1 {\"session\":\"codex\"}", "NOT_OWNER");
    check(&given, "claude ask 1", "NOT_OWNER");
}

#[test]
fn an_edit_is_what_is_different() {
    let given = ["alice add {\"prompt\":\"do it\",\"priority\":3}"];
    let same = "alice edit 1 {\"title\":\"x\",\"prompt\":\"do it\",\"priority\":3}";
    check(&given, same, "nothing");
    let other = "alice edit 1 {\"title\":\"x\",\"prompt\":\"do more\"}";
    check(&given, other, "task_edited t-1, auction_opened t-1");
    check(&["alice add"], other, "task_edited t-1, auction_opened t-1");
}

/// What is said is kept for the worker, the newest of it.
#[test]
fn so_much_is_remembered_of_what_is_said() {
    let mut tasks = Tasks::after_all(&["alice add"]);
    let said = |tasks: &Tasks| -> Vec<TextRef> {
        tasks.task(1).said.iter().map(|said| said.text).collect()
    };
    let texts: Vec<TextRef> = (0..=SAID_MAX).map(|n| TextRef::to(&format!("word {n}"))).collect();
    for n in 0..SAID_MAX {
        tasks.step(&format!("alice say 1 {{\"text\":\"word {n}\"}}"));
    }
    assert_eq!(said(&tasks), texts[..SAID_MAX]);
    tasks.step(&format!("alice say 1 {{\"text\":\"word {SAID_MAX}\"}}"));
    assert_eq!(said(&tasks), texts[1..]);
}

/// Money that was spent before, on a task that a person lets go on, is not held against who
/// costs nothing.
#[test]
fn who_costs_nothing_spends_no_budget() {
    let used = |micro: u64| {
        let usage = json!({ "input_tokens": 1, "output_tokens": 1, "cost_micro_usd": micro });
        format!("codex abandon 1 {{\"unspent\":true,\"usage\":{usage}}}")
    };
    let given = ["alice add {\"max_cost_usd\":1}", "close 1 codex", "codex start 1"];
    check(&given, &used(999_999), "attempt_ended t-1");
    check(&given, &used(1_000_000), "attempt_ended t-1, task_blocked t-1");
    let mut tasks = Tasks::after_all(&given);
    tasks.step(&used(1_000_000));
    for step in ["alice resume 1", "after 60000", "close 1 codex", "codex start 1"] {
        tasks.step(step);
    }
    assert_eq!(tasks.step(&used(0)), "attempt_ended t-1");
}

/// What follows from a task is the same work, and none of its place among others.
#[test]
fn what_follows_stands_alone() {
    let mut tasks = Tasks::after_all(&["alice add", "alice add {\"depends_on\":[\"t-1\"]}"]);
    let done = |tasks: &mut Tasks, number: u64| {
        tasks.step(&format!("close {number} codex"));
        for step in ["start", "verify", "begin", "land", "complete"] {
            let came = tasks.step(&format!("codex {step} {number}"));
            assert!(came.starts_with(char::is_lowercase), "{step} {number}: {came}");
        }
    };
    done(&mut tasks, 1);
    done(&mut tasks, 2);
    tasks.step("alice say 2 {\"text\":\"and more\"}");
    let spec = &tasks.task(3).spec;
    assert_eq!((spec.title.as_str(), spec.prompt), ("follow-up: x", Some(TextRef::to("and more"))));
    assert_eq!((&spec.depends_on[..], spec.parent, spec.reverts), (&[][..], Some(TaskId(2)), None));
    tasks.step("alice revert 2");
    let spec = &tasks.task(4).spec;
    assert_eq!((spec.title.as_str(), spec.reverts), ("revert: x", Some(TaskId(2))));
    tasks.step("alice cancel 3");
    done(&mut tasks, 4);
    tasks.step("alice say 4");
    assert_eq!(tasks.task(5).spec.reverts, None, "more of a revert undoes nothing by itself");
}

#[test]
fn so_many_tasks_and_not_one_more() {
    let mut tasks = Tasks::new();
    let add = json!({ "title": "x" });
    let graph = json!([{ "key": "a", "title": "a" }, { "key": "b", "title": "b" }]);
    let plan = json!({ "text": "plan", "graph": graph });
    let mut came = |live: usize, verb: &str, body: &Value| {
        tasks.world.state.index.live_tasks = live as u64;
        let bytes = serde_json::to_vec(body).unwrap();
        let mint = || CommandId::new("c").unwrap();
        let command = Command::parse(actor("alice"), verb, &bytes, Encoding::Json, mint);
        let decided = crate::decide(&tasks.world.state, &command.unwrap(), tasks.world.at);
        decided.map(|events| events.len()).map_err(|refused| refused.code.as_str())
    };
    let most = TASKS_LIVE_MAX;
    assert_eq!(came(most - 1, "task.add", &add), Ok(1));
    assert_eq!(came(most, "task.add", &add), Err("LIMIT_EXCEEDED"));
    assert_eq!(came(most - 2, "framework.publish", &plan), Ok(3));
    assert_eq!(came(most - 1, "framework.publish", &plan), Err("LIMIT_EXCEEDED"));
}

/// Time in which nobody led counts against nobody: what runs gets what a silent agent has.
#[test]
fn a_new_term_lets_a_held_attempt_stand_for_a_while() {
    let mut tasks = Tasks::after_all(FROZEN);
    tasks.world.at = tasks.world.at + 599_000;
    let (epoch, nonce, node) = (1, 1, "n".to_owned());
    tasks.world.internal(Internal::EpochStart { epoch, node, nonce, hash: Default::default() });
    assert_eq!(tasks.step("after 19999"), "nothing");
    assert_eq!(tasks.step("after 1"), "attempt_ended t-1");
}

/// What an attempt leaves behind is the save, and evidence only where it speaks for the work.
#[test]
fn what_is_parked_is_proven_and_what_is_saved_stays() {
    let saved = [WORKING, &["codex progress 1 b"]].concat();
    let left = |steps: &[&str]| {
        let tasks = Tasks::after_all(&[&saved[..], steps].concat());
        let task = tasks.task(1);
        assert!(task.attempt.is_none(), "{steps:?}");
        (task.parked.is_some(), task.saved.clone())
    };
    let asks = "codex ask 1";
    assert_eq!(left(&[asks]), (false, Some(name("b"))));
    assert_eq!(left(&["codex verify 1", asks]), (true, Some(name("c"))));
    assert_eq!(left(&["codex verify 1 a failed", asks]), (false, Some(name("b"))));
    let without = "codex verify 1 a passed {\"commit\":null}";
    assert_eq!(left(&[without, asks]), (true, Some(name("b"))));
    let rejected = ["codex verify 1", "alice reject 1"];
    assert_eq!(left(&rejected), (false, Some(name("b"))));
}
