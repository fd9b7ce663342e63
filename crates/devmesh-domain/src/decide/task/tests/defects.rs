//! What was found wrong with how comparable systems hand out work, end it and count what a host
//! has, each shown to be otherwise here. A test is named after the defect that it denies; those
//! of locks stand in `decide/lock/tests/defects.rs`.

use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::agent::Capacity;
use devmesh_protocol::{At, HostId};
use serde_json::{Value, json};

use super::states::{self, WORKING};
use super::{Tasks, check, story};
use crate::fold::fold;
use crate::invariant::world::{World, actor};
use crate::state::State;

fn measured(ram_mb: u64, vram_mb: &[u64], slots: u32) -> Internal {
    let capacity = Capacity { ram_mb, vram_mb: vram_mb.to_vec(), slots };
    Internal::HostMeasured { host: HostId::new("host").unwrap(), capacity, report: None }
}

fn winner(tasks: &Tasks, number: u64) -> Option<String> {
    tasks.task(number).attempt.as_ref().map(|attempt| attempt.actor.to_string())
}

#[test]
fn the_first_bid_wins() {
    for first in 0..3 {
        let mut bids = [("codex", 1), ("claude", 7), ("gemini", 3)];
        bids.rotate_left(first);
        let mut tasks = Tasks::after_all(&["alice add"]);
        for (who, _) in bids {
            // A bid awards nothing by itself, whoever comes first.
            assert_eq!(tasks.step(&format!("{who} bid 1")), "nothing");
            assert_eq!(winner(&tasks, 1), None);
        }
        assert_eq!(tasks.close(1, &bids), "task_awarded t-1");
        assert_eq!(winner(&tasks, 1).as_deref(), Some("claude"), "{bids:?}");
    }
}

#[test]
fn a_suspended_agent_bids_and_is_awarded() {
    let mut tasks = Tasks::after_all(&["alice add"]);
    let came = tasks.world.internal(measured(1_000, &[], 0)).join(", ");
    assert!(came.contains("agent_suspended codex"), "{came}");
    assert_eq!(tasks.step("codex bid 1"), "AGENT_SUSPENDED");
    assert_eq!(tasks.step("close 1 codex claude gemini"), "auction_lapsed t-1");
    // Nor is an auction opened for nobody, nor a review given.
    assert_eq!(tasks.step("alice add"), "task_added t-2");
    tasks.step("after 60000");
    assert!(tasks.world.state.index.auctions.is_empty());
    // It goes on by itself when there is room.
    let came = tasks.world.internal(measured(1_000, &[], 1)).join(", ");
    assert!(came.contains("agent_unsuspended codex"), "{came}");
    assert_eq!(tasks.step("codex bid 1"), "nothing");
    assert_eq!(tasks.step("close 1 codex"), "task_awarded t-1");
}

#[test]
fn an_award_goes_over_what_the_host_has() {
    let mut tasks = Tasks::after_all(&["alice add", "alice add"]);
    tasks.world.internal(measured(1_000, &[], 1));
    assert_eq!(tasks.step("close 1 codex"), "task_awarded t-1");
    assert_eq!(tasks.step("claude bid 2"), "INSUFFICIENT_RESOURCES");
    assert_eq!(tasks.step("close 2 claude"), "auction_lapsed t-2");
    // The others are idle and not suspended: the room comes back with the end of the work.
    tasks.step("codex start 1");
    tasks.step("codex fail 1 test {\"hard\":true}");
    tasks.step("after 60000");
    assert_eq!(tasks.step("close 2 claude"), "task_awarded t-2");
}

#[test]
fn memory_below_nothing_makes_room() {
    let join = |needs: Value| {
        let mut world = World::bare();
        world.internal(measured(4_000, &[16_000], 8));
        let body = json!({ "tool": "x", "host": "host", "session": "s", "needs": needs });
        let done = world.send("ada", "agent.join", body);
        let agents = world.state.agents.len();
        (done.map(drop).map_err(|refused| refused.code.as_str().to_owned()), agents)
    };
    for bad in [json!(-1_000), json!(-1), json!(1.5), json!(1e18), json!("10")] {
        for which in ["ram_mb", "vram_mb", "slots"] {
            assert_eq!(join(json!({ which: bad })), (Err("BAD_REQUEST".to_owned()), 0), "{bad}");
        }
    }
    // Nor so much of it that a sum of two begins again at nothing.
    for which in ["ram_mb", "vram_mb"] {
        let came = join(json!({ which: u64::MAX }));
        assert_eq!(came, (Err("LIMIT_EXCEEDED".to_owned()), 0), "{which}");
    }
    assert_eq!(join(json!({ "slots": u32::MAX })).0, Err("LIMIT_EXCEEDED".to_owned()));
    assert_eq!(join(json!({ "vram_mb": 900 })), (Ok(()), 1));
}

/// Every verb that ends work, of everybody, in every state: whoever is not its worker changes
/// nothing at all.
#[test]
fn any_agent_completes_and_abandons_anothers_task() {
    let failed =
        ["alice add", "close 1 codex", "codex start 1", "codex fail 1 test {\"hard\":true}"];
    let states = [
        states::QUEUED,
        states::CLAIMED,
        WORKING,
        states::VERIFIED,
        states::REVIEW,
        states::LANDING,
        states::LANDED,
        &failed,
        states::CANCELLED,
        states::FROZEN,
    ];
    for given in states {
        let tasks = Tasks::after_all(given);
        for who in ["claude", "alice", "stranger"] {
            for verb in ["complete 1", "abandon 1", "fail 1", "end 1 yielded", "land 1"] {
                let mut tasks = tasks.clone();
                let before = tasks.world.state.hash();
                let came = tasks.step(&format!("{who} {verb}"));
                let refused = ["NOT_OWNER", "STALE_TOKEN", "TASK_STATE_ERROR"];
                assert!(refused.contains(&came.as_str()), "{who} {verb} after {given:?}: {came}");
                assert_eq!(tasks.world.state.hash(), before, "{who} {verb} after {given:?}");
            }
        }
    }
}

#[test]
fn a_task_completes_in_any_state() {
    for (given, expect) in [
        (&["alice add"][..], "STALE_TOKEN"),
        (&["alice add", "close 1 codex"], "TASK_STATE_ERROR"),
        (WORKING, "VERIFICATION_REQUIRED"),
        (&["alice add", "close 1 codex", "codex start 1", "alice pause 1"], "TASK_STATE_ERROR"),
        (&["alice add", "close 1 codex", "codex start 1", "alice cancel 1"], "STALE_TOKEN"),
        // Proven is not landed.
        (&["alice add", "close 1 codex", "codex start 1", "codex verify 1"], "TASK_STATE_ERROR"),
        (
            &["alice add", "close 1 codex", "codex start 1", "codex verify 1 a failed"],
            "VERIFICATION_REQUIRED",
        ),
    ] {
        check(given, "codex complete 1", expect);
    }
}

#[test]
fn work_is_done_without_proof() {
    for flow in ["merge", "branch", "pr", "patch"] {
        let add = format!("alice add {{\"flow\":\"{flow}\"}}");
        let given = [add.as_str(), "close 1 codex", "codex start 1"];
        check(&given, "codex complete 1", "VERIFICATION_REQUIRED");
        let begun = if flow == "merge" { "VERIFICATION_REQUIRED" } else { "TASK_STATE_ERROR" };
        check(&given, "codex begin 1", begun);
        let given = [&given[..], &["codex verify 1 a failed"]].concat();
        check(&given, "codex complete 1", "VERIFICATION_REQUIRED");
    }
    // Nor is what lands something else than what was proven.
    let given = [WORKING, &["codex verify 1 a"]].concat();
    check(&given, "codex begin 1 b", "VERIFICATION_REQUIRED");
    let given = [&given[..], &["codex begin 1 a"]].concat();
    check(&given, "codex land 1 b", "VERIFICATION_REQUIRED");
}

#[test]
fn work_that_fails_is_not_tried_again() {
    let mut tasks = Tasks::after_all(&["alice add {\"max_attempts\":2}"]);
    for (number, state) in [(1, "queued"), (2, "failed")] {
        tasks.step("after 60000");
        tasks.step("close 1 codex");
        tasks.step("codex start 1");
        assert_eq!(tasks.task(1).attempt.as_ref().unwrap().number, number);
        tasks.step("codex fail 1 test");
        assert_eq!(tasks.state(1), state);
    }
    // After that it is a person's to try again.
    assert!(tasks.step("alice retry 1").starts_with("task_retried t-1"));
    assert_eq!(tasks.state(1), "queued");
}

/// What another process folds from the log is what the first one had, timers included: from
/// there on both do the same at the same times.
#[test]
fn tasks_and_timers_are_lost_with_the_process() {
    let mut tasks = Tasks::after_all(&[
        "alice add",
        "alice add {\"depends_on\":[\"t-1\"]}",
        "alice add {\"paths\":[\"src/\"]}",
        "alice add",
        "close 1 codex",
        "codex start 1",
        "close 3 claude",
        "close 4 gemini",
        "gemini start 4",
        "codex ask 1 {\"default\":\"this\",\"wait_s\":40}",
        "alice pause 4",
    ]);
    for step in ["bob write src/a wait 20000", "carol write docs ttl 30000", "alice write lib"] {
        tasks.world.step(step);
    }
    assert_eq!(tasks.world.step("dave write lib wait 20000"), "dave waits");
    let mut again = tasks.clone();
    let mut state = State::default();
    again.world.records.iter().for_each(|record| fold(&mut state, record));
    again.world.state = state;
    assert_eq!(again.world.state.tasks.len(), 4);
    assert_eq!(again.world.state.hash(), tasks.world.state.hash());
    let mut told = Vec::new();
    for _ in 0..30 {
        let came = tasks.step("after 2000");
        assert_eq!(again.step("after 2000"), came);
        if came != "nothing" {
            told.push(came);
        }
    }
    // Claude did not start, and bob had its path; carol's lease, dave's wait and the question
    // have ended.
    for word in [
        "attempt_ended t-3, bob has write src/a",
        "docs over",
        "dave timedout",
        "task_answered t-1",
    ] {
        assert!(told.iter().any(|came| came.contains(word)), "{word} in {told:?}");
    }
    assert_eq!(again.world.state.hash(), tasks.world.state.hash());
}

/// A lease that runs out takes nothing with it: the work is its agent's until the session ends,
/// and the same session asks for its leases again.
#[test]
fn a_lock_that_runs_out_throws_the_work_away() {
    let mut tasks = Tasks::after_all(&["alice add {\"paths\":[\"a\"]}"]);
    tasks.step("close 1 codex");
    tasks.step("codex start 1");
    assert_eq!(tasks.world.state.leases.len(), 1);
    let lapsed = tasks.step("silent codex 20000");
    assert!(lapsed.starts_with("leases_lapsed"), "{lapsed}");
    assert_eq!(tasks.world.state.leases.len(), 0);
    assert_eq!((tasks.state(1), winner(&tasks, 1).as_deref()), ("working", Some("codex")));
    let body = json!({ "tool": "custom", "host": "host", "session": "codex" });
    assert_eq!(tasks.send("codex", "agent.join", body), "agent_resumed codex");
    assert_eq!(tasks.world.step("codex write task t-1 a"), "codex has write a");
    assert_eq!(tasks.step("codex verify 1"), "task_verified t-1");
    assert_eq!((tasks.task(1).tries, tasks.task(1).attempts), (0, 1));
}

#[test]
fn work_on_a_goal_begins_after_ten_minutes_without_its_framework() {
    let mut tasks = Tasks::after_all(&["alice plan", "alice add {\"parent\":\"t-1\"}"]);
    tasks.step("close 1 codex");
    tasks.step("codex start 1");
    for _ in 0..70 {
        tasks.step("after 10000");
        assert!(tasks.task(2).ready_at.is_none() && tasks.task(2).auction.is_none());
    }
    assert_eq!(tasks.step("claude bid 2"), "TASK_STATE_ERROR");
    tasks.step("codex publish 1");
    assert!(tasks.task(2).ready_at.is_some());
}

#[test]
fn the_framework_need_not_be_read() {
    let mut tasks = Tasks::after_all(&["alice send framework.publish {\"text\":\"plan\"}"]);
    assert_eq!(tasks.step("alice add"), "task_added t-1");
    tasks.step("codex send framework.read {\"version\":1}");
    assert_eq!(tasks.step("claude bid 1"), "FRAMEWORK_UNREAD");
    assert_eq!(tasks.close(1, &[("claude", 99), ("codex", 1)]), "task_awarded t-1");
    assert_eq!(winner(&tasks, 1).as_deref(), Some("codex"));
}

#[test]
fn the_critic_may_be_the_author() {
    let add = "alice add {\"review\":\"agent\"}";
    let given = [add, "close 1 codex", "codex start 1"];
    check(&given, "codex complete 1", "VERIFICATION_REQUIRED");
    let mut tasks = Tasks::after_all(&given);
    tasks.step("codex verify 1");
    assert_eq!(tasks.state(1), "review");
    assert_eq!(tasks.step("codex approve 1"), "SELF_REVIEW");
    assert_eq!(tasks.step("codex complete 1"), "STALE_TOKEN");
    let reviewer = tasks.task(1).reviewer.as_ref().unwrap().actor.clone();
    assert_ne!(reviewer, actor("codex"));
}

/// A task whose dependency is not there is in nobody's auction, not offered and then denied.
#[test]
fn what_a_task_comes_after_is_looked_at_when_it_is_claimed() {
    let mut tasks = story(&[
        ("alice add", "task_added t-1, auction_opened t-1"),
        ("alice add {\"depends_on\":[\"t-1\"]}", "task_added t-2"),
        ("claude bid 2", "TASK_STATE_ERROR"),
        ("close 1 codex", "task_awarded t-1"),
    ]);
    assert_eq!(tasks.close(2, &[("claude", 9)]), "nothing");
    tasks.world.at = At(tasks.world.at.0 + 600_000);
    assert_eq!(tasks.step("claude bid 2"), "TASK_STATE_ERROR");
}
