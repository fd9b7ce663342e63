//! Auctions: who is eligible, which are open, and when none is.

mod award;
mod lapse;
mod paths;

use devmesh_protocol::TaskId;
use devmesh_protocol::command::internal::Internal;
use serde_json::{Value, json};

use super::{Tasks, check, story};
use crate::decide::{bidders, eligible, open_auctions};
use crate::invariant::world::World;

/// A mesh with a repository, a person and agents that join as they are told to.
fn mesh(agents: &[(&str, Value)]) -> Tasks {
    let mut tasks = Tasks { world: World::new() };
    for name in crate::invariant::world::AGENTS {
        tasks.world.send(name, "agent.leave", json!({})).unwrap();
    }
    for (name, more) in agents {
        let mut body = json!({ "tool": "custom", "host": "h", "session": format!("{name}-1") });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tasks.world.send(name, "agent.join", body).unwrap();
    }
    tasks
}

fn may_bid(tasks: &Tasks, number: u64) -> Vec<String> {
    bidders(&tasks.world.state, TaskId(number)).iter().map(ToString::to_string).collect()
}

#[test]
fn who_is_eligible() {
    let plain = json!({});
    for (agent, task, expect) in [
        (plain.clone(), plain.clone(), ""),
        (plain.clone(), json!({ "tool": "custom" }), ""),
        (plain.clone(), json!({ "tool": "codex" }), "its tool is custom, and codex is asked for"),
        (
            plain.clone(),
            json!({ "tool": "codex", "backup_tools": ["custom"] }),
            "its tool is custom, and codex is asked for",
        ),
        (plain.clone(), json!({ "needs": ["rust"] }), "it lacks the capability rust"),
        (
            json!({ "capabilities": ["go"] }),
            json!({ "needs": ["rust"] }),
            "it lacks the capability rust",
        ),
        (json!({ "capabilities": ["go", "rust"] }), json!({ "needs": ["rust"] }), ""),
        (json!({ "repos": ["r"] }), plain.clone(), ""),
        (json!({ "repos": ["other"] }), plain.clone(), "it does not have repository r"),
        (json!({ "for": ["alice"] }), plain.clone(), ""),
        (json!({ "for": ["bob"] }), plain.clone(), "it takes no tasks of alice"),
        (json!({ "needs": { "vram_mb": 1 } }), plain.clone(), "suspended"),
    ] {
        let mut tasks = mesh(&[("ada", agent.clone())]);
        let came = tasks.step(&format!("alice add {task}"));
        let opened = came.contains("auction_opened");
        assert_eq!(opened, expect.is_empty(), "{agent} {task}: {came}");
        let state = &tasks.world.state;
        let all = eligible(state, TaskId(1));
        let (_, fit) = &all[0];
        match fit {
            Ok(()) => assert!(expect.is_empty(), "{agent} {task}"),
            Err(why) => assert!(!expect.is_empty() && why.contains(expect), "{agent}: {why}"),
        }
        assert_eq!(may_bid(&tasks, 1).len(), usize::from(expect.is_empty()));
    }
}

#[test]
fn a_backup_comes_after_a_try() {
    let mut tasks = mesh(&[("ada", json!({ "tool": "codex" })), ("eve", json!({}))]);
    tasks.step("alice add {\"tool\":\"codex\",\"backup_tools\":[\"custom\"]}");
    assert_eq!(may_bid(&tasks, 1), ["ada"]);
    tasks.close(1, &[("ada", 0), ("eve", 100)]);
    tasks.step("ada start 1 {\"session\":\"ada-1\"}");
    tasks.step("ada fail 1 test {\"session\":\"ada-1\"}");
    assert_eq!(may_bid(&tasks, 1), ["ada", "eve"]);
}

#[test]
fn the_framework_is_read_first() {
    let mut tasks = Tasks::new();
    assert_eq!(
        tasks.step("codex send framework.publish {\"text\":\"plan\"}"),
        "framework_published 1"
    );
    assert_eq!(tasks.step("alice add"), "task_added t-1");
    let read = tasks.step("codex send framework.read {\"version\":1}");
    assert_eq!(read, "framework_read codex, auction_opened t-1");
    assert_eq!(tasks.step("claude bid 1"), "FRAMEWORK_UNREAD");
    assert_eq!(tasks.step("codex bid 1"), "nothing");
    assert_eq!(
        tasks.step("alice send framework.publish {\"text\":\"next\"}"),
        "framework_published 2"
    );
    assert_eq!(tasks.step("codex bid 1"), "FRAMEWORK_UNREAD");
    assert_eq!(tasks.close(1, &[("codex", 1)]), "auction_lapsed t-1");
}

#[test]
fn who_may_bid() {
    let given = ["alice add"];
    check(&given, "codex bid 1", "nothing");
    check(&given, "codex bid 9", "TASK_NOT_FOUND");
    check(&given, "codex bid 1 {\"session\":\"other\"}", "AGENT_NOT_REGISTERED");
    check(&given, "alice bid 1", "AGENT_NOT_REGISTERED");
    check(&["alice add", "close 1"], "codex bid 1", "TASK_STATE_ERROR");
    check(&["alice add", "alice add", "close 1 codex"], "codex bid 2", "NOT_PERMITTED");
    let drained = ["alice add", "alice send agent.drain {\"agent\":\"codex\"}"];
    check(&drained, "codex bid 1", "NOT_PERMITTED");
    check(&drained, "close 1 codex", "auction_lapsed t-1");
}

#[test]
fn urgent_first_and_whoever_waits_long_gains() {
    let mut tasks = mesh(&[]);
    for priority in [4, 2, 0, 2] {
        tasks.step(&format!("alice add {{\"priority\":{priority}}}"));
    }
    let order = |tasks: &Tasks| -> Vec<u64> {
        tasks.world.state.index.ready.iter().map(|(_, id)| id.0).collect()
    };
    assert_eq!(order(&tasks), [3, 2, 4, 1]);
    // Ten minutes are a level.
    tasks.world.at = tasks.world.at + 10 * 60_000 + 1;
    tasks.step("alice add {\"priority\":1}");
    assert_eq!(order(&tasks), [3, 2, 4, 5, 1]);
    tasks.world.at = tasks.world.at + 20 * 60_000;
    tasks.step("alice add {\"priority\":0}");
    tasks.step("alice add {\"priority\":1}");
    assert_eq!(order(&tasks), [3, 2, 4, 5, 6, 1, 7]);
    let body = json!({ "tool": "custom", "host": "h", "session": "s" });
    assert!(tasks.send("ada", "agent.join", body).ends_with("auction_opened t-3"));
}

#[test]
fn no_more_auctions_than_agents_to_bid() {
    let mut tasks = Tasks::new();
    for _ in 0..5 {
        tasks.step("alice add");
    }
    assert_eq!(open_auctions(&tasks.world.state).len(), 3);
    assert_eq!(tasks.close(1, &[("codex", 0)]), "task_awarded t-1");
    assert_eq!(tasks.close(2, &[("claude", 0)]), "task_awarded t-2");
    assert_eq!(open_auctions(&tasks.world.state).len(), 1);
    assert_eq!(tasks.close(3, &[]), "auction_lapsed t-3", "gemini is not asked again at once");
    assert_eq!(tasks.step("after 1000"), "auction_opened t-3");
    assert_eq!(tasks.close(3, &[]), "auction_lapsed t-3");
    assert!(tasks.step("codex start 1").starts_with("task_started"));
    let came = tasks.step("codex fail 1 test {\"hard\":true}");
    assert_eq!(
        came, "attempt_ended t-1, auction_opened t-3",
        "a free agent, and t-3 waits no more"
    );
}

#[test]
fn nothing_starts_while_the_mesh_is_paused() {
    story(&[
        ("alice add", "task_added t-1, auction_opened t-1"),
        ("alice send mesh.pause {}", "mesh_paused mesh"),
        ("close 1 codex", "auction_lapsed t-1"),
        ("alice add", "task_added t-2"),
        ("after 60000", "auction_lapsed t-1"),
        ("after 60000", "nothing"),
        ("alice send mesh.resume {}", "mesh_resumed mesh, auction_opened t-1, auction_opened t-2"),
        ("close 1 codex", "task_awarded t-1"),
        ("alice send mesh.pause {}", "mesh_paused mesh"),
        ("codex start 1", "TASK_STATE_ERROR"),
    ]);
}

#[test]
fn a_new_term_opens_windows_again() {
    let mut tasks = Tasks::after_all(&["alice add"]);
    let (_, before) = open_auctions(&tasks.world.state)[0];
    tasks.world.at = tasks.world.at + 10_000;
    tasks.world.internal(Internal::EpochStart {
        epoch: 1,
        node: "n".to_owned(),
        nonce: 1,
        hash: Default::default(),
    });
    let (_, after) = open_auctions(&tasks.world.state)[0];
    assert_eq!(before + 10_000, after);
    assert!(tasks.close(1, &[("codex", 1)]).starts_with("task_awarded"));
    assert_eq!(tasks.close(1, &[("claude", 9)]), "nothing", "an auction closes once");
}

/// The defect: the day's budget was a setting that nothing looked at.
#[test]
fn the_days_budget_is_kept() {
    let cost = |micro: u64| {
        let usage = json!({ "input_tokens": 1, "output_tokens": 1, "cost_micro_usd": micro });
        format!("codex abandon 1 {{\"unspent\":true,\"usage\":{usage}}}")
    };
    let set = "alice send setting.set {\"key\":\"budget.usd_per_day\",\"value\":2}";
    let mut tasks = Tasks::after_all(&[set, "alice add {\"max_cost_usd\":9}", "close 1 codex"]);
    tasks.step("codex start 1");
    // What is told twice is spent once.
    let usage = "{\"usage\":{\"input_tokens\":1,\"output_tokens\":1,\"cost_micro_usd\":1500000}}";
    tasks.step(&format!("codex progress 1 b {usage}"));
    tasks.step(&cost(1_500_000));
    let now = tasks.world.at;
    assert_eq!(tasks.world.state.spent_on_day_of(now), 1_500_000);
    assert_eq!(tasks.step("after 60000"), "auction_opened t-1");
    tasks.step("close 1 codex");
    tasks.step("codex start 1");
    tasks.step("alice add");
    assert!(tasks.task(2).auction.is_some());
    // With the last of it gone, open auctions come to nothing and no others open.
    tasks.step(&cost(500_000));
    assert_eq!(tasks.step("claude bid 2"), "BUDGET_EXCEEDED");
    assert_eq!(tasks.step("close 2 claude"), "auction_lapsed t-2");
    assert!(!tasks.step("after 3600000").contains("auction_opened"));
    assert_eq!(tasks.step("alice add"), "task_added t-3");
    let why = eligible(&tasks.world.state, TaskId(3));
    assert!(why.iter().all(|(_, fit)| fit.as_ref().unwrap_err().contains("2.00 of 2")), "{why:?}");
    // Midnight of UTC brings it back without anybody's word.
    let day_ms = crate::state::mesh::DAY_MS;
    let midnight = (tasks.world.at.0 / day_ms + 1) * day_ms - tasks.world.at.0;
    assert!(!tasks.step(&format!("after {}", midnight - 1)).contains("auction_opened"));
    assert!(tasks.step("after 1").contains("auction_opened"));
}

/// A backup's turn is that of the task that was tried, and of no other that asks for the same.
#[test]
fn a_backup_is_one_for_its_own_task() {
    let mut tasks = mesh(&[("ada", json!({ "tool": "codex" })), ("eve", json!({}))]);
    tasks.step("alice add {\"tool\":\"codex\",\"backup_tools\":[\"custom\"]}");
    tasks.close(1, &[("ada", 0)]);
    tasks.step("ada start 1 {\"session\":\"ada-1\"}");
    tasks.step("ada fail 1 test {\"session\":\"ada-1\"}");
    tasks.step("close 1");
    tasks.step("ada send agent.leave {\"session\":\"ada-1\"}");
    tasks.send("alice", "mesh.pause", json!({}));
    tasks.step("alice add {\"tool\":\"codex\"}");
    let join = json!({ "tool": "custom", "host": "h", "session": "ivy-1" });
    tasks.send("ivy", "agent.join", join);
    tasks.step("after 60000");
    let came = tasks.send("alice", "mesh.resume", json!({}));
    assert_eq!(came, "mesh_resumed mesh, auction_opened t-1");
}
