//! What is remembered of what left no record, and for how long.

use devmesh_protocol::command::Encoding;
use serde_json::{Value, json};

use super::*;

fn command(actor: &str, id: &str, verb: &str, body: Value) -> Command {
    let actor = ActorId::new(actor).unwrap();
    let id = CommandId::new(id).unwrap();
    let body = body.to_string();
    Command::parse(actor, verb, body.as_bytes(), Encoding::Json, || id).unwrap()
}

fn lock(actor: &str, id: &str) -> Command {
    command(actor, id, "lock.acquire", json!({ "paths": ["a.rs"], "mode": "write" }))
}

fn refused(code: Code) -> Reply {
    Reply::Err { seq: None, error: Rejection::new(code, "no") }
}

#[test]
fn what_is_taken_back_was_never_said_and_the_rest_was() {
    let mut given = Given::default();
    let no = refused(Code::LockConflict);
    for id in ["one", "two", "three"] {
        given.put(&lock("bob", id), &no);
    }
    given.take_back(&lock("bob", "two"));
    given.take_back(&lock("alice", "one"));
    assert_eq!(given.get(&lock("bob", "two")), None);
    assert_eq!(given.get(&lock("bob", "one")), Some(no.clone()));
    assert_eq!(given.get(&lock("bob", "three")), Some(no.clone()));
    // Nor does it count among those that are kept.
    for n in 2..RECEIPTS_PER_ACTOR_MAX {
        given.put(&lock("bob", &format!("n{n}")), &no);
    }
    assert_eq!(given.get(&lock("bob", "one")), Some(no.clone()));
    given.put(&lock("bob", "over"), &no);
    assert_eq!(given.get(&lock("bob", "one")), None);
    assert_eq!(given.get(&lock("bob", "three")), Some(no));
}

#[test]
fn who_has_asked_least_lately_is_forgotten_first() {
    let mut given = Given::default();
    let no = refused(Code::LockConflict);
    let name = |n: usize| format!("a{n}");
    for n in 0..ACTORS_MAX {
        given.put(&lock(&name(n), "one"), &no);
    }
    given.put(&lock("a0", "two"), &no);
    let kept = |given: &Given| -> Vec<usize> {
        (0..=ACTORS_MAX + 1).filter(|n| given.get(&lock(&name(*n), "one")).is_some()).collect()
    };
    assert_eq!(kept(&given).len(), ACTORS_MAX, "nobody goes for the sake of who is there");
    given.put(&lock(&name(ACTORS_MAX), "one"), &no);
    given.put(&lock(&name(ACTORS_MAX + 1), "one"), &no);
    let rest: Vec<usize> = [0].into_iter().chain(3..=ACTORS_MAX + 1).collect();
    assert_eq!(kept(&given), rest);
}

#[test]
fn what_may_be_asked_again_without_harm_is_not_remembered() {
    let mut given = Given::default();
    let ok = Reply::Ok { seq: None, result: Value::Null };
    let progress = json!({ "task": "t-1", "attempt": 1, "token": 1 });
    for (command, reply) in [
        (command("bob", "one", "task.bid", json!({ "task": "t-1" })), ok.clone()),
        (command("bob", "two", "task.progress", progress), ok),
        (lock("bob", "three"), refused(Code::AgentNotRegistered)),
        (lock("bob", "four"), refused(Code::NotPermitted)),
    ] {
        given.put(&command, &reply);
        assert_eq!(given.get(&command), None, "{}", command.id);
    }
}

/// Where the actor's answers are forgotten, an id as old as those may be one of them.
#[test]
fn an_id_that_is_older_than_what_was_forgotten_has_expired() {
    let mut given = Given::default();
    let no = refused(Code::LockConflict);
    let id = |ms: usize| format!("{ms:08x}-0000-7000-8000-000000000000");
    for ms in 0..RECEIPTS_PER_ACTOR_MAX + 2 {
        given.put(&lock("bob", &id(ms)), &no);
    }
    let code = |actor: &str, id: &str| match given.get(&lock(actor, id)) {
        Some(Reply::Err { error, .. }) => Some(error.code),
        Some(Reply::Ok { .. }) | None => None,
    };
    assert_eq!(code("bob", &id(0)), Some(Code::IdExpired));
    assert_eq!(code("bob", &id(1)), Some(Code::IdExpired));
    assert_eq!(code("bob", &id(2)), Some(Code::LockConflict));
    assert_eq!(code("bob", &id(1_000)), None);
    assert_eq!(code("bob", "no-time"), None);
    assert_eq!(code("alice", &id(0)), None);
}
