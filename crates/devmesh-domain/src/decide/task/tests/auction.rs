//! Auctions: who is eligible, who wins, and that nothing waits for ever or loops.

use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::agent::Capacity;
use devmesh_protocol::event::task::Blocked;
use devmesh_protocol::event::{Bid, Event};
use devmesh_protocol::{HostId, TaskId};
use serde_json::{Value, json};

use super::{Tasks, check, story};
use crate::decide::{bidders, eligible, open_auctions};
use crate::invariant::world::{World, actor};

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
fn the_best_bid_wins_and_the_order_of_bids_does_not() {
    let orders: [[(&str, i64); 3]; 3] = [
        [("codex", 1), ("claude", 7), ("gemini", 3)],
        [("claude", 7), ("gemini", 3), ("codex", 1)],
        [("gemini", 3), ("codex", 1), ("claude", 7)],
    ];
    for bids in orders {
        let mut tasks = Tasks::after_all(&["alice add"]);
        assert_eq!(tasks.close(1, &bids), "task_awarded t-1");
        assert_eq!(tasks.task(1).attempt.as_ref().unwrap().actor.as_str(), "claude");
        let Event::TaskAwarded(award) = &tasks.world.records.last().unwrap().events[0] else {
            panic!("an award")
        };
        let order: Vec<&str> = award.bids.iter().map(|bid| bid.actor.as_str()).collect();
        assert_eq!(order, ["claude", "gemini", "codex"]);
        assert!(award.bids[0].score.contains_key("capability"), "what the coordinator knows");
    }
}

/// Of equal bids the agent wins that has been idle longest, so that all get their share.
#[test]
fn equals_take_turns() {
    let mut tasks = Tasks::new();
    let mut won = Vec::new();
    let all = [("codex", 5), ("claude", 5), ("gemini", 5)];
    for number in 1..=9 {
        tasks.step("alice add");
        tasks.close(number, &all);
        let who = tasks.task(number).attempt.as_ref().unwrap().actor.to_string();
        tasks.step(&format!("{who} start {number}"));
        tasks.step(&format!("{who} fail {number} test {{\"hard\":true}}"));
        won.push(who);
    }
    assert_eq!(won[..3], ["codex", "claude", "gemini"]);
    assert_eq!(won[..3], won[3..6]);
    assert_eq!(won[..3], won[6..9]);
}

#[test]
fn a_forged_term_counts_for_nothing() {
    let mut tasks = Tasks::after_all(&["alice add"]);
    let score = [("capability".to_owned(), 1_000)].into();
    let forged = Bid { actor: actor("codex"), score, total: 9_999, declined: None };
    let honest = Bid {
        actor: actor("claude"),
        score: [("free".to_owned(), 1)].into(),
        total: 1,
        declined: None,
    };
    let bids = vec![forged, honest];
    tasks.world.internal(Internal::AuctionClose { task: TaskId(1), bids });
    assert_eq!(tasks.task(1).attempt.as_ref().unwrap().actor.as_str(), "claude");
}

#[test]
fn specialists_go_first() {
    let mut tasks = mesh(&[
        ("ada", json!({ "capabilities": ["rust", "gpu"] })),
        ("eve", json!({ "capabilities": ["rust"] })),
    ]);
    tasks.step("alice add {\"needs\":[\"rust\"]}");
    tasks.close(1, &[("ada", 5), ("eve", 5)]);
    assert_eq!(tasks.task(1).attempt.as_ref().unwrap().actor.as_str(), "eve");
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
    assert_eq!(tasks.close(3, &[]), "auction_lapsed t-3, auction_opened t-4");
    assert!(tasks.step("codex start 1").starts_with("task_started"));
    let came = tasks.step("codex fail 1 test {\"hard\":true}");
    assert_eq!(
        came, "attempt_ended t-1, auction_opened t-3",
        "a free agent, and t-3 waits no more"
    );
}

#[test]
fn a_lapse_waits_longer_each_time() {
    let mut tasks = mesh(&[("ada", json!({}))]);
    tasks.step("alice add");
    for wait_ms in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        assert_eq!(tasks.step("close 1"), "auction_lapsed t-1", "{wait_ms}");
        assert_eq!(tasks.step(&format!("after {}", wait_ms - 1)), "nothing", "{wait_ms}");
        assert_eq!(tasks.step("after 1"), "auction_opened t-1", "{wait_ms}");
    }
    tasks.step("close 1");
    let body = json!({ "tool": "custom", "host": "h", "session": "eve-1" });
    let came = tasks.send("eve", "agent.join", body);
    assert!(came.ends_with("auction_opened t-1"), "who joins is worth another look: {came}");
    tasks.step("close 1");
    assert_eq!(tasks.step("after 1000"), "auction_opened t-1", "and the waits begin anew");
}

/// With nobody left to bid a task stands in line, and the log stays silent.
#[test]
fn nobody_to_bid_makes_no_noise() {
    let mut tasks = mesh(&[("ada", json!({}))]);
    tasks.step("alice add");
    tasks.step("close 1");
    tasks.step("ada send agent.leave {\"session\":\"ada-1\"}");
    assert_eq!(tasks.step("after 60000"), "auction_lapsed t-1");
    for _ in 0..20 {
        assert_eq!(tasks.step("after 60000"), "nothing");
    }
    let body = json!({ "tool": "custom", "host": "h", "session": "eve-1" });
    assert!(tasks.send("eve", "agent.join", body).ends_with("auction_opened t-1"));
}

#[test]
fn who_does_not_start_loses_it_and_no_try() {
    let mut tasks = story(&[
        ("alice add", "task_added t-1, auction_opened t-1"),
        ("close 1 codex", "task_awarded t-1"),
        ("after 4999", "nothing"),
        ("after 1", "attempt_ended t-1"),
        ("codex start 1", "STALE_TOKEN"),
        ("after 999", "nothing"),
        ("after 1", "auction_opened t-1"),
        ("close 1 claude", "task_awarded t-1"),
        ("claude start 1", "task_started t-1"),
        ("after 3600000", "nothing"),
    ]);
    assert_eq!((tasks.task(1).tries, tasks.task(1).attempts), (0, 2));
    tasks.world.check_replay();
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
fn leases_come_with_the_award() {
    let mut tasks = Tasks::after_all(&["alice add {\"paths\":[\"src/\",\"doc\"]}"]);
    let came = tasks.step("close 1 codex");
    let mut came: Vec<&str> = came.split(", ").collect();
    came[1..].sort_unstable();
    assert_eq!(came, ["task_awarded t-1", "codex has intent doc", "codex has intent src/"]);
    let held = |tasks: &Tasks| -> Vec<(Option<TaskId>, u64)> {
        let leases = tasks.world.state.leases.iter();
        leases.map(|(id, lease)| (lease.holder.task, id.seq)).collect()
    };
    let token = tasks.task(1).attempt.as_ref().unwrap().token;
    assert_eq!(held(&tasks), [(Some(TaskId(1)), token), (Some(TaskId(1)), token)]);
    tasks.step("codex abandon 1");
    assert!(held(&tasks).is_empty());
    let mut tasks = Tasks::after_all(&["alice add {\"paths\":[\"src/\"],\"share\":true}"]);
    assert_eq!(tasks.step("close 1 codex"), "task_awarded t-1, codex has co_write src/");
    tasks.step("alice add {\"paths\":[\"src/a\"],\"share\":true}");
    assert_eq!(tasks.step("close 2 claude"), "task_awarded t-2, claude has co_write src/a");
}

/// Tasks on the same paths are not started together, and the second one starts once it can.
#[test]
fn touch_sets_keep_apart() {
    let mut tasks = Tasks::after_all(&["alice add {\"paths\":[\"src/\"]}", "close 1 codex"]);
    assert_eq!(tasks.step("alice add {\"paths\":[\"src/a\"]}"), "task_added t-2");
    assert_eq!(tasks.step("alice add {\"paths\":[\"doc\"]}"), "task_added t-3, auction_opened t-3");
    assert!(may_bid(&tasks, 2).is_empty());
    tasks.step("codex start 1");
    let came = tasks.step("codex fail 1 test {\"hard\":true}");
    assert_eq!(came, "attempt_ended t-1, auction_opened t-2");
    // A lease that came between opening and closing: no award.
    assert_eq!(
        tasks.send("bob", "lock.acquire", json!({ "paths": ["src"], "mode": "write" })),
        "bob has write src"
    );
    assert_eq!(tasks.step("close 2 codex"), "auction_lapsed t-2");
    // A person's lease on part of it, given back, is seen at once.
    tasks.step("after 60000");
    assert_eq!(tasks.step("after 60000"), "nothing");
    let came = tasks.send("bob", "lock.release", json!({ "paths": ["src"] }));
    assert_eq!(came, "src free, auction_opened t-2");
}

#[test]
fn a_lease_that_gets_weaker_is_seen() {
    let mut tasks = Tasks::new();
    tasks.send("bob", "lock.acquire", json!({ "paths": ["src/a/b"], "mode": "write" }));
    assert_eq!(tasks.step("alice add {\"paths\":[\"src/\"]}"), "task_added t-1");
    let lease = tasks.world.lease_of("bob", "src/a/b").to_string();
    let came = tasks.send("bob", "lock.convert", json!({ "lease": lease, "mode": "read" }));
    assert_eq!(came, "src/a/b is read, auction_opened t-1");
    // One that is not in the way is not looked at.
    let mut tasks = Tasks::new();
    for path in ["src", "other"] {
        tasks.send("bob", "lock.acquire", json!({ "paths": [path], "mode": "write" }));
    }
    tasks.step("alice add {\"paths\":[\"src/\"]}");
    let generation = tasks.world.state.index.tasks.stirred.generation;
    tasks.send("bob", "lock.release", json!({ "paths": ["other"] }));
    assert_eq!(tasks.world.state.index.tasks.stirred.generation, generation);
}

/// A large touch set is not starved by small ones.
#[test]
fn who_waited_long_for_paths_is_not_overtaken() {
    let mut tasks = Tasks::new();
    tasks.send(
        "bob",
        "lock.acquire",
        json!({ "paths": ["src/b"], "mode": "write", "ttl_ms": 86_400_000 }),
    );
    tasks.step("alice add {\"paths\":[\"src/\"]}");
    assert_eq!(
        tasks.step("alice add {\"paths\":[\"src/a\"]}"),
        "task_added t-2, auction_opened t-2"
    );
    tasks.step("close 2 codex");
    tasks.step("codex start 2");
    tasks.step("after 600000");
    assert_eq!(tasks.step("alice add {\"paths\":[\"src/c\"]}"), "task_added t-3");
    assert_eq!(tasks.step("alice add {\"paths\":[\"doc\"]}"), "task_added t-4, auction_opened t-4");
    assert_eq!(tasks.step("codex fail 2 test {\"hard\":true}"), "attempt_ended t-2");
    let came = tasks.send("bob", "lock.release", json!({ "paths": ["src/b"] }));
    assert_eq!(came, "src/b free, auction_opened t-1");
    // Nor while its own auction is open.
    assert_eq!(tasks.step("alice add {\"paths\":[\"src/d\"]}"), "task_added t-5");
    let came = tasks.step("close 1");
    assert_eq!(came, "auction_lapsed t-1, auction_opened t-3, auction_opened t-5");
    // When it is out of the way the others come.
    let mut tasks = Tasks::new();
    tasks.send(
        "bob",
        "lock.acquire",
        json!({ "paths": ["src/b"], "mode": "write", "ttl_ms": 86_400_000 }),
    );
    tasks.step("alice add {\"paths\":[\"src/\"]}");
    tasks.step("after 600000");
    tasks.step("alice add {\"paths\":[\"src/c\"]}");
    assert_eq!(tasks.step("alice cancel 1"), "task_cancelled t-1, auction_opened t-2");
}

#[test]
fn a_host_has_room_or_it_has_not() {
    let needs = json!({ "needs": { "ram_mb": 600 } });
    let mut tasks = mesh(&[("ada", needs.clone()), ("eve", needs)]);
    let host = HostId::new("h").unwrap();
    let capacity = |ram_mb| Capacity { ram_mb, vram_mb: Vec::new(), slots: 8 };
    let measured = |tasks: &mut Tasks, ram_mb| {
        let (host, capacity) = (host.clone(), capacity(ram_mb));
        tasks.world.internal(Internal::HostMeasured { host, capacity }).join(", ")
    };
    measured(&mut tasks, 1_000);
    tasks.step("alice add");
    tasks.step("alice add");
    assert!(tasks.close(1, &[("ada", 1)]).starts_with("task_awarded t-1"));
    assert_eq!(tasks.close(2, &[("eve", 1)]), "auction_lapsed t-2");
    assert_eq!(tasks.step("eve bid 2 {\"session\":\"eve-1\"}"), "TASK_STATE_ERROR");
    tasks.step("ada start 1 {\"session\":\"ada-1\"}");
    assert_eq!(tasks.step("after 60000"), "auction_lapsed t-2");
    let explained = eligible(&tasks.world.state, TaskId(2));
    assert!(explained[1].1.as_ref().unwrap_err().contains("eve needs 600, 400 are free"));
    let came = measured(&mut tasks, 2_000);
    assert!(came.contains("auction_opened t-2"), "{came}");
    let reserved = &tasks.world.state.index.reserved;
    assert!(reserved.values().all(|reserved| reserved.ram_mb <= 2_000));
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

fn declined(who: &str, why: &str) -> Bid {
    let declined = Some(why.to_owned());
    Bid { actor: actor(who), score: Default::default(), total: 0, declined }
}

fn close_declined(tasks: &mut Tasks, who: &[&str]) -> Vec<String> {
    let bids = who.iter().map(|who| declined(who, "no branch next")).collect();
    tasks.world.internal(Internal::AuctionClose { task: TaskId(1), bids })
}

/// The defect: a base that nobody has was auctioned for ever, two records every half minute.
#[test]
fn what_all_decline_is_a_persons_to_mend() {
    let mut tasks = Tasks::after_all(&["alice add {\"base\":\"next\"}"]);
    let all = ["codex", "claude", "gemini"];
    for _ in 0..2 {
        assert_eq!(close_declined(&mut tasks, &all), ["auction_lapsed t-1"]);
        tasks.step("after 60000");
    }
    assert_eq!(close_declined(&mut tasks, &all), ["auction_lapsed t-1", "task_blocked t-1"]);
    assert_eq!(tasks.step("after 864000000"), "nothing");
    let Some(Blocked::Base(why)) = &tasks.task(1).blocked else { panic!("blocked") };
    assert!(why.contains("codex: no branch next") && why.contains("gemini: "), "{why}");
    assert_eq!(tasks.step("alice resume 1"), "task_unblocked t-1, auction_opened t-1");
    // One who can is enough, and one who has not said so may be able to.
    let mut tasks = Tasks::after_all(&["alice add"]);
    for _ in 0..20 {
        assert_eq!(close_declined(&mut tasks, &all[..2]), ["auction_lapsed t-1"]);
        tasks.step("after 1800000");
    }
    let bids = vec![declined("codex", "no"), bid_of("claude", 0)];
    let came = tasks.world.internal(Internal::AuctionClose { task: TaskId(1), bids });
    assert_eq!(came, ["task_awarded t-1"]);
    assert_eq!(tasks.task(1).attempt.as_ref().unwrap().actor, actor("claude"));
}

fn bid_of(who: &str, score: i64) -> Bid {
    let score = [("free".to_owned(), score)].into();
    Bid { actor: actor(who), score, total: 0, declined: None }
}

/// What nobody bids on is offered less and less often.
#[test]
fn lapses_get_rare() {
    let mut tasks = Tasks::after_all(&["alice add"]);
    let mut lapses = 0;
    for _ in 0..24 * 60 {
        tasks.step("after 60000");
        if tasks.task(1).auction.is_some() {
            assert_eq!(tasks.step("close 1"), "auction_lapsed t-1");
            lapses += 1;
        }
    }
    assert!((40..80).contains(&lapses), "{lapses} in a day");
}

/// What is given back again and again is not awarded for ever, and a person reads why.
#[test]
fn what_is_given_back_for_ever_is_blocked() {
    let mut tasks = Tasks::after_all(&["alice add"]);
    for n in 1..=8 {
        tasks.step("after 60000");
        tasks.step("close 1 codex");
        let back = tasks.step("codex send task.abandon {}");
        assert_eq!(back, "BAD_REQUEST");
        let came = tasks.step("codex abandon 1 {\"unspent\":true,\"reason\":\"no worktree\"}");
        assert_eq!(came.contains("task_blocked t-1"), n == 8, "{n}: {came}");
    }
    assert_eq!(tasks.task(1).blocked, Some(Blocked::GivenBack("no worktree".to_owned())));
    assert_eq!(tasks.task(1).tries, 0);
    assert_eq!(tasks.step("after 864000000"), "nothing");
    // A base that an agent finds missing when it begins is named at once.
    let given = ["alice add", "close 1 codex"];
    check(&given, "codex fail 1 base", "attempt_ended t-1, task_blocked t-1");
    let mut tasks = Tasks::after_all(&[&given[..], &["codex fail 1 base"]].concat());
    assert_eq!((tasks.task(1).tries, tasks.state(1)), (0, "blocked"));
    assert_eq!(tasks.step("after 864000000"), "nothing");
}

/// Whoever gave it back comes after those who did not, and the award says so.
#[test]
fn who_gave_it_back_comes_last() {
    let mut tasks = Tasks::after_all(&["alice add", "close 1 codex"]);
    tasks.step("codex abandon 1 {\"unspent\":true}");
    tasks.step("after 60000");
    assert_eq!(tasks.close(1, &[("codex", 100), ("claude", 0)]), "task_awarded t-1");
    let task = tasks.task(1);
    assert_eq!(task.attempt.as_ref().unwrap().actor, actor("claude"));
    assert_eq!(task.bids[1].score["gave_back"], -300);
}

/// Whoever has the work at hand goes on with it, all else being equal.
#[test]
fn parked_work_goes_back_to_its_maker() {
    let add = "alice add {\"review\":\"person\"}";
    let given = [add, "close 1 gemini", "gemini start 1", "gemini verify 1", "alice approve 1"];
    let mut tasks = Tasks::after_all(&given);
    tasks.step("close 1 codex claude gemini");
    let task = tasks.task(1);
    assert_eq!(task.attempt.as_ref().unwrap().actor, actor("gemini"));
    assert_eq!((task.bids[0].score["kept"], task.bids[1].score["kept"]), (150, 50));
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

/// The bids of the award in a record, by agent, with one term of each.
fn terms(tasks: &Tasks, term: &str) -> Vec<(String, Option<i64>)> {
    let award = tasks.world.records.iter().rev().flat_map(|record| &record.events);
    let award = award.filter_map(|event| {
        let Event::TaskAwarded(award) = event else { return None };
        Some(award)
    });
    let bids = award.take(1).flat_map(|award| &award.bids);
    bids.map(|bid| (bid.actor.to_string(), bid.score.get(term).copied())).collect()
}

#[test]
fn who_failed_on_these_paths_comes_after_who_did_not() {
    let all = [("codex", 0), ("claude", 0), ("gemini", 0)];
    let mut tasks = Tasks::after_all(&["alice add {\"paths\":[\"src/parser/\"]}"]);
    tasks.close(1, &all);
    assert_eq!(terms(&tasks, "success")[0], ("codex".to_owned(), None), "nothing is known");
    tasks.step("codex start 1");
    tasks.step("codex fail 1 test {\"hard\":true}");
    tasks.step("alice add {\"paths\":[\"src/parser/a.rs\"]}");
    tasks.close(2, &[("codex", 5), ("gemini", 0)]);
    let known = [("gemini".to_owned(), Some(40)), ("codex".to_owned(), Some(26))];
    assert_eq!(terms(&tasks, "success"), known);
    // What landed makes up for it.
    for number in 3..=6 {
        tasks.step("alice add {\"paths\":[\"src/parser/b.rs\"]}");
        tasks.close(number, &[("codex", 0)]);
        for step in ["start", "verify", "begin", "land", "complete"] {
            let came = tasks.step(&format!("codex {step} {number}"));
            assert!(came.starts_with(char::is_lowercase), "{step}: {came}");
        }
    }
    tasks.step("alice add {\"paths\":[\"src/parser/b.rs\"]}");
    tasks.close(7, &all);
    let known = terms(&tasks, "success");
    assert!(known.contains(&("codex".to_owned(), Some(34))), "{known:?}");
    // Elsewhere it counts for nothing.
    let mut tasks = Tasks::after_all(&["alice add {\"paths\":[\"src/\"]}", "close 1 codex"]);
    tasks.step("codex start 1");
    tasks.step("codex fail 1 test {\"hard\":true}");
    tasks.step("alice add {\"paths\":[\"docs/\"]}");
    tasks.close(2, &all);
    assert!(terms(&tasks, "success").iter().all(|(_, term)| term.is_none()));
}

/// Agents that are alike get alike many tasks, however long each takes and however it ends.
#[test]
fn equals_get_equal_shares() {
    let names = crate::invariant::world::AGENTS;
    let mut tasks = Tasks::new();
    let mut won = [0_u64; crate::invariant::world::AGENTS.len()];
    let mut chance = 7_u64;
    let mut dice = |sides: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (chance >> 33) % sides
    };
    for number in 1..=1_000 {
        tasks.step(&format!("alice add {{\"paths\":[\"src/{}\"]}}", dice(5)));
        let open: Vec<TaskId> =
            open_auctions(&tasks.world.state).into_iter().map(|(id, _)| id).collect();
        assert_eq!(open, [TaskId(number)], "one at a time, and somebody is free");
        let all: Vec<(&str, i64)> = names.iter().map(|name| (*name, 0)).collect();
        assert!(tasks.close(number, &all).starts_with("task_awarded"));
        let who = tasks.task(number).attempt.as_ref().unwrap().actor.to_string();
        won[names.iter().position(|name| *name == who).unwrap()] += 1;
        tasks.step(&format!("{who} start {number}"));
        // At least one is free, and its path, before the next task comes.
        let busy = |tasks: &Tasks| -> Vec<(String, u64)> {
            let agents = tasks.world.state.agents.iter();
            let busy = agents.filter_map(|(name, agent)| Some((name.to_string(), agent.task?.0)));
            busy.collect()
        };
        while !busy(&tasks).is_empty() && (dice(2) == 0 || busy(&tasks).len() == names.len()) {
            let running = busy(&tasks);
            let (who, number) = &running[usize::try_from(dice(running.len() as u64)).unwrap()];
            tasks.step(&format!("{who} fail {number} test {{\"hard\":true}}"));
        }
        let path = |tasks: &Tasks, number: u64| tasks.task(number).spec.paths.clone();
        for (who, other) in busy(&tasks) {
            if path(&tasks, other).iter().any(|it| it.overlaps(&path(&tasks, number)[0])) {
                tasks.step(&format!("{who} fail {other} test {{\"hard\":true}}"));
            }
        }
    }
    let (sum, squares) = won.iter().fold((0, 0), |(sum, squares), n| (sum + n, squares + n * n));
    let jain = sum as f64 * sum as f64 / (won.len() as f64 * squares as f64);
    assert!(jain >= 0.95, "{won:?}: {jain}");
}

#[test]
fn what_a_person_changes_by_hand_comes_after_other_work() {
    let mut tasks = mesh(&[]);
    tasks.send("alice", "checkout.report", json!({ "paths": ["src/a.rs"] }));
    tasks.step("alice add {\"paths\":[\"src/\"]}");
    tasks.step("alice add {\"paths\":[\"docs/\"],\"priority\":4}");
    let body = json!({ "tool": "custom", "host": "h", "session": "s" });
    assert!(tasks.send("ada", "agent.join", body).ends_with("auction_opened t-2"));
    // With nothing else to do it is begun all the same.
    let body = json!({ "tool": "custom", "host": "h", "session": "s2" });
    assert!(tasks.send("eve", "agent.join", body).ends_with("auction_opened t-1"));
    // Nor does it yield for ever.
    let mut tasks = mesh(&[]);
    tasks.send("alice", "checkout.report", json!({ "paths": ["src/a.rs"] }));
    tasks.step("alice add {\"paths\":[\"src/\"]}");
    tasks.step("after 600000");
    tasks.step("alice add {\"paths\":[\"docs/\"]}");
    let body = json!({ "tool": "custom", "host": "h", "session": "s" });
    assert!(tasks.send("ada", "agent.join", body).ends_with("auction_opened t-1"));
}

#[test]
fn tasks_that_meet_are_not_opened_together() {
    let mut tasks = mesh(&[]);
    tasks.step("alice add {\"paths\":[\"src/\"]}");
    tasks.step("alice add {\"paths\":[\"src/a.rs\"]}");
    tasks.step("alice add {\"paths\":[\"docs/\"]}");
    tasks.send("alice", "mesh.pause", json!({}));
    for name in ["ada", "eve", "ivy"] {
        let body = json!({ "tool": "custom", "host": "h", "session": name });
        tasks.send(name, "agent.join", body);
    }
    let came = tasks.send("alice", "mesh.resume", json!({}));
    assert_eq!(came, "mesh_resumed mesh, auction_opened t-1, auction_opened t-3");
}
