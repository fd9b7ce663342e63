//! How leases end: by the clock, by silence, by others.

use devmesh_protocol::command::Encoding;
use devmesh_protocol::command::agent::Role;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::agent::ActorAdded;
use devmesh_protocol::event::lock::LockGranted;
use devmesh_protocol::limits::{LEASES_PER_ACTOR_MAX, RECORD_BYTES_MAX, RECORD_EVENTS_MAX};
use devmesh_protocol::{
    ActorId, At, Command, CommandId, Event, Mode, Record, RepoId, RepoPath, Verb,
};
use serde_json::json;

use crate::invariant::world::{World, actor, check, session, story};

#[test]
fn a_persons_lease_ends_by_the_clock() {
    story(&[
        ("alice write a ttl 1000", "alice has write a"),
        ("bob write a wait 9000", "bob waits"),
        ("after 999", "nothing"),
        ("after 1", "a over, bob has write a"),
        ("alice release a", "NOT_OWNER"),
        ("after 1800000", "a over"),
        ("bob release a", "LEASE_EXPIRED"),
    ]);
}

#[test]
fn an_agents_lease_lives_by_heartbeats() {
    story(&[("codex write a", "codex has write a"), ("after 10000000", "nothing")]);
}

#[test]
fn renewing_moves_the_end() {
    story(&[
        ("alice write a ttl 1000", "alice has write a"),
        ("alice write b ttl 2000", "alice has write b"),
        ("after 900", "nothing"),
        ("alice renew", "lock_renewed alice, lock_renewed alice"),
        ("after 999", "nothing"),
        ("after 1", "a over"),
        ("alice renew ttl 5000", "lock_renewed alice"),
        ("after 4999", "nothing"),
        ("after 1", "b over"),
        ("alice renew", "nothing"),
        ("alice renew ttl 1", "BAD_REQUEST"),
        ("alice renew lease l-3-0", "LEASE_EXPIRED"),
        ("codex write c", "codex has write c"),
        ("codex renew", "nothing"),
    ]);
}

#[test]
fn what_is_over_is_not_kept_alive() {
    let mut world = World::new();
    world.step("alice write a ttl 1000");
    let lease = world.lease_of("alice", "a").to_string();
    // Its time is over, and the tick has not come yet.
    world.at = At(world.at.0 + 1000);
    assert_eq!(world.step(&format!("alice renew lease {lease}")), "LEASE_EXPIRED");
    assert_eq!(world.step("alice renew"), "nothing");
    assert_eq!(world.step("alice convert a read"), "LEASE_EXPIRED");
    assert_eq!(world.step("bob write a"), "LOCK_CONFLICT", "never early");
    assert_eq!(world.step(&format!("bob renew lease {lease}")), "NOT_OWNER");
    assert_eq!(world.step("after 0"), "a over");
}

#[test]
fn a_person_ends_anybodys_lease() {
    check(
        &["codex write a", "alice write a wait 900"],
        "bob break codex a",
        "a broken, alice has write a",
    );
    check(&["alice write a"], "codex break alice a", "NOT_PERMITTED");
    check(&["alice write a"], "bob break alice a", "a broken");
    let mut world = World::new();
    let body = serde_json::json!({ "lease": "l-1-0", "reason": "stuck" });
    assert_eq!(world.send("bob", "lock.break", body).unwrap_err().code.as_str(), "LEASE_EXPIRED");
}

#[test]
fn many_leases_end_in_records_of_their_own() {
    let mut world = World::new();
    for n in 0..150 {
        world.step(&format!("alice write a/{n} ttl 1000"));
    }
    let before = world.records.len();
    world.step("after 1000");
    let sizes: Vec<usize> = world.records[before..].iter().map(|r| r.events.len()).collect();
    assert_eq!(sizes, [64, 64, 22]);
    assert!(world.state.leases.is_empty());
}

/// Who asks for more of what it has is given it for as long as it asks, and never for less than it
/// had.
#[test]
fn a_stronger_mode_lasts_as_long_as_is_asked() {
    for (asks, lasts_ms) in [
        (&["alice write a ttl 5000"][..], 5_000),
        (&["alice convert a write"], 10_000),
        (&["alice write a ttl 1000"], 2_000),
        (&["bob read a", "alice write a ttl 5000 wait 900", "bob release a"], 5_000),
    ] {
        let mut world = World::new();
        world.step("alice read a ttl 10000");
        world.step("after 8000");
        for ask in asks {
            world.step(ask);
        }
        assert_eq!(world.step(&format!("after {}", lasts_ms - 1)), "nothing", "{asks:?}");
        assert_eq!(world.step("after 1"), "a over", "{asks:?}");
        world.check_replay();
    }
}

#[test]
fn a_new_term_gives_time_to_be_heard_again() {
    let mut world = World::new();
    world.step("alice write a ttl 600000");
    world.step("alice write b ttl 1000");
    world.step("bob write a wait 3000");
    world.step("bob read b wait 900000");
    let ends = |world: &World| -> Vec<u64> {
        let leases = world.state.leases.values().filter_map(|lease| lease.expires_at);
        let waiters = world.state.waiters.values().map(|waiter| waiter.deadline);
        leases.chain(waiters).map(|at| at.0).collect()
    };
    let start = world.at.0;
    assert_eq!(ends(&world), [600_000, 1_000, 3_000, 900_000].map(|ms| start + ms));
    // The leader was gone for ten minutes, and whatever ended meanwhile did not end.
    world.at = At(start + 590_000);
    let event = devmesh_protocol::event::mesh::EpochStarted {
        epoch: 1,
        node: "n".to_owned(),
        nonce: 1,
        hash: world.state.hash(),
        format: 1,
    };
    world.happened(vec![event.into()]);
    let now = world.at.0;
    assert_eq!(ends(&world), [now + 20_000, now + 1_000, now + 3_000, start + 900_000]);
    assert_eq!(world.step("after 999"), "nothing");
    assert_eq!(world.step("after 1"), "b over, bob has read b");
    world.check_replay();
}

#[test]
fn a_request_given_back_gives_back_what_its_leases_were_made_into() {
    let mut world = World::new();
    let ask = "0190f5fe-0000-7000-8000-000000000001";
    world.step(&format!("alice read a b id {ask}"));
    world.step("bob read b");
    world.step("alice read c");
    // A stronger mode gives the lease another number, a waited one too.
    assert_eq!(world.step("alice convert a write"), "a is write anew");
    world.step("alice convert b write wait 9000");
    world.step("bob release b");
    assert_eq!(world.step(&format!("alice withdraw {ask}")), "a free, b free");
    assert_eq!(world.step("bob write a b"), "bob has write a, bob has write b");
    assert_eq!(world.state.leases.len(), 3);
    assert_eq!(world.step(&format!("alice withdraw {ask}")), "nothing");
    world.check_replay();
}

/// A mesh whose records are folded without looking at every invariant after each of them: there
/// are too many of them here.
fn folded(world: &mut World, events: Vec<Event>) {
    let record = Record::new(world.state.seq + 1, world.at, None, events);
    let mut bytes = Vec::new();
    ciborium::into_writer(&record, &mut bytes).unwrap();
    assert!(bytes.len() <= RECORD_BYTES_MAX && record.events.len() <= RECORD_EVENTS_MAX);
    crate::fold::fold(&mut world.state, &record);
}

fn granted(index: u32, actor: &ActorId, path: &str) -> Event {
    LockGranted {
        index,
        actor: actor.clone(),
        session: Some(session(actor.as_str())),
        task: None,
        repo: RepoId::new("r").unwrap(),
        path: RepoPath::new(path).unwrap(),
        mode: Mode::Write,
        ttl_ms: 15_000,
        expires_at: None,
        waited: None,
        share: None,
        reason: None,
    }
    .into()
}

/// An agent dies that holds all that one may hold, and a thousand others wait for it: nothing of
/// that is one record too big to be written, again at each tick.
#[test]
fn a_great_holder_dies_and_a_thousand_waiters_go_on_in_records_that_fit() {
    let mut world = World::new();
    let codex = actor("codex");
    for part in 0..LEASES_PER_ACTOR_MAX / 100 {
        let names = (0..100).map(|n| format!("src/{part}/{n}"));
        let events = (0..).zip(names).map(|(index, path)| granted(index, &codex, &path)).collect();
        folded(&mut world, events);
    }
    assert_eq!(world.state.leases.len(), LEASES_PER_ACTOR_MAX);
    for n in 0..1_000 {
        let person = actor(&format!("p{n}"));
        let added = ActorAdded { actor: person.clone(), role: Role::Person };
        folded(&mut world, vec![added.into()]);
        let path = format!("src/{}/{}", n / 100, n % 100);
        let body =
            json!({ "id": format!("w{n}"), "paths": [path], "mode": "write", "wait_ms": 90_000 });
        let bytes = serde_json::to_vec(&body).unwrap();
        let mint = || unreachable!("it has an id");
        let command = Command::parse(person, "lock.acquire", &bytes, Encoding::Json, mint);
        let command = command.unwrap();
        let events = crate::decide(&world.state, &command, world.at).unwrap();
        let record = Record::new(world.state.seq + 1, world.at, Some(&command), events);
        crate::fold::fold(&mut world.state, &record);
    }
    assert_eq!(world.state.waiters.len(), 1_000);
    let silent =
        Internal::SessionSilent { actor: codex, session: session("codex"), silent_ms: 30_000 };
    let (id, by) = (CommandId::new("i").unwrap(), ActorId::coordinator());
    let command = Command { id, actor: by, session: None, verb: Verb::Internal(silent) };
    let lost = crate::decide(&world.state, &command, world.at).unwrap();
    folded(&mut world, lost);
    assert!(world.state.leases.is_empty());
    let mut records = 0;
    loop {
        let events = crate::follow(&world.state, world.at);
        if events.is_empty() {
            break;
        }
        records += 1;
        folded(&mut world, events);
        assert!(records <= 40, "it comes to an end");
    }
    assert_eq!((world.state.leases.len(), world.state.waiters.len()), (1_000, 0));
    crate::invariant::check(&world.state).unwrap();
}
