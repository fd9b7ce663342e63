//! Soft state: heartbeats, bids, reports, texts, queries.

use devmesh_bus::log::memory::Fault;
use devmesh_protocol::Event;
use devmesh_protocol::report::{Gpu, HostReport};
use devmesh_protocol::{At, Digest, HostId};
use serde_json::json;

use super::{has, join};
use crate::fixture::World;

/// A mesh in which codex-1 holds a file, for so long where nobody hears of it.
fn holding(ttl_ms: u64) -> World {
    let mut world = World::led();
    world.furnish();
    join(&mut world, "codex-1", "s1");
    let body = json!({ "session": "s1", "paths": ["a.rs"], "mode": "write", "ttl_ms": ttl_ms });
    world.ok("codex-1", "lock.acquire", body);
    world
}

#[test]
fn a_beat_is_answered_with_what_its_session_holds() {
    let mut world = World::led();
    world.furnish();
    join(&mut world, "codex-1", "s1");
    let lease = world.ok(
        "codex-1",
        "lock.acquire",
        json!({ "session": "s1", "paths": ["a.rs"], "mode": "write" }),
    );
    world.beat(0, "b", "codex-1", "s1", 0);
    world.pass(5);
    let answer = world.answered("b").unwrap();
    assert_eq!(answer["live"], true);
    assert_eq!(answer["leases"], json!([lease["result"]["leases"][0]["lease"]]));
    assert_eq!(answer.get("work"), None);
    world.beat(0, "c", "codex-1", "s2", 0);
    world.pass(5);
    assert_eq!(world.answered("c").unwrap()["live"], false);
}

#[test]
fn a_beat_is_answered_only_by_a_leader_that_has_proved_it_within_a_second() {
    let mut world = World::led();
    world.furnish();
    join(&mut world, "codex-1", "s1");
    world.pass(3_000);
    world.nodes[0].runs = false;
    let second = world.add_node(None);
    world.until(5_000, |world| world.nodes[second].view.is_leading());
    world.beats = false;
    world.nodes[0].runs = true;
    world.beat(0, "b", "codex-1", "s1", 0);
    world.pass(20);
    assert!(world.answered("b").is_none());
    world.beat(second, "c", "codex-1", "s1", 0);
    world.pass(20);
    assert_eq!(world.answered("c").unwrap()["epoch"], 2);
}

#[test]
fn a_beat_is_not_answered_by_a_leader_that_has_slept_since_it_proved_it() {
    let mut world = World::led();
    world.furnish();
    join(&mut world, "codex-1", "s1");
    world.pass(3_000);
    world.beat(0, "b", "codex-1", "s1", 0);
    world.work();
    assert_eq!(world.answered("b").unwrap()["live"], true);
    // The lid was closed, and the beat comes before the first tick: only the wall clock tells.
    world.skew += 60_000;
    world.beat(0, "c", "codex-1", "s1", 0);
    world.work();
    assert!(world.answered("c").is_none());
    assert!(!world.nodes[0].view.is_leading());
}

#[test]
fn a_proof_that_waited_for_the_lid_to_open_is_none() {
    let mut world = World::led();
    world.furnish();
    join(&mut world, "codex-1", "s1");
    world.pass(3_000);
    world.mono += 1_500;
    world.beat(0, "b", "codex-1", "s1", 0);
    world.turn(0);
    assert!(world.answered("b").is_none(), "its proof is under way");
    world.skew += 60_000;
    world.work();
    assert!(world.answered("b").is_none());
    assert!(!world.nodes[0].view.is_leading());
}

#[test]
fn a_silent_session_loses_its_leases_then_itself_and_never_early() {
    let mut world = holding(15_000);
    for n in 0..5 {
        world.pass(4_000);
        world.beat(0, &format!("b{n}"), "codex-1", "s1", 0);
        world.work();
    }
    world.pass(19_900);
    assert_eq!((has(&world, "leases_lapsed"), has(&world, "session_lost")), (0, 0));
    world.pass(500);
    assert_eq!((has(&world, "leases_lapsed"), has(&world, "session_lost")), (1, 0));
    world.pass(9_400);
    assert_eq!(has(&world, "session_lost"), 0);
    world.pass(500);
    assert_eq!((has(&world, "leases_lapsed"), has(&world, "session_lost")), (1, 1));
    let silent = world.records().into_iter().flat_map(|r| r.events).find_map(|e| match e {
        Event::LeasesLapsed(e) => Some(e.silent_ms),
        _ => None,
    });
    assert!((20_000..=20_400).contains(&silent.unwrap()), "{silent:?}");
    world.check();
}

#[test]
fn the_shortest_lease_of_a_silent_session_lapses_in_time() {
    let mut world = holding(500);
    let heard_at = world.mono;
    world.beat(0, "b", "codex-1", "s1", 0);
    world.work();
    world.until(20_000, |world| has(world, "leases_lapsed") == 1);
    let silent_ms = world.mono - heard_at;
    assert!((5_500..=5_900).contains(&silent_ms), "{silent_ms}");
    world.check();
}

#[test]
fn a_standby_that_heard_beats_frees_nothing_early_after_a_takeover() {
    let mut world = World::led();
    world.furnish();
    let second = world.add_node(None);
    join(&mut world, "codex-1", "s1");
    world.ok(
        "codex-1",
        "lock.acquire",
        json!({ "session": "s1", "paths": ["a.rs"], "mode": "write", "ttl_ms": 1_000 }),
    );
    world.pass(3_000);
    world.beat(second, "b", "codex-1", "s1", 0);
    world.nodes[0].runs = false;
    world.until(5_000, |world| world.nodes[second].view.is_leading());
    let led_at = world.mono;
    world.until(20_000, |world| has(world, "leases_lapsed") == 1);
    assert!(world.mono >= led_at + 6_000 - 1_500, "{}", world.mono - led_at);
    world.check();
}

#[test]
fn a_beat_is_not_answered_on_a_proof_that_was_long_on_its_way() {
    let mut world = World::led();
    world.furnish();
    let second = world.add_node(None);
    join(&mut world, "codex-1", "s1");
    world.pass(100);
    world.script([Fault::Delay]);
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v" }));
    world.pass(100);
    // Stored before the next term, and acknowledged long after its beginning.
    world.nodes[0].runs = false;
    world.open.release();
    world.until(5_000, |world| world.nodes[second].view.is_leading());
    world.pass(2_000);
    world.beats = false;
    world.nodes[0].runs = true;
    world.beat(0, "b", "codex-1", "s1", 0);
    world.pass(20);
    assert!(world.answered("b").is_none());
    assert!(!world.nodes[0].view.is_leading());
    world.check();
}

#[test]
fn silence_counts_anew_after_a_connection_was_given_up() {
    let mut world = holding(1_000);
    world.pass(4_000);
    world.script([Fault::LoseRequest]);
    world.send(0, "a", "alice", "note.share", json!({ "key": "k", "value": "v" }));
    world
        .until(20_000, |world| world.nodes[0].view.is_leading() && has(world, "epoch_started") > 1);
    let led_at = world.mono;
    world.until(20_000, |world| has(world, "leases_lapsed") == 1);
    assert!(world.mono >= led_at + 6_000 - 1_500, "{}", world.mono - led_at);
    world.check();
}

/// A message comes to one subscriber and is lost on its way to another.
#[test]
fn a_standby_learns_from_the_leader_whom_it_has_not_heard_itself() {
    let mut world = holding(15_000);
    let second = world.add_node(None);
    for n in 0..6 {
        world.pass(4_000);
        world.beat(0, &format!("b{n}"), "codex-1", "s1", 0);
        world.pass(200);
    }
    let answered_at = world.mono - 200;
    world.nodes[0].runs = false;
    world.until(5_000, |world| world.nodes[second].view.is_leading());
    lapses_after(&mut world, answered_at + 20_000);
}

fn lapses_after(world: &mut World, least: u64) {
    world.until(40_000, |world| has(world, "leases_lapsed") == 1);
    assert!(world.mono >= least, "{} ms early", least - world.mono);
    world.check();
}

#[test]
fn a_standby_that_stood_still_counts_silence_from_when_it_goes_on() {
    let mut world = holding(15_000);
    let second = world.add_node(None);
    world.pass(2_000);
    // What is sent to it meanwhile is dropped.
    world.nodes[second].runs = false;
    for n in 0..4 {
        world.beat(0, &format!("b{n}"), "codex-1", "s1", 0);
        world.pass(4_000);
    }
    assert_eq!(has(&world, "leases_lapsed"), 0);
    world.nodes[0].runs = false;
    world.nodes[second].runs = true;
    let went_on_at = world.mono;
    lapses_after(&mut world, went_on_at + 20_000);
}

/// The log's connection may work while the other one is dead: that nobody is heard says nothing.
#[test]
fn a_leader_that_hears_nothing_ends_nobody() {
    let mut world = holding(15_000);
    world.nodes[0].ears_are_dead = true;
    world.pass(60_000);
    assert!(world.nodes[0].view.is_leading());
    assert_eq!((has(&world, "leases_lapsed"), has(&world, "session_lost")), (0, 0));
    world.nodes[0].ears_are_dead = false;
    let hears_at = world.mono;
    lapses_after(&mut world, hears_at + 20_000);
}

#[test]
fn two_who_have_seen_more_than_there_is_halt_the_leader() {
    let mut world = World::led();
    world.furnish();
    join(&mut world, "codex-1", "s1");
    let seq = world.reader().chain().seq;
    world.beat(0, "b", "codex-1", "s1", seq);
    world.pass(2_000);
    assert!(world.nodes[0].halted.is_none());
    for beat in ["c", "d", "e"] {
        world.beat(0, beat, "codex-1", "s1", 1_000_000_000_000);
        world.pass(2_000);
        assert!(world.nodes[0].halted.is_none(), "one alone cannot end the mesh");
    }
    join(&mut world, "claude-1", "s2");
    let seq = world.reader().chain().seq;
    world.beat(0, "f", "claude-1", "s2", seq + 1);
    world.pass(50);
    let halted = world.nodes[0].halted.as_ref().expect("it halts").to_string();
    assert!(halted.contains("rolled back") && halted.contains("claude-1"), "{halted}");
}

#[test]
fn somebody_who_has_seen_what_the_next_leader_wrote_does_not_halt_the_one_before() {
    let mut world = World::led();
    world.furnish();
    join(&mut world, "codex-1", "s1");
    world.nodes[0].runs = false;
    let second = world.add_node(None);
    world.until(5_000, |world| world.nodes[second].view.is_leading());
    world.ok("alice", "note.share", json!({ "key": "k", "value": "v" }));
    let seen = world.reader().chain().seq;
    world.beats = false;
    world.nodes[0].runs = true;
    world.beat(0, "b", "codex-1", "s1", seen);
    world.pass(100);
    assert!(world.nodes[0].halted.is_none());
    assert!(!world.nodes[0].view.is_leading());
}

pub(super) fn report() -> HostReport {
    HostReport {
        host: HostId::new("h1").unwrap(),
        at: At(1),
        ram_total_mb: 64_000,
        ram_free_mb: 64_000,
        ram_limit_mb: None,
        swap_total_mb: 0,
        swap_used_mb: 0,
        cpus: 8,
        cpu_milli: 1,
        load1_milli: 1,
        pressure: None,
        disk_free_mb: 100_000,
        gpus: vec![],
        slots: 4,
        ignore_strain: false,
    }
}

#[test]
fn a_changed_capacity_is_a_record_and_a_sample_is_not() {
    let mut world = World::led();
    world.furnish();
    let gpu = Gpu {
        device: 1,
        name: "x".into(),
        vram_total_mb: 80_000,
        vram_used_mb: 5,
        vram_limit_mb: Some(40_000),
        use_percent: None,
        celsius: None,
    };
    let mut report = report();
    report.ram_limit_mb = Some(32_000);
    report.gpus = vec![gpu];
    world.report(0, &report);
    world.pass(20);
    report.ram_free_mb = 59_123;
    world.report(0, &report);
    world.pass(20);
    assert_eq!(has(&world, "host_measured"), 1);
    let measured = world.records().into_iter().flat_map(|r| r.events).find_map(|e| match e {
        Event::HostMeasured(e) => Some(e.capacity),
        _ => None,
    });
    let measured = measured.unwrap();
    assert_eq!((measured.ram_mb, measured.vram_mb, measured.slots), (32_000, vec![0, 40_000], 4));
    report.slots = 5;
    world.report(0, &report);
    world.pass(20);
    assert_eq!(has(&world, "host_measured"), 2);
    world.ask(0, "q", "hosts", json!({}));
    world.pass(20);
    let hosts = world.answered("q").unwrap();
    assert!(hosts.to_string().contains("\"ram_free_mb\":59123"), "{hosts}");
}

#[test]
fn a_text_is_stored_before_the_record_that_names_it() {
    let mut world = World::led();
    world.furnish();
    let body = json!({ "title": "t", "prompt": "do this", "repo": "web" });
    let answer = world.ok("alice", "task.add", body);
    let digest = Digest::of(b"do this");
    assert_eq!(world.texts[&digest], "do this");
    let task = answer["result"]["task"].clone();
    world.ask(0, "q", "task", json!({ "task": task }));
    world.pass(20);
    assert_eq!(world.answered("q").unwrap()["result"]["prompt"], "do this");
    // A coordinator that has never seen it reads it.
    world.nodes[0].runs = false;
    let second = world.add_node(None);
    world.until(5_000, |world| world.nodes[second].view.is_leading());
    world.ask(second, "r", "task", json!({ "task": task }));
    world.ask(second, "s", "text", json!({ "digest": digest }));
    world.pass(20);
    assert_eq!(world.answered("r").unwrap()["result"]["prompt"], "do this");
    assert_eq!(world.answered("s").unwrap()["result"]["text"], "do this");
    world.check();
}

#[test]
fn a_text_that_cannot_be_stored_disturbs_nobody_else() {
    let mut world = World::led();
    world.furnish();
    world.texts_fail = true;
    world.send(0, "a", "alice", "task.add", json!({ "title": "t", "prompt": "x", "repo": "web" }));
    world.pass(100);
    assert!(world.answered("a").is_none());
    world.ok("bob", "lock.acquire", json!({ "paths": ["a.rs"], "mode": "read" }));
    assert_eq!(has(&world, "task_added"), 0);
    world.texts_fail = false;
    world.ok("alice", "task.add", json!({ "title": "t", "prompt": "x", "repo": "web" }));
    world.check();
}

#[test]
fn redacted_bytes_are_deleted_and_not_shown_and_the_log_still_verifies() {
    let mut world = World::led();
    world.furnish();
    world.ok("alice", "note.share", json!({ "key": "k", "value": "secret" }));
    let digest = Digest::of(b"secret");
    world.ok("alice", "redact", json!({ "digest": digest }));
    assert_eq!(world.deleted, [digest]);
    // As where the store has kept it.
    world.texts.insert(digest, "secret".into());
    world.ask(0, "q", "notes", json!({}));
    world.ask(0, "t", "text", json!({ "digest": digest }));
    world.pass(20);
    assert!(!world.answered("q").unwrap().to_string().contains("secret"));
    assert!(!world.answered("t").unwrap().to_string().contains("secret"));
    world.check();
}

#[test]
fn a_note_is_found_by_a_word_of_its_text_as_long_as_that_is_there() {
    let mut world = World::led();
    world.furnish();
    for (key, value) in [("build", "Make first"), ("flaky", "run it twice"), ("make", "see above")]
    {
        world.ok("alice", "note.share", json!({ "key": key, "value": value }));
    }
    let found = |world: &mut World, call: &str, query: serde_json::Value| -> String {
        world.ask(0, call, "notes", query);
        world.pass(20);
        let answer = world.answered(call).unwrap().clone();
        let notes = answer["result"]["notes"].as_array().unwrap();
        let keys: Vec<&str> = notes.iter().map(|note| note["key"].as_str().unwrap()).collect();
        format!("{} {}", keys.join(","), answer["result"]["next"].as_str().unwrap_or("-"))
    };
    assert_eq!(found(&mut world, "a", json!({ "word": "MAKE" })), "build,make -");
    assert_eq!(found(&mut world, "b", json!({ "word": "alice" })), "build,flaky,make -");
    // A part of the notes is looked through at a time, and says where to go on.
    assert_eq!(found(&mut world, "c", json!({ "word": "twice", "limit": 1 })), " build");
    let next = json!({ "word": "twice", "limit": 1, "after": "build" });
    assert_eq!(found(&mut world, "d", next), "flaky flaky");
    world.ok("alice", "redact", json!({ "digest": Digest::of(b"Make first") }));
    assert_eq!(found(&mut world, "e", json!({ "word": "make" })), "make -");
    // Each of several words, wherever it stands.
    assert_eq!(found(&mut world, "f", json!({ "word": "it Flaky" })), "flaky -");
    assert_eq!(found(&mut world, "g", json!({ "word": "it make" })), " -");
    world.check();
}

/// "No such note" is said only of notes that could be read.
#[test]
fn a_note_whose_text_cannot_be_read_is_named_and_not_passed_over() {
    let mut world = World::led();
    world.furnish();
    for (key, value) in [("build", "make first"), ("flaky", "run it twice")] {
        world.ok("alice", "note.share", json!({ "key": key, "value": value }));
    }
    // A coordinator that has never seen them has to read them.
    world.nodes[0].runs = false;
    let second = world.add_node(None);
    world.until(5_000, |world| world.nodes[second].view.is_leading());
    world.texts_fail = true;
    world.ask(second, "q", "notes", json!({ "word": "twice" }));
    world.pass(20);
    let result = world.answered("q").unwrap()["result"].clone();
    assert_eq!(result["unread"], json!(["build", "flaky"]), "{result}");
    assert_eq!(result["notes"].as_array().unwrap().len(), 2, "{result}");
    world.texts_fail = false;
    world.ask(second, "r", "notes", json!({ "word": "twice" }));
    world.pass(20);
    let result = world.answered("r").unwrap()["result"].clone();
    assert_eq!(result["unread"], json!(null), "{result}");
    assert_eq!(result["notes"][0]["key"], "flaky", "{result}");
}

#[test]
fn a_query_waits_for_the_record_it_asks_for_and_not_for_ever() {
    let mut world = World::led();
    world.furnish();
    let seq = world.reader().chain().seq;
    world.ask(0, "now", "state", json!({ "at_least": seq }));
    world.ask(0, "soon", "state", json!({ "at_least": seq + 1 }));
    world.ask(0, "never", "state", json!({ "at_least": seq + 100 }));
    world.pass(100);
    assert_eq!(world.answered("now").unwrap()["seq"], seq);
    assert!(world.answered("soon").is_none());
    world.ok("alice", "note.share", json!({ "key": "k", "value": "v" }));
    world.pass(5);
    assert_eq!(world.answered("soon").unwrap()["seq"], seq + 1);
    world.pass(2_000);
    let never = world.answered("never").unwrap();
    assert_eq!(never["error"]["code"], "SEQ_NOT_REACHED");
    assert_eq!(never["seq"], seq + 1);
}

#[test]
fn a_query_sees_nothing_that_is_not_acknowledged() {
    let mut world = World::led();
    world.furnish();
    world.script([Fault::Delay]);
    world.send(0, "a", "alice", "lock.acquire", json!({ "paths": ["a.rs"], "mode": "write" }));
    world.work();
    world.ask(0, "q", "locks", json!({}));
    world.pass(200);
    assert!(!world.answered("q").unwrap().to_string().contains("a.rs"));
    world.open.release();
    world.pass(10);
    world.ask(0, "r", "locks", json!({}));
    world.pass(10);
    assert!(world.answered("r").unwrap().to_string().contains("a.rs"));
}

#[test]
fn bids_are_answered_from_memory_and_the_best_wins() {
    let mut world = World::led();
    world.furnish();
    world.ok("admin", "actor.add", json!({ "actor": "codex-2", "role": "agent" }));
    let mut report = report();
    report.slots = 8;
    world.report(0, &report);
    join(&mut world, "codex-1", "s1");
    join(&mut world, "codex-2", "s2");
    let task = world.ok("alice", "task.add", json!({ "title": "t", "repo": "web" }));
    let task = task["result"]["task"].clone();
    world.until(1_000, |world| has(world, "auction_opened") == 1);
    let opened = world.mono;
    let bid =
        |session: &str, n: i64| json!({ "session": session, "task": task, "score": { "free": n } });
    let before = world.reader().chain().seq;
    let first = world.ok("codex-1", "task.bid", bid("s1", 10));
    assert_eq!((&first["seq"], &first["result"]["leading"]), (&json!(null), &json!(true)));
    assert_eq!(world.reader().chain().seq, before);
    world.ok("codex-2", "task.bid", bid("s2", 20));
    world.pass(5);
    assert!(world.mono < opened + 150, "closed early");
    let awarded = world.records().into_iter().flat_map(|r| r.events).find_map(|e| match e {
        Event::TaskAwarded(e) => Some(e.actor.to_string()),
        _ => None,
    });
    assert_eq!(awarded.as_deref(), Some("codex-2"));
    // Whoever missed the notice hears of it by the beat.
    world.beat(0, "b1", "codex-1", "s1", 0);
    world.beat(0, "b2", "codex-2", "s2", 0);
    world.pass(5);
    assert_eq!(world.answered("b1").unwrap().get("work"), None);
    assert_eq!(world.answered("b2").unwrap()["work"], task);
    world.check();
}

/// Two that take the lead from each other every fifteen seconds keep no dead agent's lease for
/// ever: whoever leads has listened while the other did.
#[test]
fn coordinators_that_swap_keep_no_dead_agents_lease() {
    let mut world = holding(15_000);
    world.add_node(None);
    world.pass(2_000);
    let died_at = world.mono;
    for _ in 0..8 {
        world.pass(13_500);
        if has(&world, "leases_lapsed") > 0 {
            break;
        }
        let leads = world.leader().unwrap();
        world.nodes[leads].runs = false;
        world.until(5_000, |world| world.nodes[1 - leads].view.is_leading());
        world.nodes[leads].runs = true;
    }
    assert!(has(&world, "epoch_started") > 1, "the lead has changed hands");
    assert_eq!(has(&world, "leases_lapsed"), 1);
    assert!(world.mono - died_at <= 60_000, "{}", world.mono - died_at);
    assert!(world.mono - died_at >= 20_000 - 2_000, "never early: {}", world.mono - died_at);
    world.check();
}

/// A strain suspends whoever is idle, and ends by itself; a probe that is gone is told once, with
/// the silence, and its next report counts again.
#[test]
fn what_strains_a_host_is_decided_and_so_is_its_silence() {
    let mut world = World::led();
    world.furnish();
    let mut report = report();
    world.report(0, &report);
    join(&mut world, "codex-1", "s1");
    report.disk_free_mb = 3;
    world.report(0, &report);
    world.pass(20);
    assert_eq!((has(&world, "agent_suspended"), has(&world, "agent_unsuspended")), (1, 0));
    report.disk_free_mb = 100_000;
    for _ in 0..3 {
        world.pass(4_000);
        world.report(0, &report);
        // It lives, or its session would end first.
        world.beat(0, "b", "codex-1", "s1", 0);
    }
    world.pass(20);
    assert_eq!((has(&world, "agent_unsuspended"), has(&world, "host_measured")), (1, 3));
    world.pass(29_000);
    assert_eq!(has(&world, "host_silent"), 0);
    world.pass(40_000);
    let silent: Vec<u64> = world
        .records()
        .into_iter()
        .flat_map(|record| record.events)
        .filter_map(|event| match event {
            Event::HostSilent(e) => Some(e.silent_ms),
            _ => None,
        })
        .collect();
    assert!(matches!(silent[..], [30_000..=31_000]), "{silent:?}");
    world.ask(0, "gone", "hosts", json!({}));
    world.pass(20);
    let hosts = world.answered("gone").unwrap().to_string();
    assert!(hosts.contains("\"silent_ms\":30") && !hosts.contains("\"report\""), "{hosts}");
    world.report(0, &report);
    world.pass(20);
    assert_eq!(has(&world, "host_measured"), 4);
    world.ask(0, "back", "hosts", json!({}));
    world.pass(20);
    assert!(!world.answered("back").unwrap().to_string().contains("silent_ms"));
    world.check();
}

/// Whoever takes over has not listened before: a host's silence begins with its term.
#[test]
fn a_new_leader_waits_for_a_report_before_it_calls_a_host_silent() {
    let mut world = World::led();
    world.furnish();
    world.report(0, &report());
    world.pass(25_000);
    world.lose_link(0);
    world.until(5_000, |world| has(world, "epoch_started") == 2);
    world.pass(25_000);
    assert_eq!(has(&world, "host_silent"), 0);
    world.pass(10_000);
    assert_eq!(has(&world, "host_silent"), 1);
    world.check();
}
