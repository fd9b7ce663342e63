//! Which bid wins, and what comes with the award.

use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::agent::Capacity;
use devmesh_protocol::event::{Bid, Event};
use devmesh_protocol::report::HostReport;
use devmesh_protocol::{HostId, TaskId};
use serde_json::json;

use super::super::Tasks;
use super::mesh;
use crate::decide::{eligible, open_auctions};
use crate::invariant::world::{actor, idle_host};

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
    assert_eq!(task.bids[0].score.get("gave_back"), None, "it never had it");
    // Each time counts.
    let mut tasks = Tasks::after_all(&["alice add"]);
    for _ in 0..2 {
        tasks.step("close 1 codex");
        tasks.step("codex abandon 1 {\"unspent\":true}");
        tasks.step("after 60000");
    }
    tasks.close(1, &[("codex", 100), ("claude", 0)]);
    assert_eq!(tasks.task(1).bids[1].score["gave_back"], -600);
}

/// Of two bids of one agent the better one counts, whichever came first.
#[test]
fn the_better_bid_of_one_agent_counts() {
    for bids in [[("codex", 1), ("codex", 9)], [("codex", 9), ("codex", 1)]] {
        let mut tasks = Tasks::after_all(&["alice add"]);
        tasks.close(1, &bids);
        assert_eq!(terms(&tasks, "free"), [("codex".to_owned(), Some(9))]);
    }
}

#[test]
fn the_tool_that_is_asked_for_comes_before_its_backups() {
    let mut tasks = mesh(&[("ada", json!({ "tool": "codex" })), ("eve", json!({}))]);
    tasks.step("alice add {\"tool\":\"codex\",\"backup_tools\":[\"custom\"]}");
    tasks.close(1, &[("ada", 0)]);
    tasks.step("ada start 1 {\"session\":\"ada-1\"}");
    tasks.step("ada fail 1 test {\"session\":\"ada-1\"}");
    tasks.close(1, &[("ada", 0), ("eve", 49)]);
    let known = [("ada".to_owned(), Some(100)), ("eve".to_owned(), Some(50))];
    assert_eq!(terms(&tasks, "capability"), known);
}

/// What was tried and cost no try says nothing of anybody, and what was thought lost and landed
/// after all has gone well.
#[test]
fn what_landed_after_all_was_no_failure() {
    let src = "alice add {\"paths\":[\"src/\"]}";
    let mut tasks = Tasks::after_all(&[src, "close 1 codex", "codex start 1"]);
    tasks.step("codex abandon 1 {\"unspent\":true}");
    tasks.step("alice cancel 1");
    tasks.step(src);
    tasks.close(2, &[("codex", 0), ("claude", 0)]);
    assert!(terms(&tasks, "success").iter().all(|(_, term)| term.is_none()));
    let mut tasks = Tasks::after_all(&[src, "alice add", "close 1 codex", "close 2 claude"]);
    for (who, number) in [("codex", 1), ("claude", 2)] {
        for step in ["start", "verify", "begin"] {
            tasks.step(&format!("{who} {step} {number}"));
        }
    }
    tasks.step("silent codex 30000");
    let found = json!({ "found": [{
        "task": "t-1", "attempt": 1, "commit": super::super::name("e"),
        "tree": super::super::name("a"),
    }] });
    let came = tasks.step(&format!("claude land 2 a {found}"));
    assert!(came.starts_with("task_completed t-1"), "{came}");
    assert!(tasks.task(1).past[0].spent);
    let join = json!({ "tool": "custom", "host": "host", "session": "codex-2" });
    tasks.send("codex", "agent.join", join);
    tasks.step(src);
    tasks.close(3, &[("codex", 0)]);
    assert_eq!(terms(&tasks, "success"), [("codex".to_owned(), Some(40))]);
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

#[test]
fn a_host_has_room_or_it_has_not() {
    let needs = json!({ "needs": { "ram_mb": 600 } });
    let mut tasks = mesh(&[("ada", needs.clone()), ("eve", needs)]);
    let host = HostId::new("h").unwrap();
    let capacity = |ram_mb| Capacity { ram_mb, vram_mb: Vec::new(), slots: 8 };
    let measured = |tasks: &mut Tasks, ram_mb| {
        let (host, capacity) = (host.clone(), capacity(ram_mb));
        tasks.world.internal(Internal::HostMeasured { host, capacity, report: None }).join(", ")
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

/// Of two that are equal the one with the freer host wins, by figures that are measured; where
/// the hosts are equally free it stays as it was.
#[test]
fn the_freer_host_wins() {
    let host = |name: &str, ram_free_mb| HostReport { ram_free_mb, ..idle_host(name) };
    for (one, other, expect, terms) in [
        (8_000, 8_000, "ada", [Some(40), Some(40)]),
        (3_999, 4_000, "eve", [Some(20), Some(15)]),
        // Within an eighth of all is noise.
        (4_000, 4_999, "ada", [Some(20), Some(20)]),
        (4_000, 3_000, "ada", [Some(20), Some(15)]),
    ] {
        let mut tasks = mesh(&[("ada", json!({ "host": "h1" })), ("eve", json!({ "host": "h2" }))]);
        tasks.world.reported(&host("h1", one));
        tasks.world.reported(&host("h2", other));
        tasks.step("alice add");
        assert_eq!(tasks.close(1, &[("ada", 5), ("eve", 5)]), "task_awarded t-1");
        let bids = award(&tasks);
        assert_eq!(bids[0].actor.as_str(), expect, "{one} {other}");
        let room = |bid: &Bid| bid.score.get("room").copied();
        assert_eq!([room(&bids[0]), room(&bids[1])], terms, "the award says why");
    }
}

fn award(tasks: &Tasks) -> Vec<Bid> {
    let events = tasks.world.records.iter().rev().flat_map(|record| &record.events);
    let awards = events.filter_map(|event| {
        let Event::TaskAwarded(award) = event else { return None };
        Some(award.bids.clone())
    });
    awards.into_iter().next().unwrap()
}

/// What a bid says of its host is nothing: it is measured, or not known.
#[test]
fn nobody_claims_room() {
    let mut tasks = mesh(&[("ada", json!({ "host": "h1" })), ("eve", json!({ "host": "h2" }))]);
    let claim = |name: &str, room| Bid {
        actor: actor(name),
        score: [("room".to_owned(), room)].into(),
        total: room,
        declined: None,
    };
    for measured in [false, true] {
        if measured {
            let short = HostReport { ram_free_mb: 2_000, ..idle_host("h2") };
            tasks.world.reported(&idle_host("h1"));
            tasks.world.reported(&short);
        }
        tasks.step("alice add");
        let number = tasks.world.state.tasks.len() as u64;
        let bids = vec![claim("ada", 1), claim("eve", 1_000)];
        let task = TaskId(number);
        tasks.world.internal(Internal::AuctionClose { task, bids });
        let bids = award(&tasks);
        assert_eq!(bids[0].actor.as_str(), "ada", "{bids:?}");
        let room: Vec<Option<i64>> = bids.iter().map(|b| b.score.get("room").copied()).collect();
        assert_eq!(room, if measured { [Some(40), Some(10)] } else { [None, None] });
        tasks.step(&format!("ada start {number} {{\"session\":\"ada-1\"}}"));
        let fail = format!("ada fail {number} test {{\"hard\":true,\"session\":\"ada-1\"}}");
        // From now on `eve` has been idle for longer, and would win a tie.
        tasks.step(&fail);
    }
}

/// Where the processors are busy, starts on a host are five seconds apart; the auctions wait, and
/// nobody is suspended.
#[test]
fn starts_on_a_busy_host_are_spread_out() {
    let mut tasks =
        mesh(&[("ada", json!({})), ("eve", json!({})), ("zoe", json!({ "host": "i" }))]);
    let busy = HostReport { load1_milli: 9_500, ..idle_host("h") };
    assert_eq!(tasks.world.reported(&busy), ["host_measured h"], "nobody is suspended");
    for _ in 0..3 {
        tasks.step("alice add");
    }
    // One may start on the busy host, and one on the other.
    assert_eq!(open_auctions(&tasks.world.state).len(), 2);
    assert_eq!(tasks.close(1, &[("ada", 5), ("eve", 4)]), "task_awarded t-1");
    assert_eq!(tasks.step("eve bid 2 {\"session\":\"eve-1\"}"), "INSUFFICIENT_RESOURCES");
    let why = eligible(&tasks.world.state, TaskId(2)).remove(1).1.unwrap_err();
    assert!(why.contains("h is busy (load 9.50, mark 8.00)") && why.contains("5 s apart"), "{why}");
    assert_eq!(tasks.close(2, &[("zoe", 1)]), "task_awarded t-2", "the other host's is free");
    tasks.step("ada start 1 {\"session\":\"ada-1\"}");
    tasks.step("zoe start 2 {\"session\":\"zoe-1\"}");
    // Nothing opens before its time, however often it is looked for.
    let opened = tasks.step("after 4999");
    assert_eq!((opened.as_str(), open_auctions(&tasks.world.state).len()), ("nothing", 0));
    assert_eq!(tasks.step("after 1"), "auction_opened t-3");
    assert_eq!(tasks.close(3, &[("eve", 4)]), "task_awarded t-3");
    // Where they are no longer busy there is no wait.
    tasks.step("eve start 3 {\"session\":\"eve-1\"}");
    for name in ["ada", "eve"] {
        let number = if name == "ada" { 1 } else { 3 };
        let session = format!("{{\"hard\":true,\"session\":\"{name}-1\"}}");
        tasks.step(&format!("{name} fail {number} test {session}"));
    }
    tasks.world.at = tasks.world.at + 10_000;
    tasks.world.reported(&idle_host("h"));
    tasks.step("alice add");
    tasks.step("alice add");
    assert_eq!(tasks.close(4, &[("ada", 5), ("eve", 4)]), "task_awarded t-4");
    assert_eq!(tasks.close(5, &[("eve", 4)]), "task_awarded t-5");
    tasks.world.check_replay();
}

/// A start that was in the way of nobody is in nobody's way later: it is the award that counts,
/// also where the figures came after it.
#[test]
fn the_first_start_counts_for_a_host_that_becomes_busy() {
    let mut tasks = mesh(&[("ada", json!({})), ("eve", json!({}))]);
    tasks.world.reported(&idle_host("h"));
    tasks.step("alice add");
    assert_eq!(tasks.close(1, &[("ada", 5)]), "task_awarded t-1");
    tasks.step("ada start 1 {\"session\":\"ada-1\"}");
    tasks.world.at = tasks.world.at + 2_000;
    tasks.world.reported(&HostReport { load1_milli: 8_000, ..idle_host("h") });
    assert!(!tasks.step("alice add").contains("auction_opened"));
    assert_eq!(tasks.step("after 2999"), "nothing");
    assert_eq!(tasks.step("after 1"), "auction_opened t-2");
}

/// A search in vain is not made again before something changes, and a start that may be again is
/// such a change: here an agent that is no help keeps auctions from being out of the question.
#[test]
fn a_search_in_vain_is_made_again_when_the_next_may_start() {
    let mut tasks = mesh(&[
        ("ada", json!({})),
        ("eve", json!({})),
        ("zoe", json!({ "host": "i", "tool": "other" })),
    ]);
    tasks.world.reported(&HostReport { load1_milli: 9_500, ..idle_host("h") });
    let add = "alice add {\"tool\":\"custom\"}";
    tasks.step(add);
    assert_eq!(tasks.close(1, &[("ada", 5)]), "task_awarded t-1");
    tasks.step("ada start 1 {\"session\":\"ada-1\"}");
    assert!(!tasks.step(add).contains("auction_opened"));
    assert_eq!(tasks.step("after 4999"), "nothing");
    assert_eq!(tasks.step("after 1"), "auction_opened t-2");
}
