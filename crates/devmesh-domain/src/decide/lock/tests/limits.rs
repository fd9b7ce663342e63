//! What is just enough, and what is one too many.

use devmesh_protocol::command::Encoding;
use devmesh_protocol::limits::{
    GRANTS_PER_RECORD_MAX, LEASES_PER_ACTOR_MAX, RECORD_BYTES_MAX, RECORD_EVENTS_MAX,
};
use devmesh_protocol::{Command, CommandId, Event, LeaseId, Record};
use serde_json::{Value, json};

use crate::invariant::world::{World, actor};

/// Bytes of a reason, the longest there is in letters of two bytes.
const REASON_BYTES: usize = 600;

/// So many paths, each of which weighs so much in a record, its reason with it.
fn paths(first: char, n: usize, each: usize) -> Vec<String> {
    let one = |n: usize| {
        let key = each - 512 - REASON_BYTES;
        let folders = format!("{}/", "x".repeat(255)).repeat(key / 256);
        format!("{folders}{first}{n:0width$}", width = key % 256 - 1)
    };
    (0..n).map(one).collect()
}

fn ask(paths: &[String]) -> Value {
    let reason = "ü".repeat(REASON_BYTES / 2);
    json!({ "paths": paths, "mode": "read", "wait_ms": 60_000, "reason": reason })
}

fn names(first: char, n: usize) -> String {
    (0..n).map(|n| format!(" {first}/{n}")).collect()
}

/// How many events each record has that follows from the next step.
fn sizes(world: &mut World, step: &str) -> Vec<usize> {
    let before = world.records.len();
    world.step(step);
    world.records[before..].iter().map(|record| record.events.len()).collect()
}

fn bytes(record: &Record) -> usize {
    let mut bytes = Vec::new();
    ciborium::into_writer(record, &mut bytes).unwrap();
    bytes.len()
}

#[test]
fn so_many_leases_and_not_one_more() {
    let mut world = World::new();
    let held = LEASES_PER_ACTOR_MAX - 2;
    world.state.index.leases_of_actor.insert(actor("alice"), held);
    let take = |who: &str, paths: &[&str]| {
        let body = serde_json::to_vec(&json!({ "paths": paths, "mode": "read" })).unwrap();
        let mint = || CommandId::new("c").unwrap();
        let command = Command::parse(actor(who), "lock.acquire", &body, Encoding::Json, mint);
        let decided = crate::decide(&world.state, &command.unwrap(), world.at);
        decided.map(|events| events.len()).map_err(|refused| refused.code.as_str())
    };
    assert_eq!(take("alice", &["a", "b"]), Ok(2));
    assert_eq!(take("alice", &["a", "b", "c"]), Err("LIMIT_EXCEEDED"));
    assert_eq!(take("bob", &["a", "b", "c"]), Ok(3), "they are another's");
}

#[test]
fn the_largest_request_fits_a_record_to_the_byte() {
    let mut world = World::new();
    let mut most = paths('a', 128, RECORD_BYTES_MAX / 128);
    world.send("alice", "lock.acquire", ask(&most)).unwrap();
    assert_eq!(world.state.leases.len(), 128);
    assert!(bytes(world.records.last().unwrap()) <= RECORD_BYTES_MAX);
    most[127].push('y');
    let refused = world.send("bob", "lock.acquire", ask(&most)).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), &refused.details["field"]),
        ("LIMIT_EXCEEDED", &json!("paths"))
    );
}

/// What waiters are granted together fills a record and goes on in the next.
#[test]
fn grants_fill_a_record_and_no_more() {
    let mut world = World::new();
    world.step("alice write .");
    for (who, first, n) in [("bob", 'b', 128), ("carol", 'c', 128), ("dave", 'd', 1)] {
        assert!(
            world.step(&format!("{who} read {} wait 9000", names(first, n))).ends_with("waits")
        );
    }
    assert_eq!(sizes(&mut world, "alice release ."), [1, RECORD_EVENTS_MAX, 1]);
    let half = RECORD_BYTES_MAX / 2;
    for (more, expect) in [(None, vec![1, 128]), (Some('y'), vec![1, 64, 64])] {
        let mut world = World::new();
        world.step("alice write .");
        world.send("bob", "lock.acquire", ask(&paths('b', 64, half / 64))).unwrap();
        let mut last = paths('c', 64, half / 64);
        last[63].extend(more);
        world.send("carol", "lock.acquire", ask(&last)).unwrap();
        assert_eq!(sizes(&mut world, "alice release ."), expect, "{more:?}");
        assert!(world.records.iter().all(|record| bytes(record) <= RECORD_BYTES_MAX));
    }
}

/// The leases of one record are numbered from nought, with none left out, whoever waited.
#[test]
fn the_leases_of_a_record_are_numbered_densely() {
    let mut world = World::new();
    world.step("alice write a/ b/");
    world.step("bob read a/1 a/2 b/1 wait 9000");
    world.step("carol read a/3 wait 9000");
    world.step("alice release a b");
    let seq = world.state.seq;
    let ids: Vec<LeaseId> = world.state.leases.keys().copied().collect();
    assert_eq!(ids, [0, 1, 2, 3].map(|index| LeaseId { seq, index }));
}

/// A worker that holds this many for its task gives them back in one go; with one more it has to
/// name them.
#[test]
fn what_is_given_back_at_once_fits_a_record() {
    let mut world = World::new();
    world.attempt(1, "codex", json!({}));
    let mut held = 0;
    while held < RECORD_EVENTS_MAX {
        let n = (RECORD_EVENTS_MAX - held).min(50);
        let names: String = (held..held + n).map(|n| format!(" f/{n}")).collect();
        world.step(&format!("codex write{names} task t-1"));
        held += n;
    }
    let mut more = world.clone();
    assert_eq!(sizes(&mut world, "codex release task t-1")[0], RECORD_EVENTS_MAX);
    assert!(world.state.leases.is_empty());
    more.step("codex write one/more task t-1");
    assert_eq!(more.step("codex release task t-1"), "LIMIT_EXCEEDED");
    assert_eq!(more.state.leases.len(), RECORD_EVENTS_MAX + 1, "and all are held still");
}

/// Leases that live equally long are renewed by one event: only as many times to live fit.
#[test]
fn leases_are_renewed_by_their_times_to_live() {
    let mut world = World::new();
    let take = |world: &mut World, n: usize| {
        let came = world.step(&format!("alice read f/{n} ttl {}", 100_000 + n));
        assert!(came.starts_with("alice has"), "{came}");
    };
    (0..RECORD_EVENTS_MAX).for_each(|n| take(&mut world, n));
    assert_eq!(sizes(&mut world, "alice renew"), [RECORD_EVENTS_MAX]);
    take(&mut world, RECORD_EVENTS_MAX);
    assert_eq!(world.step("alice renew"), "LIMIT_EXCEEDED");
    assert_eq!(world.step("alice renew ttl 90000"), "lock_renewed alice");
}

/// A record of grants has room for so many waiters; those of the next record are not forgotten.
#[test]
fn a_record_grants_to_so_many_waiters() {
    for (n, expect) in [
        (GRANTS_PER_RECORD_MAX, vec![1, GRANTS_PER_RECORD_MAX]),
        (GRANTS_PER_RECORD_MAX + 1, vec![1, GRANTS_PER_RECORD_MAX, 1]),
    ] {
        let mut world = World::new();
        world.step("alice write a");
        for n in 0..n {
            world.step(&format!("bob read a/{n} wait 9000 session s{n}"));
        }
        assert_eq!(sizes(&mut world, "alice release a"), expect);
        let granted = |event: &Event| matches!(event, Event::LockGranted(_));
        let all = world.records.iter().flat_map(|record| &record.events);
        assert_eq!(all.filter(|event| granted(event)).count(), n + 1);
    }
}
