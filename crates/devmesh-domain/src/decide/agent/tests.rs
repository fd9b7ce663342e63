//! Who may do what, and how sessions begin and end.

use devmesh_protocol::command::internal::Internal;
use devmesh_protocol::event::agent::Capacity;
use devmesh_protocol::{Code, HostId, Rejection};
use serde_json::{Value, json};

use super::fits;
use crate::invariant::world::{AGENTS, World, actor, session, story};
use devmesh_protocol::command::agent::Needs;
use devmesh_protocol::event::agent::Resource;

fn outcome(done: Result<Vec<String>, Rejection>) -> String {
    match done {
        Ok(words) if words.is_empty() => "nothing".to_owned(),
        Ok(words) => words.join(", "),
        Err(refused) => refused.code.as_str().to_owned(),
    }
}

fn join(session: &str) -> Value {
    json!({ "tool": "custom", "host": "host", "session": session })
}

/// An empty mesh, and what comes of the steps.
fn mesh(steps: &[(&str, &str, Value, &str)]) -> World {
    let mut world = World::bare();
    for (name, verb, body, expect) in steps {
        let done = outcome(world.send(name, verb, body.clone()));
        assert_eq!(done, *expect, "{name} {verb} {body}");
    }
    world.check_replay();
    world
}

const LEAVE: &str = "agent.leave";
const JOIN: &str = "agent.join";

#[test]
fn the_first_is_the_architect_and_then_the_next() {
    let world = mesh(&[
        ("codex", JOIN, join("s1"), "agent_joined codex, architect_named mesh"),
        ("claude", JOIN, join("s2"), "agent_joined claude"),
        ("gemini", JOIN, join("s3"), "agent_joined gemini"),
        ("codex", LEAVE, json!({ "session": "s1" }), "agent_left codex, architect_named mesh"),
        ("codex", JOIN, join("s4"), "agent_joined codex"),
    ]);
    assert_eq!(world.state.mesh().architect, Some(actor("claude")));
    let mut world = world;
    for (name, id) in [("claude", "s2"), ("gemini", "s3"), ("codex", "s4")] {
        world.send(name, LEAVE, json!({ "session": id })).unwrap();
    }
    assert_eq!(world.state.mesh().architect, None, "nobody is left");
    world.send("gemini", JOIN, join("s9")).unwrap();
    assert_eq!(world.state.mesh().architect, Some(actor("gemini")));
}

#[test]
fn a_session_is_one_process_once() {
    mesh(&[
        ("codex", JOIN, json!({ "tool": "custom", "host": "host" }), "BAD_REQUEST"),
        ("codex", JOIN, join("s1"), "agent_joined codex, architect_named mesh"),
        ("codex", JOIN, join("s1"), "agent_resumed codex"),
        ("codex", JOIN, join("s2"), "NOT_PERMITTED"),
        ("codex", LEAVE, json!({ "session": "s2" }), "AGENT_NOT_REGISTERED"),
        ("codex", LEAVE, json!({ "session": "s1" }), "agent_left codex, architect_named mesh"),
        ("codex", LEAVE, json!({ "session": "s1" }), "nothing"),
        ("codex", JOIN, join("s1"), "AGENT_NOT_REGISTERED"),
        ("codex", JOIN, join("s2"), "agent_joined codex, architect_named mesh"),
        ("codex", LEAVE, json!({ "session": "s1" }), "nothing"),
        ("codex", "lock.renew", json!({ "session": "s1" }), "AGENT_NOT_REGISTERED"),
        ("codex", "lock.renew", json!({ "session": "s2" }), "nothing"),
        // Sessions are an actor's own.
        ("claude", JOIN, join("s2"), "agent_joined claude"),
    ]);
}

#[test]
fn only_agents_join() {
    let mut world = World::new();
    assert_eq!(outcome(world.send("alice", JOIN, join("s"))), "NOT_PERMITTED");
    assert_eq!(outcome(world.send("alice", LEAVE, json!({}))), "NOT_PERMITTED");
}

/// One sending of each verb, as anybody could send it.
fn one_of_each() -> Vec<(&'static str, Value)> {
    let token = json!({ "task": "t-1", "attempt": 1, "token": 1 });
    let with = |more: Value| {
        let mut body = token.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let receipt = json!({
        "tree": "0".repeat(40), "verdict": "passed", "steps": [], "host": "host"
    });
    vec![
        ("agent.drain", json!({ "agent": "gemini" })),
        ("actor.add", json!({ "actor": "x", "role": "agent" })),
        ("actor.end", json!({ "actor": "x" })),
        ("repo.add", json!({ "name": "r", "path": "/r" })),
        ("task.add", json!({ "title": "t", "repo": "r" })),
        ("task.bid", json!({ "task": "t-1", "score": {} })),
        ("task.start", token.clone()),
        ("task.progress", token.clone()),
        ("task.verified", with(json!({ "receipt": receipt }))),
        ("task.complete", token.clone()),
        ("task.fail", with(json!({ "class": "tool", "message": "m" }))),
        ("task.abandon", with(json!({ "reason": "r" }))),
        ("task.pause", json!({ "task": "t-1" })),
        ("task.resume", json!({ "task": "t-1" })),
        ("task.cancel", json!({ "task": "t-1" })),
        ("task.retry", json!({ "task": "t-1" })),
        ("task.edit", json!({ "task": "t-1", "title": "x" })),
        ("task.revert", json!({ "task": "t-1" })),
        ("task.say", json!({ "task": "t-1", "text": "x" })),
        ("task.ask", json!({ "task": "t-1", "question": "q" })),
        ("task.answer", json!({ "question": "q-1", "answer": "a" })),
        ("task.review", json!({ "task": "t-1", "verdict": "approve" })),
        ("land.begin", with(json!({ "tree": "0".repeat(40) }))),
        ("land.end", with(json!({ "outcome": "yielded" }))),
        ("lock.acquire", json!({ "paths": ["a"], "mode": "read" })),
        ("lock.release", json!({ "paths": ["a"] })),
        ("lock.renew", json!({})),
        ("lock.convert", json!({ "lease": "l-1-0", "mode": "read" })),
        ("lock.break", json!({ "lease": "l-1-0", "reason": "r" })),
        ("framework.publish", json!({ "text": "t" })),
        ("framework.read", json!({ "version": 1 })),
        ("note.share", json!({ "key": "k", "value": "v" })),
        ("setting.set", json!({ "key": "k", "value": 1 })),
        ("mesh.pause", json!({})),
        ("mesh.resume", json!({})),
        ("redact", json!({ "digest": "0".repeat(64) })),
    ]
}

#[test]
fn who_has_not_joined_does_nothing() {
    for (verb, body) in one_of_each() {
        let mut world = World::new();
        let refused = world.send("stranger", verb, body.clone()).unwrap_err();
        let expected = [Code::AgentNotRegistered, Code::NotPermitted, Code::TaskNotFound];
        assert!(expected.contains(&refused.code), "{verb}: {refused}");
        let mut body = body;
        body["session"] = json!("old");
        let refused = world.send("codex", verb, body).unwrap_err();
        assert!(expected.contains(&refused.code), "{verb} under another session: {refused}");
    }
}

#[test]
fn who_was_ended_does_nothing() {
    for (verb, body) in one_of_each() {
        for name in ["alice", "codex"] {
            let mut world = World::new();
            world.send("admin", "actor.end", json!({ "actor": name })).unwrap();
            let refused = world.send(name, verb, body.clone()).unwrap_err();
            assert_eq!(refused.code, Code::NotPermitted, "{verb}: {refused}");
        }
    }
}

#[test]
fn the_coordinator_is_nobody_outside() {
    for (verb, body) in one_of_each() {
        let refused = World::new().send("coordinator", verb, body).unwrap_err();
        assert_eq!(refused.code, Code::NotPermitted, "{verb}: {refused}");
    }
    let mut world = World::new();
    let command = devmesh_protocol::Command {
        id: devmesh_protocol::CommandId::new("x").unwrap(),
        actor: actor("alice"),
        session: None,
        verb: devmesh_protocol::Verb::Internal(Internal::Tick),
    };
    assert_eq!(world.decide(&command).unwrap_err().code, Code::NotPermitted);
}

#[test]
fn readers_and_probes_send_nothing() {
    for role in ["probe", "viewer", "replay", "coordinator"] {
        for (verb, body) in one_of_each() {
            let mut world = World::new();
            let added = json!({ "actor": "x", "role": role });
            world.send("admin", "actor.add", added).unwrap();
            let refused = world.send("x", verb, body).unwrap_err();
            assert_eq!(refused.code, Code::NotPermitted, "{role} {verb}: {refused}");
        }
    }
}

#[test]
fn the_administrator_names_actors() {
    let add = |name: &str, role: &str| json!({ "actor": name, "role": role });
    let mut world = mesh(&[
        ("alice", "actor.add", add("bob", "person"), "NOT_PERMITTED"),
        ("admin", "actor.add", add("alice", "person"), "actor_added alice"),
        ("admin", "actor.add", add("alice", "person"), "nothing"),
        ("alice", "actor.add", add("bob", "person"), "NOT_PERMITTED"),
        ("admin", "actor.add", add("admin", "agent"), "NOT_PERMITTED"),
        ("admin", "actor.add", add("coordinator", "person"), "NOT_PERMITTED"),
        ("admin", "actor.end", json!({ "actor": "admin" }), "NOT_PERMITTED"),
        ("codex", JOIN, join("s1"), "agent_joined codex, architect_named mesh"),
        ("admin", "actor.add", add("codex", "person"), "NOT_PERMITTED"),
        ("admin", "actor.add", add("codex", "agent"), "nothing"),
        ("alice", "actor.end", json!({ "actor": "codex" }), "NOT_PERMITTED"),
    ]);
    world.repo("r", false);
    assert_eq!(world.step("codex write a session s1"), "codex has write a");
    assert_eq!(world.step("alice write b"), "alice has write b");
    let end = |name: &str| json!({ "actor": name });
    for (body, expect) in [
        (end("codex"), "agent_left codex, actor_ended codex, architect_named mesh"),
        (end("codex"), "nothing"),
        (end("alice"), "actor_ended alice"),
        (end("unheard-of"), "actor_ended unheard-of"),
    ] {
        assert_eq!(outcome(world.send("admin", "actor.end", body)), expect);
    }
    assert!(world.state.leases.is_empty());
    for (name, verb, body) in [
        ("codex", JOIN, join("s2")),
        ("alice", "lock.renew", json!({})),
        ("admin", "actor.add", add("alice", "person")),
        ("unheard-of", JOIN, join("s1")),
    ] {
        assert_eq!(outcome(world.send(name, verb, body)), "NOT_PERMITTED", "{name} {verb}");
    }
}

#[test]
fn silence_ends_leases_and_then_the_session() {
    story(&[
        ("codex write a", "codex has write a"),
        ("claude write a wait 90000", "claude waits"),
        ("silent codex 19999", "nothing"),
        ("silent codex 20000", "leases_lapsed codex, claude has write a"),
        ("silent codex 29999", "nothing"),
        // It is heard again and asks anew.
        ("codex write b", "codex has write b"),
        ("silent codex 19999", "nothing"),
        ("silent codex 20000", "leases_lapsed codex"),
        ("silent codex 30000", "session_lost codex, architect_named mesh"),
        ("silent codex 40000", "nothing"),
        ("codex write b", "AGENT_NOT_REGISTERED"),
        ("codex write b session codex", "AGENT_NOT_REGISTERED"),
    ]);
}

#[test]
fn no_lease_ends_before_its_time() {
    story(&[
        ("codex write a ttl 300000", "codex has write a"),
        ("codex write b ttl 500", "codex has write b"),
        ("silent codex 30000", "nothing"),
        ("silent codex 304999", "nothing"),
        ("silent codex 305000", "session_lost codex, architect_named mesh"),
    ]);
    story(&[
        ("codex write a ttl 500", "codex has write a"),
        ("silent codex 5499", "nothing"),
        ("silent codex 5500", "leases_lapsed codex"),
        ("silent codex 29999", "nothing"),
        ("silent codex 30000", "session_lost codex, architect_named mesh"),
    ]);
}

#[test]
fn a_silent_agent_is_not_idle_and_comes_back() {
    let mut world = World::new();
    assert_eq!(world.step("silent codex 20000"), "leases_lapsed codex");
    assert!(!world.state.index.idle.contains(&actor("codex")));
    assert_eq!(outcome(world.send("codex", JOIN, join("codex"))), "agent_resumed codex");
    assert!(world.state.index.idle.contains(&actor("codex")));
    let other = session("other");
    let silent =
        Internal::SessionSilent { actor: actor("codex"), session: other, silent_ms: 99_999 };
    assert!(world.internal(silent).is_empty(), "another session's silence is nothing");
    let silent =
        Internal::SessionSilent { actor: actor("alice"), session: session("x"), silent_ms: 99_999 };
    assert!(world.internal(silent).is_empty(), "a person has no heartbeat");
}

#[test]
fn a_waiter_goes_with_its_session() {
    story(&[
        ("alice read a", "alice has read a"),
        ("codex write a wait 90000", "codex waits"),
        ("bob read a wait 90000", "bob waits"),
        ("silent codex 30000", "session_lost codex, bob has read a, architect_named mesh"),
    ]);
}

#[test]
fn ended_sessions_are_remembered_within_bounds() {
    let mut world = World::bare();
    for n in 0..100 {
        let id = format!("s{n}");
        world.send("codex", JOIN, join(&id)).unwrap();
        world.send("codex", LEAVE, json!({ "session": id })).unwrap();
    }
    let past = &world.state.actors.get(&actor("codex")).unwrap().past_sessions;
    assert_eq!(past.len(), crate::state::agent::PAST_SESSIONS_MAX);
    assert_eq!(outcome(world.send("codex", JOIN, join("s99"))), "AGENT_NOT_REGISTERED");
}

#[test]
fn draining_is_asked_for_by_people_or_oneself() {
    let drain = |name: &str| json!({ "agent": name });
    let mut world = World::new();
    for (name, body, expect) in [
        ("codex", drain("claude"), "NOT_PERMITTED"),
        ("alice", drain("claude"), "agent_drained claude"),
        ("alice", drain("claude"), "nothing"),
        // The architect: the next in line who gets new work is it from now on.
        ("codex", drain("codex"), "agent_drained codex, architect_named mesh"),
        ("alice", drain("nobody"), "AGENT_NOT_REGISTERED"),
        ("alice", drain("alice"), "AGENT_NOT_REGISTERED"),
    ] {
        assert_eq!(outcome(world.send(name, "agent.drain", body.clone())), expect, "{name} {body}");
    }
    assert_eq!(world.state.index.idle.iter().collect::<Vec<_>>(), [&actor("gemini")]);
}

fn measured(ram_mb: u64, vram_mb: &[u64], slots: u32) -> Internal {
    let capacity = Capacity { ram_mb, vram_mb: vram_mb.to_vec(), slots };
    Internal::HostMeasured { host: HostId::new("host").unwrap(), capacity, report: None }
}

#[test]
fn an_agent_whose_host_is_too_small_is_suspended_with_the_numbers() {
    let mut world = World::bare();
    let mut body = join("s1");
    body["needs"] = json!({ "ram_mb": 4000, "vram_mb": 8000, "slots": 2 });
    let joined = outcome(world.send("codex", JOIN, body));
    assert_eq!(joined, "agent_joined codex, architect_named mesh, agent_suspended codex");
    let lack = |world: &World| {
        let agent = world.state.agents.get(&actor("codex")).unwrap();
        agent.suspended.as_ref().map(|s| (s.resource, s.needs, s.free))
    };
    assert_eq!(lack(&world), Some((Resource::Vram, 8000, 0)), "nobody has measured the host");
    let suspended = "host_measured host, agent_suspended codex";
    for (input, words, expect) in [
        (measured(3000, &[9000], 8), suspended, Some((Resource::Ram, 4000, 3000))),
        (measured(3000, &[9000], 8), "", Some((Resource::Ram, 4000, 3000))),
        (measured(4000, &[5000, 5000], 8), suspended, Some((Resource::Vram, 8000, 5000))),
        (measured(4000, &[1, 8000], 1), suspended, Some((Resource::Slots, 2, 1))),
        (measured(4000, &[1, 8000], 2), "host_measured host, agent_unsuspended codex", None),
        (measured(9000, &[1, 8000], 2), "host_measured host", None),
    ] {
        assert_eq!(world.internal(input).join(", "), words);
        assert_eq!(lack(&world), expect);
        assert_eq!(world.state.index.idle.is_empty(), expect.is_some());
    }
    world.check_replay();
}

#[test]
fn what_fits_is_what_is_free() {
    let mut world = World::new();
    let host = HostId::new("host").unwrap();
    let needs = |ram_mb, vram_mb, slots| Needs { ram_mb, vram_mb, slots };
    let fits = |world: &World, needs: Needs| {
        fits(&world.state, &host, &needs).map_err(|s| (s.resource, s.needs, s.free))
    };
    assert_eq!(fits(&world, needs(u64::MAX, 0, 99)), Ok(None), "unmeasured");
    assert_eq!(fits(&world, needs(0, 1, 0)), Err((Resource::Vram, 1, 0)));
    world.internal(measured(1000, &[500, 300, 800], 3));
    for (asked, expect) in [
        (needs(1000, 0, 3), Ok(None)),
        (needs(1001, 0, 0), Err((Resource::Ram, 1001, 1000))),
        (needs(0, 0, 4), Err((Resource::Slots, 4, 3))),
        (needs(0, 300, 0), Ok(Some(1))),
        (needs(0, 301, 0), Ok(Some(0))),
        (needs(0, 501, 0), Ok(Some(2))),
        (needs(0, 801, 0), Err((Resource::Vram, 801, 800))),
    ] {
        assert_eq!(fits(&world, asked), expect, "{asked:?}");
    }
    world.state.index.reserve(&host, &needs(600, 400, 0), Some(2));
    world.state.index.reserve(&host, &needs(0, 0, 1), None);
    assert_eq!(fits(&world, needs(401, 0, 0)), Err((Resource::Ram, 401, 400)));
    assert_eq!(fits(&world, needs(0, 400, 1)), Ok(Some(2)));
    assert_eq!(fits(&world, needs(0, 0, 2)), Err((Resource::Slots, 2, 1)));
    world.state.index.unreserve(&host, &needs(600, 400, 0), Some(2));
    world.state.index.unreserve(&host, &needs(0, 0, 1), None);
    assert_eq!(fits(&world, needs(1000, 800, 3)), Ok(Some(2)));
    assert!(world.state.index.reserved.is_empty());
}

#[test]
fn agents_at_once_have_a_limit() {
    let mut world = World::new();
    assert_eq!(world.state.agents.len(), AGENTS.len());
    for n in AGENTS.len()..devmesh_protocol::limits::AGENTS_MAX {
        let agent = world.state.agents.get(&actor("codex")).unwrap().clone();
        world.state.agents.insert(actor(&format!("a{n}")), agent);
    }
    assert_eq!(outcome(world.send("one-more", JOIN, join("s"))), "LIMIT_EXCEEDED");
}

/// A refusal says what is wrong with the session, and with whoever may not speak at all.
#[test]
fn who_may_not_speak_is_told_why() {
    let mut world = World::new();
    let mut says = |who: &str, session: &str| {
        let body = json!({ "key": "k", "value": "v", "session": session });
        world.send(who, "note.share", body).unwrap_err().message
    };
    assert_eq!(says("codex", "other"), "other is not the live session of codex");
    assert_eq!(says("ada", "s"), "ada has not joined");
    world.send("codex", LEAVE, json!({})).unwrap();
    let ended = "the session codex has ended and never acts again; join under a new one";
    let body = json!({ "key": "k", "value": "v", "session": "codex" });
    assert_eq!(world.send("codex", "note.share", body).unwrap_err().message, ended);
    let again = world.send("codex", JOIN, join("codex")).unwrap_err();
    assert_eq!((again.code, again.message.as_str()), (Code::AgentNotRegistered, ended));
    for (role, is) in [("viewer", "viewer"), ("replay", "reader of the log"), ("probe", "probe")] {
        let body = json!({ "actor": format!("a-{role}"), "role": role });
        world.send("admin", "actor.add", body).unwrap();
        let body = json!({ "key": "k", "value": "v" });
        let refused = world.send(&format!("a-{role}"), "note.share", body).unwrap_err();
        assert_eq!(refused.message, format!("a-{role} is a {is} and sends no commands"));
    }
}

/// The office goes to the first in line who takes new work, and never stays with who takes none.
#[test]
fn the_next_architect_is_one_who_takes_work() {
    let architect = |world: &World| world.state.mesh().architect.as_ref().map(ToString::to_string);
    let drain = |world: &mut World, who: &str| {
        world.send("alice", "agent.drain", json!({ "agent": who })).unwrap();
    };
    let mut world = World::new();
    drain(&mut world, "codex");
    assert_eq!(architect(&world).as_deref(), Some("claude"));
    let mut world = World::new();
    drain(&mut world, "claude");
    drain(&mut world, "codex");
    assert_eq!(architect(&world).as_deref(), Some("gemini"));
}
