//! Terms: how they begin, how they end, and what is answered over their ends.

mod links;
mod patience;

use devmesh_bus::log::memory::{Fault, MemoryOpen};
use devmesh_protocol::batch::Chain;
use devmesh_protocol::{Digest, Event};
use serde_json::json;

use crate::fixture::World;

fn id(n: u32) -> String {
    format!("0190a000-0000-7000-8000-{n:012}")
}

fn epochs(world: &World) -> Vec<(u64, String)> {
    let events = world.records().into_iter().flat_map(|record| record.events);
    events
        .filter_map(|event| match event {
            Event::EpochStarted(e) => Some((e.epoch, e.node)),
            _ => None,
        })
        .collect()
}

#[test]
fn an_only_coordinator_leads_within_a_second() {
    let mut world = World::new(1);
    world.until(800, |world| world.leader().is_some());
    assert_eq!(epochs(&world), [(1, "n0".to_owned())]);
    assert!(world.nodes[0].hears);
    world.check();
}

#[test]
fn of_several_claimants_one_leads() {
    for _ in 0..5 {
        let mut world = World::new(5);
        world.until(3_000, |world| world.leader().is_some());
        world.pass(5_000);
        assert_eq!(world.nodes.iter().filter(|node| node.view.is_leading()).count(), 1);
        assert_eq!(epochs(&world).len(), 1, "{:?}", epochs(&world));
        assert_eq!(world.nodes.iter().filter(|node| node.hears).count(), 1);
        world.check();
    }
}

#[test]
fn claimants_that_do_not_hear_each_other_still_never_both_write() {
    let mut world = World::new(3);
    world.beats = false;
    world.until(3_000, |world| world.leader().is_some());
    for n in 0..40 {
        world.pass(200);
        for node in 0..3 {
            let body = json!({ "key": "k", "value": n, "id": id(n) });
            world.send(node, &format!("c{n}-{node}"), "admin", "setting.set", body);
        }
    }
    world.pass(5_000);
    world.check();
}

#[test]
fn a_takeover_after_a_crash_takes_less_than_a_second() {
    let mut world = World::led();
    world.furnish();
    let second = world.add_node(None);
    world.pass(2_000);
    assert_eq!(world.leader(), Some(0));
    world.nodes[0].runs = false;
    let before = world.mono;
    world.until(2_000, |world| world.nodes[second].view.is_leading());
    assert!(world.mono - before < 1_000, "{}", world.mono - before);
    world.ok("alice", "note.share", json!({ "key": "k", "value": "v" }));
    world.check();
}

#[test]
fn a_lost_acknowledgement_ends_the_term_and_the_next_gives_the_same_answer() {
    for fault in
        [Fault::LoseAck, Fault::LoseRequest, Fault::NoResponders, Fault::Duplicate, Fault::WrongSeq]
    {
        let mut world = World::led();
        world.furnish();
        world.script([fault]);
        let body = json!({ "paths": ["a.rs"], "mode": "write", "id": id(1) });
        world.send(0, "a", "alice", "lock.acquire", body.clone());
        world.work();
        assert!(world.answered("a").is_none(), "{fault:?}");
        assert!(!world.nodes[0].view.is_leading(), "{fault:?}");
        world.until(3_000, |world| world.answered("a").is_some());
        let first = world.answered("a").unwrap().clone();
        assert_eq!(first["ok"], true, "{fault:?}: {first}");
        assert_eq!(world.ok("alice", "lock.acquire", body), first, "{fault:?}");
        assert_eq!(world.records_of(&id(1)).len(), 1, "{fault:?}");
        assert_eq!(epochs(&world).len(), 2, "{fault:?}");
        world.check();
    }
}

#[test]
fn an_append_that_is_sent_late_is_stored_before_the_claim_or_never() {
    for release_before in [false, true] {
        let mut world = World::led();
        world.furnish();
        world.script([Fault::LateSend]);
        let body = json!({ "paths": ["a.rs"], "mode": "write", "id": id(1) });
        world.send(0, "a", "alice", "lock.acquire", body);
        if release_before {
            world.work();
            world.open.release();
        }
        world.until(3_000, |world| world.answered("a").is_some());
        world.open.release();
        world.pass(1_000);
        assert_eq!(world.records_of(&id(1)).len(), 1);
        world.ok("bob", "note.share", json!({ "key": "k", "value": "v" }));
        world.check();
    }
}

#[test]
fn a_wait_goes_on_over_the_end_of_a_term() {
    let mut world = World::led();
    world.furnish();
    world.ok("alice", "lock.acquire", json!({ "paths": ["a.rs"], "mode": "write" }));
    let wait = json!({ "paths": ["a.rs"], "mode": "write", "wait_ms": 60_000, "id": id(7) });
    world.send(0, "w", "bob", "lock.acquire", wait);
    world.pass(100);
    // The release is stored, with the grant behind it, and nobody hears of either.
    world.script([Fault::LoseAck]);
    world.send(0, "r", "alice", "lock.release", json!({ "paths": ["a.rs"], "id": id(8) }));
    world.until(3_000, |world| world.answered("w").is_some() && world.answered("r").is_some());
    assert_eq!(world.answered("w").unwrap()["result"]["leases"][0]["path"], "a.rs");
    world.check();
}

#[test]
fn a_command_keeps_its_id_over_a_failover_to_another_coordinator() {
    let mut world = World::led();
    world.furnish();
    let second = world.add_node(None);
    world.pass(1_000);
    world.script([Fault::LoseAck]);
    let body = json!({ "title": "t", "repo": "web", "id": id(3) });
    world.send(0, "a", "alice", "task.add", body.clone());
    world.work();
    world.nodes[0].runs = false;
    world.until(3_000, |world| world.nodes[second].view.is_leading());
    let again = world.ok("alice", "task.add", body);
    assert_eq!(again["result"]["task"], "t-1");
    assert_eq!(world.records_of(&id(3)).len(), 1);
    assert!(world.answered("a").is_none());
    world.check();
}

#[test]
fn a_leader_that_wakes_after_another_has_begun_answers_nothing_and_follows() {
    let mut world = World::led();
    world.furnish();
    let second = world.add_node(None);
    world.pass(500);
    world.nodes[0].runs = false;
    world.until(3_000, |world| world.nodes[second].view.is_leading());
    world.send(0, "a", "alice", "lock.acquire", json!({ "paths": ["a.rs"], "mode": "write" }));
    world.nodes[0].runs = true;
    world.pass(3_000);
    assert!(world.answered("a").is_none());
    assert!(!world.nodes[0].view.is_leading() && world.nodes[second].view.is_leading());
    assert_eq!(epochs(&world).len(), 2);
    let (mine, theirs) = (world.nodes[0].view.head(), world.nodes[second].view.head());
    assert_eq!((mine, mine), (theirs, world.reader().chain()), "it follows");
    world.check();
}

#[test]
fn a_clock_that_jumps_ends_the_term_and_the_next_begins_at_wall_time() {
    let mut world = World::led();
    world.furnish();
    let at = world.reader().state().at;
    world.skew = 3_600_000;
    world.until(3_000, |world| epochs(world).len() == 2);
    assert!(world.reader().state().at.0 >= at.0 + 3_600_000);
    // Backwards, time stands still in the log and goes on from there.
    let at = world.reader().state().at;
    world.skew = -3_600_000;
    world.until(5_000, |world| epochs(world).len() == 3);
    world.ok("alice", "note.share", json!({ "key": "k", "value": "v" }));
    assert!(world.reader().state().at >= at);
    world.check();
}

#[test]
fn terms_that_flap_make_for_patience() {
    let mut world = World::led();
    world.furnish();
    for n in 0..12 {
        world.lose_link(0);
        world.pass(500);
        let _ = n;
    }
    let flapping = epochs(&world).len();
    assert!(flapping < 12, "{flapping}");
    world.pass(20_000);
    assert!(world.leader().is_some());
    world.check();
}

#[test]
fn a_full_store_stops_the_claims_and_leaves_the_queries() {
    let mut world = World::led();
    world.furnish();
    world.open.refuse(true);
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v", "id": id(1) }));
    world.pass(1_500);
    assert!(!world.nodes[0].view.is_leading());
    world.ask(0, "q", "state", json!({}));
    world.pass(100);
    assert_eq!(world.answered("q").unwrap()["ok"], true);
    is_refused(&world, "a");
    world.pass(10_000);
    world.open.refuse(false);
    world.until(10_000, |world| world.leader().is_some());
    world.ok("alice", "note.share", json!({ "key": "k", "value": "v", "id": id(1) }));
    world.check();
}

#[test]
fn a_log_that_was_rolled_back_is_not_written_on() {
    let mut world = World::led();
    world.furnish();
    let last = world.open.entries().len() as u64;
    world.open.roll_back(last - 2);
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v" }));
    world.pass(20_000);
    let halted = world.nodes[0].halted.as_ref().expect("it halts").to_string();
    assert!(halted.contains("rolled back"), "{halted}");
    assert!(world.answered("a").is_none());
    assert_eq!(world.open.entries().len() as u64, last - 2);
}

#[test]
fn a_fresh_process_knows_of_a_rollback_from_its_folder() {
    let mut world = World::led();
    world.furnish();
    let known = *world.reader().chain();
    let payloads: Vec<_> = world.open.entries().into_iter().map(|e| e.payload).collect();
    let shorter = MemoryOpen::holding(payloads[..payloads.len() - 1].iter().cloned());
    let mut world = World::over(shorter, 0);
    world.add_node(Some(known));
    world.pass(20_000);
    let halted = world.nodes[0].halted.as_ref().expect("it halts").to_string();
    assert!(halted.contains("the state folder"), "{halted}");
    // Another log of the same length is another log.
    let mut world = World::over(MemoryOpen::holding(payloads), 0);
    world.add_node(Some(Chain { h: Digest::of(b"another"), ..known }));
    world.pass(2_000);
    let halted = world.nodes[0].halted.as_ref().expect("it halts").to_string();
    assert!(halted.contains("replaced"), "{halted}");
}

#[test]
fn a_flipped_byte_halts_and_is_named() {
    let mut world = World::led();
    world.furnish();
    let entries = world.open.entries();
    let mut payload = entries[2].payload.to_vec();
    let middle = payload.len() / 2;
    payload[middle] ^= 1;
    world.open.overwrite(3, payload.into());
    world.add_node(None);
    world.pass(100);
    let halted = world.nodes[1].halted.as_ref().expect("it halts");
    let source = std::error::Error::source(halted).unwrap().to_string();
    assert!(source.contains("message 3 "), "{source}");
}

#[test]
fn a_cold_start_reads_everything_and_has_the_same_state() {
    let mut world = World::led();
    world.furnish();
    for n in 0..300 {
        let body = json!({ "paths": [format!("src/{n}.rs")], "mode": "write" });
        world.ok("alice", "lock.acquire", body);
    }
    let second = world.add_node(None);
    world.pass(1_000);
    let (mut mine, mut theirs) =
        (world.nodes[0].view.state().clone(), world.nodes[second].view.state().clone());
    assert_eq!(mine.hash(), theirs.hash());
    world.check();
}

#[test]
fn a_checkpoint_stands_after_every_ten_thousand_records() {
    let mut world = World::led();
    world.furnish();
    world.fill(10_000);
    let checkpoints: Vec<u64> = world
        .records()
        .iter()
        .filter(|r| r.events.iter().any(|e| matches!(e, Event::Checkpoint(_))))
        .map(|r| r.seq)
        .collect();
    assert_eq!(checkpoints, [10_001]);
    world.check();
}

#[test]
fn a_leader_of_an_old_term_that_goes_on_beating_keeps_nobody_from_claiming() {
    let mut world = World::led();
    let second = world.add_node(None);
    world.pass(500);
    world.nodes[0].runs = false;
    world.until(2_000, |world| world.nodes[second].view.is_leading());
    let third = world.add_node(None);
    world.pass(1_000);
    world.nodes[second].runs = false;
    for _ in 0..10 {
        world.foreign_beat(third, 1);
        world.pass(100);
    }
    assert!(world.nodes[third].view.is_leading());
    // One of the current term does.
    let fourth = world.add_node(None);
    world.pass(1_000);
    world.nodes[third].runs = false;
    for _ in 0..20 {
        world.foreign_beat(fourth, 3);
        world.pass(100);
    }
    assert!(!world.nodes[fourth].view.is_leading());
    world.check();
}

#[test]
fn a_coordinator_whose_store_was_full_leaves_the_requests_to_who_leads() {
    let mut world = World::led();
    world.furnish();
    world.open.refuse(true);
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v", "id": id(1) }));
    world.pass(1_500);
    assert!(world.nodes[0].hears);
    world.foreign_beat(0, 7);
    world.pass(5);
    assert!(!world.nodes[0].hears);
}

/// What is told of a store that takes nothing: neither done nor failed, and what to do.
fn is_refused(world: &World, call: &str) {
    let answer = world.answered(call).expect("it is told");
    assert_eq!(answer["error"]["code"], "STORE_REFUSES", "{answer}");
    assert!(answer["seq"].is_null(), "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("free space in /store, where 2 KiB are free"), "{message}");
}

#[test]
fn a_store_that_answers_nothing_counts_as_full_and_queries_go_on_all_the_time() {
    let mut world = World::led();
    world.furnish();
    let seq = world.reader().chain().seq;
    // The leader's append, its claim, and the claims after that.
    world.script([Fault::LoseRequest; 6]);
    let body = json!({ "key": "k", "value": "v", "id": id(1) });
    world.send(0, "a", "alice", "note.share", body.clone());
    world.until(3_000, |world| world.answered("a").is_some());
    is_refused(&world, "a");
    // Between the claims and during them.
    for n in 0..80 {
        let (q, c) = (format!("q{n}"), format!("c{n}"));
        world.ask(0, &q, "state", json!({}));
        world.send(0, &c, "alice", "note.share", body.clone());
        world.pass(50);
        let shown = world.answered(&q).expect("queries are answered");
        assert!(shown["result"]["stale"].as_str().unwrap().contains("the store takes nothing"));
        assert_eq!(shown["seq"], seq, "what was settled");
        is_refused(&world, &c);
    }
    assert!(world.nodes[0].hears);
    world.until(20_000, |world| world.leader().is_some());
    assert_eq!(world.ok("alice", "note.share", body)["ok"], true);
    assert_eq!(world.records_of(&id(1)).len(), 1);
    world.ask(0, "fresh", "state", json!({}));
    world.pass(100);
    assert!(world.answered("fresh").unwrap()["result"]["stale"].is_null());
    world.check();
}

#[test]
fn a_claim_to_a_store_that_takes_nothing_waits_before_the_next() {
    let mut world = World::led();
    world.furnish();
    world.script([Fault::LoseRequest; 500]);
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v", "id": id(1) }));
    world.until(3_000, |world| world.answered("a").is_some());
    let before = world.open.scripted();
    world.pass(20_000);
    let claims = before - world.open.scripted();
    assert!((5..=10).contains(&claims), "one every two seconds, not {claims}");
}

#[test]
fn what_was_stored_without_an_answer_is_no_store_that_takes_nothing() {
    let mut world = World::led();
    world.furnish();
    world.script([Fault::LoseAck, Fault::LoseAck, Fault::LoseAck]);
    let body = json!({ "key": "k", "value": "v", "id": id(1) });
    world.send(0, "a", "alice", "note.share", body.clone());
    world.until(10_000, |world| world.answered("a").is_some());
    assert_eq!(world.answered("a").unwrap()["ok"], true);
    assert_eq!(world.records_of(&id(1)).len(), 1);
    world.check();
}

#[test]
fn one_server_has_nothing_to_settle_and_several_have() {
    for (replicas, ms) in [(1, 3_500), (3, 13_500)] {
        let mut world = World::led();
        world.replicas = replicas;
        world.furnish();
        world.open.roll_back(world.open.entries().len() as u64 - 2);
        let before = world.mono;
        world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v" }));
        world.until(20_000, |world| world.nodes[0].halted.is_some());
        let took = world.mono - before;
        assert!((ms - 2_000..=ms).contains(&took), "{replicas}: {took}");
    }
}

#[test]
fn a_last_position_that_an_append_has_overtaken_ends_no_term() {
    let mut world = World::led();
    world.furnish();
    let (asked_at, last) = (world.mono, world.nodes[0].view.head().stream_seq);
    world.pass(10);
    world.ok("alice", "note.share", json!({ "key": "k", "value": "v" }));
    world.tell_last(0, asked_at, last);
    assert!(world.nodes[0].view.is_leading(), "the answer is older than the append");
    // Asked after it, the same answer says that what was acknowledged is gone.
    world.pass(10);
    world.tell_last(0, world.mono, last);
    assert!(!world.nodes[0].view.is_leading());
}
