//! Connections: what comes over one that was given up, and what is read over a new one.

use devmesh_bus::log::AppendError;
use devmesh_domain::Reader;

use super::*;
use crate::effect::Effect;
use crate::error::Error;
use crate::input::{Input, Read};
use crate::view::{Options, Role, View};

fn claims_at(world: &World, node: usize) -> u64 {
    match &world.nodes[node].view.role {
        Role::Standby { claim_at } => *claim_at,
        other => panic!("it stands by: {other:?}"),
    }
}

/// A leader, and somebody who stands by and does not run.
fn standing_by() -> World {
    let mut world = World::led();
    world.furnish();
    world.add_node(None);
    world.pass(500);
    world.nodes[1].runs = false;
    world
}

fn last(world: &World, node: usize, last: Result<u64, String>) -> Input {
    let link = world.nodes[node].view.link;
    Input::Last { link, asked_at: world.mono, last, replicas: Some(1) }
}

fn opened(world: &World, node: usize) -> Input {
    Input::Opened { link: world.nodes[node].view.link }
}

fn read(world: &World, from: u64) -> Vec<Read> {
    let entries = world.open.entries().into_iter();
    entries.filter(|entry| entry.stream_seq >= from).map(Read::of).collect()
}

#[test]
fn what_comes_over_a_connection_that_was_given_up_says_nothing() {
    let mut world = World::led();
    world.furnish();
    world.lose_link(0);
    world.until(3_000, |world| epochs(world).len() == 2 && world.leader().is_some());
    world.pass(100);
    let (link, asked_at) = (world.nodes[0].view.link - 1, world.mono);
    let effects = world.effects(0, Input::Last { link, asked_at, last: Ok(0), replicas: None });
    assert!(effects.is_empty() && world.nodes[0].view.is_leading(), "{effects:?}");
    world.script([Fault::Delay]);
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v" }));
    world.pass(5);
    let why = "late".to_owned();
    for input in [
        Input::Opened { link },
        Input::Lost { link, why: why.clone() },
        Input::ReadEnded { link, fatal: true, why: why.clone() },
        Input::ReadEnded { link, fatal: false, why },
        Input::Appended { link, outcome: Err(AppendError::Conflict("late".into())) },
    ] {
        let what = format!("{input:?}");
        let effects = world.effects(0, input);
        assert!(effects.is_empty() && world.nodes[0].view.is_leading(), "{what}: {effects:?}");
    }
    world.open.release();
    world.pass(10);
    assert_eq!(world.answered("a").unwrap()["ok"], true);
    world.check();
}

#[test]
fn what_was_read_over_a_connection_that_was_given_up_is_read_again() {
    let mut world = standing_by();
    let before = *world.nodes[1].view.head();
    let link = world.nodes[1].view.link;
    world.ok("alice", "note.share", json!({ "key": "k", "value": "v" }));
    let entries = read(&world, before.stream_seq + 1);
    world.effects(1, Input::Entries { link: link - 1, entries: entries.clone() });
    assert_eq!(*world.nodes[1].view.head(), before);
    world.effects(1, Input::Entries { link, entries });
    assert_eq!(world.nodes[1].view.head(), world.reader().chain());
}

#[test]
fn reading_that_ends_goes_on_over_a_new_connection_unless_the_log_is_at_fault() {
    let mut world = World::led();
    world.furnish();
    world.add_node(None);
    world.pass(500);
    let link = world.nodes[1].view.link;
    world.put(1, Input::ReadEnded { link, fatal: false, why: "cut".into() });
    world.work();
    assert_eq!(world.nodes[1].view.link, link + 1);
    world.pass(400);
    world.ok("alice", "note.share", json!({ "key": "k", "value": "v" }));
    world.pass(5);
    assert_eq!(world.nodes[1].view.head(), world.reader().chain());
    world.put(1, Input::ReadEnded { link: link + 1, fatal: true, why: "a hole at 3".into() });
    world.work();
    let halted = world.nodes[1].halted.as_ref().expect("it halts").to_string();
    assert_eq!(halted, "read the log: a hole at 3");
}

#[test]
fn a_standby_whose_time_has_not_come_does_not_claim() {
    let mut world = standing_by();
    world.mono = claims_at(&world, 1) - 1;
    let asks = |effects: Vec<Effect>| effects.iter().any(|e| matches!(e, Effect::AskLast { .. }));
    let effects = world.effects(1, Input::Tick);
    assert!(!asks(effects));
    world.mono += 1;
    let effects = world.effects(1, Input::Tick);
    assert!(asks(effects));
}

#[test]
fn a_term_that_ended_with_a_lost_answer_is_followed_by_the_next_at_once() {
    let mut world = World::led();
    world.furnish();
    world.script([Fault::LoseAck]);
    let before = world.mono;
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v" }));
    world.until(2_000, |world| world.answered("a").is_some());
    assert!(world.mono - before <= 100, "{}", world.mono - before);
}

#[test]
fn each_message_is_asked_for_once() {
    let mut world = World::led();
    world.furnish();
    let entries = read(&world, 1);
    let end = entries.len() as u64;
    let options = Options { node: "new".into(), seed: 5, known: None };
    world.nodes[0].view = View::new(options);
    let input = opened(&world, 0);
    assert!(matches!(world.effects(0, input)[..], [Effect::AskLast { .. }]));
    let input = last(&world, 0, Ok(end - 1));
    let effects = world.effects(0, input);
    assert!(
        matches!(effects[..], [Effect::Read { from: 1, to, .. }] if to == end - 1),
        "{effects:?}"
    );
    let part = entries[..2].to_vec();
    let effects = world.effects(0, Input::Entries { link: 0, entries: part });
    assert!(effects.is_empty(), "the end is not reached: {effects:?}");
    let first = entries[2..entries.len() - 1].to_vec();
    let effects = world.effects(0, Input::Entries { link: 0, entries: first });
    assert!(matches!(effects[..], [Effect::Follow { from, .. }] if from == end), "{effects:?}");
    // It claims; somebody is heard before it has read to the end.
    world.mono = claims_at(&world, 0);
    assert!(matches!(world.effects(0, Input::Tick).first(), Some(Effect::AskLast { .. })));
    world.foreign_beat(0, 1);
    world.nodes[0].view.follows = true;
    world.work();
    let effects = world.effects(0, Input::Entries { link: 0, entries });
    assert!(effects.is_empty(), "what is followed is not asked for again: {effects:?}");
    assert_eq!(world.nodes[0].view.head(), world.reader().chain());
}

#[test]
fn a_last_position_that_is_not_told_is_asked_for_over_another_connection() {
    let mut world = standing_by();
    let why = || Err("no leader".to_owned());
    world.mono = claims_at(&world, 1);
    assert!(matches!(world.effects(1, Input::Tick).first(), Some(Effect::AskLast { .. })));
    let input = last(&world, 1, why());
    let effects = world.effects(1, input);
    assert!(
        matches!(
            effects[..],
            [Effect::IgnoreRequests { .. }, Effect::Reopen { after_ms: 250, .. }]
        ),
        "{effects:?}"
    );
    // Where the store takes nothing, another connection would tell no more.
    world.open.refuse(true);
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v" }));
    world.work();
    let input = opened(&world, 0);
    world.effects(0, input);
    let input = last(&world, 0, why());
    let effects = world.effects(0, input);
    assert!(matches!(effects[..], [Effect::WeighStore, Effect::Follow { .. }]), "{effects:?}");
    assert!(claims_at(&world, 0) >= world.mono + 2_000);
}

#[test]
fn a_log_that_seems_short_is_looked_at_again_until_it_must_have_settled() {
    let mut world = standing_by();
    let head = *world.nodes[1].view.head();
    world.nodes[1].view.options.known = Some(head);
    let mut look = |ms: u64| {
        world.mono += ms;
        let link = world.nodes[1].view.link;
        world.effects(1, Input::Lost { link, why: "cut".into() });
        let input = opened(&world, 1);
        world.effects(1, input);
        let input = last(&world, 1, Ok(head.stream_seq - 1));
        world.effects(1, input)
    };
    for ms in [0, 1_999] {
        let effects = look(ms);
        assert!(
            matches!(effects.last(), Some(Effect::Reopen { after_ms: 500, .. })),
            "{effects:?}"
        );
    }
    let effects = look(1);
    let Some(Effect::Halt(Error::RolledBack { has_message, known, known_by, .. })) = effects.last()
    else {
        panic!("it halts: {effects:?}")
    };
    assert_eq!(
        (*has_message, known),
        (head.stream_seq - 1, &format!("message {}", head.stream_seq))
    );
    assert_eq!(known_by, "this process", "its own reading is the better witness");
}

#[test]
fn a_folder_that_knows_a_place_of_the_log_is_no_hindrance() {
    let mut world = World::led();
    world.furnish();
    let mut reader = Reader::default();
    for entry in &world.open.entries()[..3] {
        reader.take(entry.stream_seq, &entry.payload).unwrap();
    }
    for known in [*reader.chain(), *world.reader().chain()] {
        let node = world.add_node(Some(known));
        world.pass(100);
        assert!(world.nodes[node].halted.is_none());
        assert_eq!(world.nodes[node].view.head(), world.reader().chain());
    }
}

#[test]
fn what_is_known_already_says_neither_that_somebody_leads_nor_that_the_store_takes() {
    let mut world = standing_by();
    let link = world.nodes[1].view.link;
    let entries = read(&world, 1);
    let before = claims_at(&world, 1);
    world.pass(50);
    world.effects(1, Input::Entries { link, entries: entries.clone() });
    assert_eq!(claims_at(&world, 1), before);
    world.ok("alice", "note.share", json!({ "key": "k", "value": "v" }));
    let new = read(&world, entries.len() as u64);
    world.effects(1, Input::Entries { link, entries: new });
    assert!(claims_at(&world, 1) >= world.mono + 500, "somebody writes");
    // The leader's own store takes nothing.
    world.open.refuse(true);
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "w" }));
    world.pass(500);
    assert!(world.nodes[0].view.store.refuses());
    let link = world.nodes[0].view.link;
    world.effects(0, Input::Entries { link, entries });
    assert!(world.nodes[0].view.store.refuses());
}

#[test]
fn who_reads_that_somebody_writes_does_not_claim_though_no_beat_is_heard() {
    let mut world = World::led();
    world.furnish();
    world.beats = false;
    world.add_node(None);
    for n in 0..25 {
        world.pass(200);
        world.ok("alice", "note.share", json!({ "key": "k", "value": n.to_string() }));
    }
    assert_eq!(epochs(&world).len(), 1);
    let before = world.mono;
    world.until(2_000, |world| epochs(world).len() == 2);
    assert!(world.mono - before >= 400, "{}", world.mono - before);
    world.check();
}

#[test]
fn a_claim_is_given_up_where_the_end_of_the_log_is_anothers_new_term() {
    let mut world = World::led();
    let (second, third) = (world.add_node(None), world.add_node(None));
    world.pass(300);
    world.beats = false;
    world.nodes[0].runs = false;
    world.nodes[third].runs = false;
    world.until(3_000, |world| world.nodes[second].view.is_leading());
    world.mono = world.mono.max(claims_at(&world, third));
    // Its time is over, and it has not read yet that somebody was faster.
    world.put(third, Input::Tick);
    world.nodes[third].runs = true;
    world.work();
    assert_eq!(epochs(&world), [(1, "n0".to_owned()), (2, "n1".to_owned())]);
    assert!(claims_at(&world, third) >= world.mono + 500);
    world.check();
}

#[test]
fn a_claim_of_its_own_that_was_stored_unheard_keeps_nobody_waiting() {
    let mut world = World::new(1);
    world.script([Fault::LoseAck]);
    world.until(2_000, |world| world.open.entries().len() == 1);
    let before = world.mono;
    world.until(2_000, |world| world.leader().is_some());
    assert!(world.mono - before <= 300, "{}", world.mono - before);
    assert_eq!(epochs(&world).len(), 2);
    world.check();
}

#[test]
fn a_leader_yields_to_a_later_term_and_to_no_other() {
    let mut world = World::led();
    world.furnish();
    world.foreign_beat(0, 1);
    world.work();
    assert!(world.nodes[0].view.is_leading());
    world.foreign_beat(0, 2);
    world.work();
    assert!(!world.nodes[0].view.is_leading());
    world.pass(200);
    assert_eq!(epochs(&world).len(), 1, "it does not claim at once");
}

#[test]
fn who_has_lost_its_connection_claims_at_once_unless_a_later_term_is_heard() {
    for (epoch, terms) in [(1, 2), (2, 1)] {
        let mut world = World::led();
        world.furnish();
        world.lose_link(0);
        world.work();
        world.foreign_beat(0, epoch);
        world.pass(200);
        assert_eq!(epochs(&world).len(), terms, "{epoch}");
    }
}

#[test]
fn who_asks_learns_at_once_that_the_store_takes_nothing() {
    let mut world = World::led();
    world.furnish();
    world.open.refuse(true);
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v" }));
    world.work();
    is_refused(&world, "a");
}
