//! Auctions: how long bids are taken, over the end of a term too, and what an attempt tells.

use devmesh_protocol::Event;
use serde_json::{Value, json};

use super::{has, join};
use crate::fixture::World;

/// A mesh with two idle agents and a task, whose auction has just opened.
fn bidding() -> (World, Value) {
    let mut world = World::led();
    world.furnish();
    world.ok("admin", "actor.add", json!({ "actor": "codex-2", "role": "agent" }));
    join(&mut world, "codex-1", "s1");
    join(&mut world, "codex-2", "s2");
    let task = world.ok("alice", "task.add", json!({ "title": "t", "repo": "web" }));
    world.work();
    assert_eq!(has(&world, "auction_opened"), 1);
    (world, task["result"]["task"].clone())
}

fn bid(world: &mut World, n: u32, task: &Value, score: i64) -> Value {
    let body = json!({ "session": format!("s{n}"), "task": task, "score": { "free": score } });
    world.ok(&format!("codex-{n}"), "task.bid", body)["result"].clone()
}

/// Who was awarded what, with the attempt's number and token.
fn awards(world: &World) -> Vec<(String, u32, u64)> {
    let records = world.records().into_iter();
    let awarded = |seq: u64, event: Event| match event {
        Event::TaskAwarded(e) => Some((e.actor.to_string(), e.attempt, seq)),
        _ => None,
    };
    records
        .flat_map(|record| {
            let seq = record.seq;
            record.events.into_iter().filter_map(move |event| awarded(seq, event))
        })
        .collect()
}

#[test]
fn an_auction_on_which_not_all_have_bid_closes_when_its_window_is_over() {
    let (mut world, task) = bidding();
    let opened = world.mono;
    assert_eq!(bid(&mut world, 1, &task, 5)["leading"], true);
    world.pass(opened + 140 - world.mono);
    assert_eq!(awards(&world), [], "codex-2 may bid still");
    world.pass(10);
    assert_eq!(awards(&world)[0].0, "codex-1");
    world.check();
}

#[test]
fn an_auction_that_nobody_closed_is_closed_by_the_next_leader() {
    let (mut world, task) = bidding();
    let second = world.add_node(None);
    world.work();
    world.nodes[0].runs = false;
    world.until(5_000, |world| world.nodes[second].view.is_leading());
    assert_eq!(has(&world, "auction_lapsed"), 0);
    world.pass(200);
    assert_eq!(has(&world, "auction_lapsed"), 1, "who has bid is not known any more");
    world.until(5_000, |world| has(world, "auction_opened") == 2);
    bid(&mut world, 2, &task, 5);
    world.pass(200);
    assert_eq!(awards(&world)[0].0, "codex-2");
    world.check();
}

/// Bids on what a task was are no bids on what it is, and the first window's end is not the
/// second's.
#[test]
fn an_auction_that_opens_anew_after_an_edit_has_its_whole_window() {
    let (mut world, task) = bidding();
    bid(&mut world, 1, &task, 50);
    world.pass(100);
    let opened = world.mono;
    world.ok("alice", "task.edit", json!({ "task": task, "title": "u" }));
    world.work();
    assert_eq!(has(&world, "auction_opened"), 2);
    world.pass(opened + 145 - world.mono);
    assert_eq!((awards(&world), has(&world, "auction_lapsed")), (vec![], 0));
    assert_eq!(bid(&mut world, 2, &task, 5)["leading"], true);
    world.pass(10);
    assert_eq!(awards(&world)[0].0, "codex-2");
    world.check();
}

#[test]
fn who_declines_does_not_lead_and_leaves_the_task_to_who_bids() {
    let (mut world, task) = bidding();
    let body = json!({ "session": "s1", "task": task, "declined": "no such base" });
    let told = world.ok("codex-1", "task.bid", body);
    assert_eq!(told["result"]["leading"], false);
    assert_eq!(bid(&mut world, 2, &task, -5)["leading"], true);
    world.pass(5);
    assert_eq!(awards(&world)[0].0, "codex-2");
    world.check();
}

/// A bid that comes too late is no history, not even as a number.
#[test]
fn refused_bids_are_neither_recorded_nor_counted() {
    let (mut world, task) = bidding();
    world.ok("alice", "task.cancel", json!({ "task": task }));
    let before = world.reader().chain().seq;
    for n in 1..=2 {
        let body = json!({ "session": format!("s{n}"), "task": task });
        let told = world.call(&format!("codex-{n}"), "task.bid", body);
        assert_eq!(told["error"]["code"], "TASK_STATE_ERROR");
    }
    for _ in 0..16 {
        world.pass(4_000);
        world.beat(0, "b", "codex-1", "s1", 0);
        world.beat(0, "b", "codex-2", "s2", 0);
    }
    assert_eq!(world.reader().chain().seq, before);
    world.check();
}

/// An attempt of codex-1 on the task, which has begun.
fn begun(world: &mut World, task: &Value, attempt: u32) -> Value {
    world.until(5_000, |world| has(world, "auction_opened") == attempt as usize);
    bid(world, 1, task, 5);
    bid(world, 2, task, 4);
    world.until(500, |world| awards(world).len() == attempt as usize);
    let (actor, number, token) = awards(world).pop().unwrap();
    assert_eq!((actor.as_str(), number), ("codex-1", attempt));
    let own = json!({ "session": "s1", "task": task, "attempt": number, "token": token });
    world.ok("codex-1", "task.start", own.clone());
    own
}

fn with(mut body: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

/// The line that an attempt told, as far as one is shown.
fn told(world: &mut World, call: &str, task: &Value) -> Value {
    world.ask(0, call, "task", json!({ "task": task }));
    world.pass(20);
    let answer = world.answered(call).unwrap();
    assert!(answer["result"]["attempt"].is_object(), "{answer}");
    answer["result"]["attempt"]["message"].clone()
}

#[test]
fn what_an_attempt_says_is_shown_until_it_ends() {
    let (mut world, task) = bidding();
    let own = begun(&mut world, &task, 1);
    let before = world.reader().chain().seq;
    world.ok("codex-1", "task.progress", with(own.clone(), json!({ "message": "reads" })));
    world.ok("codex-1", "task.progress", with(own.clone(), json!({ "message": "edits" })));
    assert_eq!(told(&mut world, "first", &task), "edits");
    assert_eq!(world.reader().chain().seq, before, "it is not recorded");
    let failed = json!({ "class": "rate_limit", "message": "later" });
    world.ok("codex-1", "task.fail", with(own, failed));
    let own = begun(&mut world, &task, 2);
    assert_eq!(told(&mut world, "second", &task), Value::Null);
    world.ok("codex-1", "task.progress", with(own, json!({ "message": "again" })));
    world.ok("alice", "task.cancel", json!({ "task": task }));
    assert!(world.nodes[0].view.messages.is_empty());
    world.check();
}

#[test]
fn nothing_is_kept_of_what_a_completed_attempt_said() {
    let mut world = World::led();
    world.furnish();
    world.ok("admin", "actor.add", json!({ "actor": "codex-2", "role": "agent" }));
    join(&mut world, "codex-1", "s1");
    join(&mut world, "codex-2", "s2");
    let task = json!({ "title": "t", "repo": "web", "flow": "branch", "verify": ["true"] });
    let task = world.ok("alice", "task.add", task)["result"]["task"].clone();
    let own = begun(&mut world, &task, 1);
    world.ok("codex-1", "task.progress", with(own.clone(), json!({ "message": "edits" })));
    let receipt = json!({ "tree": "a".repeat(40), "verdict": "passed", "steps": [], "host": "h1" });
    world.ok("codex-1", "task.verified", with(own.clone(), json!({ "receipt": receipt })));
    assert_eq!(told(&mut world, "verified", &task), "edits");
    world.ok("codex-1", "task.complete", own);
    assert_eq!(has(&world, "task_completed"), 1);
    assert!(world.nodes[0].view.messages.is_empty());
    world.check();
}

/// A bid is sealed and rests on memory alone: no proof is waited for.
#[test]
fn a_bid_is_answered_at_once() {
    let (mut world, task) = bidding();
    world.mono += 5;
    world.send(0, "bid", "codex-1", "task.bid", json!({ "session": "s1", "task": task }));
    let asked = world.asked;
    world.work();
    assert_eq!(world.answered("bid").unwrap()["ok"], true);
    assert_eq!(world.asked, asked);
}
