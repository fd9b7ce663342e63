//! The mesh itself, and what goes on record of its refusals.

use devmesh_protocol::command::Encoding;
use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::limits::REFUSALS_PER_MINUTE_MAX;
use devmesh_protocol::{At, Code, Command, CommandId, Event, Rejection};
use serde_json::{Value, json};

use crate::decide::{SETTINGS, refusal, suppressed};
use crate::invariant::world::{World, actor};

fn sent(world: &mut World, who: &str, verb: &str, body: Value) -> String {
    match world.send(who, verb, body) {
        Ok(words) if words.is_empty() => "nothing".to_owned(),
        Ok(words) => words.join(", "),
        Err(refused) => refused.code.as_str().to_owned(),
    }
}

#[track_caller]
fn check(given: &[(&str, &str, Value)], when: (&str, &str, Value), expect: &str) {
    let mut world = World::new();
    for (who, verb, body) in given {
        let came = sent(&mut world, who, verb, body.clone());
        assert!(came.starts_with(char::is_lowercase), "{verb}: {came}");
    }
    let (who, verb, body) = when;
    assert_eq!(sent(&mut world, who, verb, body.clone()), expect, "{who} {verb} {body}");
    world.check_replay();
}

#[test]
fn repositories() {
    let add = |body| ("alice", "repo.add", body);
    check(&[], add(json!({ "name": "a", "path": "/a" })), "repo_added a");
    check(&[], ("codex", "repo.add", json!({ "name": "a", "path": "/a" })), "NOT_PERMITTED");
    check(&[], add(json!({ "name": "a" })), "BAD_REQUEST");
    let first = add(json!({ "name": "a", "path": "/a", "verify": ["make"] }));
    let given = std::slice::from_ref(&first);
    check(given, first.clone(), "nothing");
    check(given, add(json!({ "name": "a", "path": "/b" })), "repo_added a");
    let mut world = World::new();
    sent(&mut world, "alice", "repo.add", first.2);
    sent(&mut world, "alice", "repo.add", json!({ "name": "a", "url": "u", "base": "next" }));
    let repos = crate::look::repo_view(&world.state, &devmesh_protocol::RepoId::new("a").unwrap());
    let repo = repos.unwrap();
    assert_eq!((repo.base.as_str(), repo.target.as_str()), ("next", "devmesh/landed/next"));
    assert_eq!((repo.path.as_deref(), repo.url.as_deref()), (Some("/a"), Some("u")));
    assert_eq!(repo.verify, ["make"]);
}

/// Under one name work would land in two places.
#[test]
fn a_repository_lies_on_one_host() {
    let add = |body| ("alice", "repo.add", body);
    let far = |path: &str| json!({ "name": "a", "path": path, "host": "far" });
    check(&[], add(json!({ "name": "a", "url": "u", "host": "far" })), "BAD_REQUEST");
    let first = add(far("/a"));
    let given = std::slice::from_ref(&first);
    check(given, first.clone(), "nothing");
    check(given, add(far("/b")), "repo_added a");
    check(given, add(json!({ "name": "a", "url": "u" })), "repo_added a");
    for there in
        [json!({ "name": "a", "path": "/a" }), json!({ "name": "a", "path": "/a", "host": "x" })]
    {
        check(given, add(there), "BAD_REQUEST");
    }
    check(&[add(json!({ "name": "a", "path": "/a" }))], first.clone(), "BAD_REQUEST");
    check(&[add(json!({ "name": "a", "url": "u" }))], first, "repo_added a");
}

/// Leases are known by keys that depend on it, so it is settled with the first adding.
#[test]
fn whether_case_counts_is_settled_once() {
    let mut world = World::new();
    world.step("alice write a");
    let body = json!({ "name": "r", "path": "/r", "ignore_case": true });
    sent(&mut world, "alice", "repo.add", body);
    assert_eq!(world.step("bob write A"), "bob has write A");
    assert_eq!(world.step("alice release a"), "a free");
}

#[test]
fn the_framework() {
    let publish =
        |who: &'static str, text: &str| (who, "framework.publish", json!({ "text": text }));
    let read = |version: u64| ("claude", "framework.read", json!({ "version": version }));
    check(&[], publish("codex", "plan"), "framework_published 1");
    check(&[], publish("alice", "plan"), "framework_published 1");
    check(&[], publish("claude", "plan"), "NOT_PERMITTED");
    check(&[publish("codex", "plan")], publish("codex", "plan"), "nothing");
    check(&[publish("codex", "plan")], publish("codex", "other"), "framework_published 2");
    check(&[], read(1), "BAD_REQUEST");
    check(&[publish("codex", "plan")], read(1), "framework_read claude");
    check(&[publish("codex", "plan")], read(2), "FRAMEWORK_UNREAD");
    check(&[publish("codex", "plan"), read(1)], read(1), "nothing");
    check(&[publish("codex", "plan"), publish("codex", "b")], read(1), "FRAMEWORK_UNREAD");
    let person = ("alice", "framework.read", json!({ "version": 1 }));
    check(&[publish("codex", "plan")], person, "NOT_PERMITTED");
}

#[test]
fn notes() {
    let note = |who: &'static str| (who, "note.share", json!({ "key": "build", "value": "make" }));
    check(&[], note("codex"), "note_shared codex");
    check(&[], note("alice"), "note_shared alice");
    check(&[], note("nobody"), "AGENT_NOT_REGISTERED");
    let mut world = World::new();
    sent(&mut world, "codex", "note.share", note("codex").2);
    sent(
        &mut world,
        "alice",
        "note.share",
        json!({ "key": "build", "value": "b", "confidence": 7 }),
    );
    let note = world.state.notes.get(&"build".to_owned()).unwrap();
    assert_eq!((world.state.notes.len(), note.confidence, note.by.as_str()), (1, 7, "alice"));
}

#[test]
fn an_agent_does_not_replace_what_a_person_has_noted() {
    let note = |who: &'static str| (who, "note.share", json!({ "key": "build", "value": "make" }));
    check(&[note("alice")], note("codex"), "NOT_OWNER");
    check(&[note("alice")], note("bob"), "note_shared bob");
    check(&[note("codex")], note("claude"), "note_shared claude");
    check(&[note("codex")], note("alice"), "note_shared alice");
    let learned = json!({ "key": "k", "value": "v", "task": "t-9" });
    check(&[], ("codex", "note.share", learned), "TASK_NOT_FOUND");
}

#[test]
fn settings() {
    let set =
        |key: &str, value: Value| ("alice", "setting.set", json!({ "key": key, "value": value }));
    for (key, good, bad) in [
        ("share_after_ms", json!(0), json!(600_001)),
        ("share_after_ms", json!(600_000), json!(-1)),
        ("budget.usd_per_day", json!(50), json!(0.5)),
        ("task.max_wall_s", json!(1), json!(0)),
        ("land.push", json!(true), json!("yes")),
        ("hook.mode", json!("warn"), json!("loud")),
        ("review.default", json!("agent"), json!(true)),
        ("hot", json!(["Cargo.lock"]), json!("Cargo.lock")),
        ("hot", json!([]), json!([""])),
        ("hot", json!(["a"]), json!(vec!["x"; 65])),
    ] {
        check(&[], set(key, good.clone()), "setting_changed mesh");
        check(&[set(key, good.clone())], set(key, good.clone()), "nothing");
        check(&[set(key, good.clone())], set(key, Value::Null), "setting_changed mesh");
        check(&[], set(key, bad), "INVALID_CONFIG");
        check(&[], set(key, Value::Null), "nothing");
        check(&[], ("codex", "setting.set", json!({ "key": key, "value": good })), "NOT_PERMITTED");
    }
    check(&[], set("colour", json!("red")), "INVALID_CONFIG");
    let mut keys: Vec<&str> = SETTINGS.iter().map(|(key, _, _)| *key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), SETTINGS.len(), "each key once");
}

#[test]
fn pause_and_resume() {
    let pause = |now: bool| ("alice", "mesh.pause", json!({ "now": now }));
    let resume = || ("alice", "mesh.resume", json!({}));
    check(&[], pause(false), "mesh_paused mesh");
    check(&[pause(false)], pause(false), "nothing");
    check(&[pause(false)], pause(true), "mesh_paused mesh");
    check(&[pause(true)], pause(false), "nothing");
    check(&[], resume(), "nothing");
    check(&[pause(true)], resume(), "mesh_resumed mesh");
    check(&[], ("codex", "mesh.pause", json!({})), "NOT_PERMITTED");
    check(&[], ("codex", "mesh.resume", json!({})), "NOT_PERMITTED");
}

#[test]
fn what_is_redacted_is_so_once() {
    let redact = || ("alice", "redact", json!({ "digest": "ab".repeat(32) }));
    check(&[], redact(), "redacted mesh");
    check(&[redact()], redact(), "nothing");
    check(&[], ("codex", "redact", redact().2), "NOT_PERMITTED");
}

#[test]
fn a_term_begins() {
    let mut world = World::new();
    let hash = world.state.hash();
    let node = "n1".to_owned();
    world.internal(Internal::EpochStart { epoch: 7, node, nonce: 3, hash });
    let mesh = world.state.mesh();
    assert_eq!((mesh.epoch, mesh.node.as_str(), mesh.epoch_seq), (7, "n1", world.state.seq));
    let before = world.state.mesh().clone();
    world.internal(Internal::Checkpoint { hash });
    assert_eq!(*world.state.mesh(), before, "a checkpoint changes nothing");
    world.check_replay();
}

fn command(who: &str, n: u64) -> Command {
    let mint = || CommandId::new(&format!("r-{n}")).unwrap();
    let body = br#"{"task":"t-1","text":"x"}"#;
    Command::parse(actor(who), "task.say", body, Encoding::Json, mint).unwrap()
}

fn refused(world: &mut World, who: &str, n: u64, code: Code) -> Vec<Event> {
    let rejection = Rejection::new(code, "no");
    let events = refusal(&world.state, &command(who, n), &rejection, world.at);
    if !events.is_empty() {
        world.record(Some(&command(who, n)), events.clone());
    }
    events
}

#[test]
fn thirty_refusals_a_minute_are_told_one_by_one() {
    let mut world = World::new();
    let most = u64::from(REFUSALS_PER_MINUTE_MAX);
    for n in 0..most {
        let events = refused(&mut world, "codex", n, Code::LockConflict);
        let Event::CommandRejected(e) = &events[0] else { panic!("{events:?}") };
        assert_eq!((e.verb.as_str(), e.task.map(|t| t.0)), ("task.say", Some(1)));
    }
    // From here on, once for each code that more came.
    for (n, code) in [(100, Code::LockConflict), (101, Code::StaleToken)] {
        let events = refused(&mut world, "codex", n, code);
        assert!(matches!(&events[..], [Event::RefusalsSuppressed(e)] if e.code == code), "{code}");
        assert!(refused(&mut world, "codex", n + 10, code).is_empty());
    }
    assert_eq!(refused(&mut world, "claude", 200, Code::LockConflict).len(), 1, "each has its own");
    world.at = world.at + 59_999;
    assert!(refused(&mut world, "codex", 300, Code::LockConflict).is_empty());
    world.at = At(world.at.0 + 1);
    let events = refused(&mut world, "codex", 301, Code::LockConflict);
    assert!(matches!(events[..], [Event::CommandRejected(_)]), "a new minute");
    for n in 1..most {
        assert_eq!(refused(&mut world, "codex", 400 + n, Code::LockConflict).len(), 1, "{n}");
    }
    let events = refused(&mut world, "codex", 500, Code::LockConflict);
    assert!(matches!(events[..], [Event::RefusalsSuppressed(_)]), "with as many in it");
    world.check_replay();
}

#[test]
fn only_what_explains_something_is_recorded() {
    let mut world = World::new();
    for code in Code::ALL {
        let events = refused(&mut world, "codex", 1, *code);
        assert_eq!(events.is_empty(), !code.is_recorded(), "{code}");
    }
    let counts = [(Code::LockConflict, 9), (Code::BadRequest, 4), (Code::StaleToken, 0)].into();
    let events = suppressed(&actor("codex"), &counts);
    assert!(matches!(&events[..], [Event::RefusalsSuppressed(e)] if e.n == 9));
    world.happened(events);
    let row = world.state.refusals.get(&actor("codex")).unwrap();
    assert_eq!(row.suppressed[&Code::LockConflict], 9);
}

/// A note more than there may be is refused; one that takes another's place is not one more.
#[test]
fn so_many_notes_and_not_one_more() {
    let mut world = World::new();
    sent(&mut world, "alice", "note.share", json!({ "key": "first", "value": "v" }));
    let note = world.state.notes.get(&"first".to_owned()).unwrap().clone();
    for n in 1..super::NOTES_MAX {
        world.state.notes.insert(format!("n{n}"), note.clone());
    }
    let mut share = |key: &str| {
        let body = serde_json::to_vec(&json!({ "key": key, "value": "w" })).unwrap();
        let mint = || CommandId::new("c").unwrap();
        let command = Command::parse(actor("alice"), "note.share", &body, Encoding::Json, mint);
        let decided = crate::decide(&world.state, &command.unwrap(), world.at);
        world.state.notes.remove(&"n1".to_owned());
        decided.map(|events| events.len()).map_err(|refused| refused.code.as_str())
    };
    assert_eq!(share("one-more"), Err("LIMIT_EXCEEDED"));
    assert_eq!(share("one-more"), Ok(1), "where one has gone there is room");
    let mut full = World::new();
    for n in 0..super::NOTES_MAX {
        full.state.notes.insert(format!("n{n}"), note.clone());
    }
    let same = json!({ "key": "n1", "value": "w" });
    let body = serde_json::to_vec(&same).unwrap();
    let mint = || CommandId::new("c").unwrap();
    let command = Command::parse(actor("alice"), "note.share", &body, Encoding::Json, mint);
    assert!(crate::decide(&full.state, &command.unwrap(), full.at).is_ok());
}
