//! Whether what was told, what the log says and what each fold makes of it agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use devmesh_bus::client::{Client, Outcome};
use devmesh_protocol::{Event, LeaseId, Record, Reply};
use serde_json::json;

use super::load::{Story, Told};
use super::mesh::{Mesh, WITHIN, Whole, state};

/// How titles begin of tasks that are no load.
pub(super) const ASKED: &str = "asked";

/// Every answered command is in the log exactly once, as it was told, and nothing else of the
/// callers' is.
pub(super) fn commands(story: &Story, whole: &Whole) {
    let mut by_id: BTreeMap<(String, String), &Record> = BTreeMap::new();
    for record in whole.records() {
        let Some(id) = &record.command_id else { continue };
        let before = by_id.insert((record.actor.to_string(), id.to_string()), record);
        assert!(before.is_none(), "{id} of {} is there twice", record.actor);
    }
    let records: BTreeMap<u64, &Record> = whole.records().map(|it| (it.seq, it)).collect();
    for told in story.told() {
        let record = by_id.remove(&(told.actor.clone(), told.id.clone()));
        let record = record.unwrap_or_else(|| panic!("not in the log: {told:?}"));
        if record.seq != told.seq {
            let ended = records.get(&told.seq).is_some_and(|it| grants(it, &told.id));
            assert!(ended, "told record {}, there as {record:?}", told.seq);
        }
        is_as_told(told, &records);
    }
    let rest = by_id.values().flat_map(|record| &record.events).filter(|it| is_a_callers(it));
    assert_eq!(rest.collect::<Vec<_>>(), [] as [&Event; 0], "nobody was told of these");
}

/// Whether it comes of the load, and not of what furnished the mesh or asked beside it.
fn is_a_callers(event: &Event) -> bool {
    match event {
        Event::ActorAdded(_) | Event::RepoAdded(_) => false,
        Event::TaskAdded(it) => !it.title.starts_with(ASKED),
        _ => true,
    }
}

/// Whether the record ends the wait of that request with a lease.
fn grants(record: &Record, id: &str) -> bool {
    record.events.iter().any(|event| {
        matches!(event, Event::LockGranted(it)
            if it.waited.as_ref().is_some_and(|waited| waited.to_string() == id))
    })
}

fn is_as_told(told: &Told, records: &BTreeMap<u64, &Record>) {
    let events = &records[&told.seq].events;
    match told.verb {
        "lock.acquire" => {
            assert_eq!(told.token(), Some(told.seq), "{told:?}");
            let path = told.body["paths"][0].as_str().unwrap();
            let own = |event: &Event| {
                matches!(event, Event::LockGranted(it)
                    if it.actor.to_string() == told.actor && it.path.to_string() == path)
            };
            assert!(events.iter().any(own), "{told:?}: {events:?}");
        }
        "task.add" => {
            let title = told.body["title"].as_str().unwrap();
            let own = |event: &Event| {
                matches!(event, Event::TaskAdded(it)
                    if it.title == title && told.result["task"] == json!(it.task))
            };
            assert!(events.iter().any(own), "{told:?}: {events:?}");
        }
        _ => {}
    }
}

/// A path has one holder at a time, and tokens rise: in the log, for each caller, and in the
/// order in which the contended path was really held.
pub(super) fn tokens(story: &Story, whole: &Whole) {
    let (mut last, mut live, mut tasks) = ((0, 0), BTreeMap::new(), BTreeSet::new());
    for record in whole.records() {
        for event in &record.events {
            match event {
                Event::LockGranted(it) => {
                    let token = (record.seq, it.index);
                    assert!(token > last, "{token:?} after {last:?}");
                    last = token;
                    let lease: LeaseId = format!("l-{}-{}", token.0, token.1).parse().unwrap();
                    let before = live.insert(it.path.clone(), lease);
                    assert_eq!(before, None, "{} is held twice at {}", it.path, record.seq);
                }
                Event::LockReleased(it) => live.retain(|_, lease| *lease != it.lease),
                Event::TaskAdded(it) => assert!(tasks.insert(it.title.clone()), "{}", it.title),
                _ => {}
            }
        }
    }
    for told in &story.callers {
        let tokens: Vec<u64> = told.iter().filter_map(Told::token).collect();
        assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
    }
    let held = &story.held;
    assert!(held.is_sorted_by(|one, next| one < next), "{held:?}");
}

/// The leader, a fold of the log here and the program's own proof come to the same state at the
/// same record. Every term's first record carries its leader's hash, which both folds compare.
pub(super) async fn hashes(mesh: &Mesh, client: &Client) -> Whole {
    let deadline = Instant::now() + WITHIN;
    loop {
        let shown = state(client).await;
        let mut whole = mesh.read().await;
        let proof = mesh.verify();
        // A record of the mesh's own may have come between.
        let seqs = [shown["seq"].as_u64(), Some(whole.reader.chain().seq), proof["seq"].as_u64()];
        if seqs.iter().all(|seq| *seq == seqs[0]) {
            let hash = json!(whole.reader.hash());
            assert_eq!(shown["hash"], hash, "the leader and a fold differ at {seqs:?}");
            assert_eq!(proof["hash"], hash, "the program and a fold differ at {seqs:?}");
            return whole;
        }
        assert!(Instant::now() < deadline, "the log does not come to rest: {seqs:?}");
    }
}

/// What each caller sent last is answered again, the same, and not done again.
pub(super) async fn again(mesh: &Mesh, story: &Story) {
    let before = mesh.read().await.reader.chain().seq;
    for told in story.callers.iter().flat_map(|told| told.iter().rev().take(3)) {
        let client = mesh.person(&told.actor).await;
        let answer = client.submit_body(told.verb, told.body.clone(), WITHIN).await.unwrap();
        let Outcome::Reply(Reply::Ok { seq, result }) = answer else { panic!("{answer:?}") };
        assert_eq!((seq, result), (Some(told.seq), told.result.clone()), "{told:?}");
    }
    assert_eq!(mesh.read().await.reader.chain().seq, before, "an answer alone leaves no record");
}

/// How many terms began.
pub(super) fn terms(whole: &Whole) -> usize {
    let events = whole.records().flat_map(|record| &record.events);
    events.filter(|event| matches!(event, Event::EpochStarted(_))).count()
}
