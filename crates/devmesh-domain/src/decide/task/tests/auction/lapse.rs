//! Auctions and awards that come to nothing: they are tried again, ever more rarely, and never
//! without an end.

use devmesh_protocol::TaskId;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::task::{AuctionLapsed, Blocked};
use devmesh_protocol::event::{Bid, Event};
use serde_json::json;

use super::super::{Tasks, check, story};
use super::{may_bid, mesh};
use crate::decide::{eligible, open_auctions};
use crate::invariant::world::actor;

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

/// The defect: agents that only take leases were counted as bidders, so each agent that became
/// free had auctions opened for all that was queued, and all but one of them lapsed.
#[test]
fn who_never_bids_is_asked_ever_more_rarely() {
    let lockers = ["lock-a", "lock-b", "lock-c"].map(|name| (name, json!({})));
    let mut tasks = mesh(&lockers);
    for _ in 0..20 {
        tasks.step("alice add");
    }
    let mut lapses = 0;
    for _ in 0..3_600 {
        tasks.step("after 1000");
        for (task, _) in open_auctions(&tasks.world.state) {
            assert_eq!(tasks.close(task.0, &[]), format!("auction_lapsed {task}"));
            lapses += 1;
        }
    }
    assert!((30..120).contains(&lapses), "{lapses} in an hour");
    let why = eligible(&tasks.world.state, TaskId(1)).remove(0).1.unwrap_err();
    assert!(why.contains("has not answered the last"), "{why}");
    // One who bids has an auction at a time, and nothing lapses.
    let body = json!({ "tool": "custom", "host": "h", "session": "eve-1" });
    tasks.send("eve", "agent.join", body);
    for n in 1..=10 {
        let open = open_auctions(&tasks.world.state);
        assert_eq!(open.len(), 1, "{n}: {open:?}");
        let task = open[0].0.0;
        assert_eq!(tasks.close(task, &[("eve", 0)]), format!("task_awarded t-{task}"));
        tasks.step(&format!("eve start {task} {{\"session\":\"eve-1\"}}"));
        tasks.step(&format!("eve fail {task} test {{\"session\":\"eve-1\",\"hard\":true}}"));
    }
    tasks.world.check_replay();
}

/// Who was slow for a while is asked again, and once it has bid it counts as before.
#[test]
fn who_was_slow_is_one_of_them_again() {
    let mut tasks = mesh(&[("ada", json!({})), ("eve", json!({}))]);
    tasks.step("alice add");
    tasks.step("close 1");
    assert!(may_bid(&tasks, 1).is_empty());
    // In what is open it may bid all the same, and it is not asked for again at once.
    let body = json!({ "tool": "custom", "host": "h", "session": "ivy-1" });
    assert!(tasks.send("ivy", "agent.join", body).ends_with("auction_opened t-1"));
    assert_eq!(may_bid(&tasks, 1), ["ivy"]);
    assert_eq!(tasks.step("ada bid 1 {\"session\":\"ada-1\"}"), "nothing");
    assert_eq!(tasks.close(1, &[("ada", 0), ("ivy", 1)]), "task_awarded t-1");
    tasks.step("alice add");
    assert_eq!(may_bid(&tasks, 2), ["ada"]);
    assert_eq!(tasks.step("alice add"), "task_added t-3");
    let deaf = |tasks: &Tasks| tasks.world.state.agents.get(&actor("eve")).unwrap().deaf;
    assert_eq!(deaf(&tasks).unwrap().missed, 1);
    assert_eq!(tasks.step("after 1000"), "auction_opened t-3");
    assert_eq!(may_bid(&tasks, 2), ["ada", "eve"]);
    tasks.world.check_replay();
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

fn declined(who: &str, why: &str) -> Bid {
    let declined = Some(why.to_owned());
    Bid { actor: actor(who), score: Default::default(), total: 0, declined }
}

fn close_declined(tasks: &mut Tasks, who: &[&str]) -> Vec<String> {
    let bids = who.iter().map(|who| declined(who, "no branch next")).collect();
    tasks.world.internal(Internal::AuctionClose { task: TaskId(1), bids })
}

fn bid_of(who: &str, score: i64) -> Bid {
    let score = [("free".to_owned(), score)].into();
    Bid { actor: actor(who), score, total: 0, declined: None }
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

fn lapse(tasks: &Tasks) -> AuctionLapsed {
    let events = tasks.world.records.iter().rev().flat_map(|record| &record.events);
    let lapses = events.filter_map(|event| {
        let Event::AuctionLapsed(lapsed) = event else { return None };
        Some(lapsed.clone())
    });
    lapses.into_iter().next().unwrap()
}

/// What nobody wants is offered after ever longer, at most after half an hour.
#[test]
fn the_waits_of_a_task_that_nobody_wants() {
    let mut tasks = mesh(&[("ada", json!({}))]);
    tasks.step("alice add");
    let mut waits = Vec::new();
    for _ in 0..18 {
        assert_eq!(tasks.step("close 1"), "auction_lapsed t-1");
        let again_at = lapse(&tasks).again_at.unwrap();
        waits.push(again_at.since(tasks.world.at) / 1_000);
        tasks.step("after 1800000");
    }
    let often = [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30];
    assert_eq!(waits[..11], often);
    assert_eq!(waits[11..], [64, 128, 256, 512, 1_024, 1_800, 1_800]);
}

/// Who was asked and has said nothing is named; who has spoken is not, and who came since was
/// not asked.
#[test]
fn who_was_not_heard_is_named() {
    let unheard = |tasks: &Tasks| -> Vec<String> {
        lapse(tasks).unheard.iter().map(ToString::to_string).collect()
    };
    let mut tasks = Tasks::after_all(&["alice add"]);
    let join = json!({ "tool": "custom", "host": "h", "session": "ada-1" });
    tasks.send("ada", "agent.join", join);
    assert_eq!(close_declined(&mut tasks, &["codex"]), ["auction_lapsed t-1"]);
    assert_eq!(unheard(&tasks), ["claude", "gemini"]);
    assert_eq!(lapse(&tasks).why, "codex: no branch next");
    // Nobody says anything, and then there is nobody to say it.
    let mut tasks = Tasks::after_all(&["alice add", "close 1"]);
    assert_eq!(lapse(&tasks).why, "no bid came of claude, codex, gemini");
    let join = json!({ "tool": "custom", "host": "h", "session": "ada-1" });
    assert!(tasks.send("ada", "agent.join", join).ends_with("auction_opened t-1"));
    tasks.step("ada send agent.leave {\"session\":\"ada-1\"}");
    assert_eq!(tasks.step("close 1"), "auction_lapsed t-1");
    assert_eq!(lapse(&tasks).why, "no bid came, and nobody could take it now");
}
