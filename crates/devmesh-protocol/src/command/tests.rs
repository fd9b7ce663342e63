//! What the door lets in.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::reply::{Code, Rejection};

fn parse(verb: &str, body: &str) -> Result<Command, Rejection> {
    let mint = || CommandId::new("minted").unwrap();
    Command::parse(ActorId::new("alice").unwrap(), verb, body.as_bytes(), Encoding::Json, mint)
}

fn refused(verb: &str, body: &str, code: Code, field: &str) {
    let rejection = parse(verb, body).expect_err(body);
    assert_eq!(rejection.code, code, "{body}: {rejection}");
    let named = rejection.details.get("field").and_then(|f| f.as_str());
    assert!(named == Some(field) || rejection.message.contains(field), "{body}: {rejection:?}");
}

#[test]
fn bad_bodies_name_the_field() {
    let bad = Code::BadRequest;
    refused("lock.acquire", "not json", bad, "JSON");
    refused("lock.acquire", "[]", bad, "object");
    refused("lock.acquire", "{}", bad, "paths");
    refused("lock.acquire", r#"{"paths":["a"],"mode":"exclusive"}"#, bad, "mode");
    refused("lock.acquire", r#"{"paths":"a","mode":"write"}"#, bad, "paths");
    let outside = Code::PathOutsideRepo;
    refused("lock.acquire", r#"{"paths":["../a"],"mode":"write"}"#, outside, "paths[0]");
    refused("lock.acquire", r#"{"paths":["a","/b"],"mode":"write"}"#, outside, "paths[1]");
    refused("lock.acquire", r#"{"paths":["a\u0000"],"mode":"write"}"#, outside, "paths[0]");
    refused("lock.acquire", r#"{"paths":["a"],"mode":"write","ttl":5}"#, bad, "ttl");
    refused("lock.acquire", r#"{"paths":["a"],"mode":"write","ttl_ms":"10"}"#, bad, "ttl_ms");
    refused("lock.acquire", r#"{"paths":["a"],"mode":"write","ttl_ms":-1}"#, bad, "ttl_ms");
    refused("lock.acquire", r#"{"paths":["a"],"mode":"write","ttl_ms":1e999}"#, bad, "number");
    refused("lock.acquire", r#"{"paths":["a"],"mode":"write","mode":"read"}"#, bad, "mode");
    refused("lock.acquire", r#"{"paths":[],"mode":"write"}"#, bad, "paths");
    refused("lock.acquire", r#"{"id":"a b","paths":["a"],"mode":"write"}"#, bad, "id");
    refused("lock.acquire", r#"{"session":"S.1","paths":["a"],"mode":"write"}"#, bad, "session");
    refused("lock.release", "{}", bad, "leases");
    refused("task.add", r#"{"title":" "}"#, bad, "title");
    refused("task.add", r#"{"title":"a","priority":5}"#, bad, "priority");
    refused("task.add", r#"{"title":"a","base":"-x"}"#, bad, "base");
    refused("task.add", r#"{"title":"a\u001b[2J"}"#, bad, "title");
    refused("task.add", r#"{"title":"a","max_cost_usd":-1}"#, bad, "max_cost_usd");
    refused("task.add", r#"{"title":"a","tool":"a.*"}"#, bad, "tool");
    refused("task.add", r#"{"title":"a","tool":""}"#, bad, "tool");
    refused("task.add", r#"{"title":"a","backup_tools":["codex","a*"]}"#, bad, "backup_tools");
    refused("task.add", r#"{"title":"a","needs":["gpu","a b"]}"#, bad, "needs");
    refused("agent.join", r#"{"tool":"a.*","host":"h"}"#, bad, "tool");
    refused("agent.join", r#"{"tool":"a","host":"h","capabilities":["a b"]}"#, bad, "capabilities");
    refused("task.start", r#"{"task":"17","attempt":1,"token":5}"#, bad, "task");
    refused("repo.add", r#"{"name":"a"}"#, bad, "path");
    refused("repo.add", r#"{"name":"a","url":"--upload-pack=x"}"#, bad, "url");
    refused("land.begin", r#"{"task":"t-1","attempt":1,"token":1,"tree":"main"}"#, bad, "tree");
    refused("lock.steal", "{}", Code::UnknownVerb, "lock.steal");
    refused("internal.tick", "{}", Code::UnknownVerb, "internal.tick");
}

#[test]
fn bodies_over_a_bound_are_refused_as_such() {
    let over = Code::LimitExceeded;
    let paths: Vec<String> = (0..10_000).map(|n| format!("f{n}")).collect();
    refused("lock.acquire", &json!({ "paths": paths, "mode": "read" }).to_string(), over, "paths");
    refused("task.add", &json!({ "title": "x".repeat(301) }).to_string(), over, "title");
    for field in ["ram_mb", "vram_mb", "slots"] {
        let max: u64 = if field == "slots" { u32::MAX.into() } else { u64::MAX };
        let body = json!({ "tool": "x", "host": "h", "session": "s", "needs": { field: max } });
        refused("agent.join", &body.to_string(), over, field);
    }
    let prompt = "x".repeat(300_000);
    refused("task.add", &json!({ "title": "x", "prompt": prompt }).to_string(), over, "prompt");
    refused("task.add", &"x".repeat(2_000_000), over, "bytes");
    let deep = format!(r#"{{"key":"a","value":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    refused("setting.set", &deep, Code::BadRequest, "recursion");
}

#[test]
fn a_body_survives_the_round_trip() {
    let body = json!({
        "id": "019a9b3c-1d2e-7abc-8def-0123456789ab", "title": "accept tabs", "priority": 1,
        "paths": ["src/parser/"], "depends_on": ["t-1"], "max_cost_usd": 2.5, "share": true,
    });
    let command = parse("task.add", &body.to_string()).unwrap();
    let again = parse("task.add", &command.to_body().unwrap().to_string()).unwrap();
    assert_eq!(command, again);
    assert_eq!(command.digest(), again.digest());
    let Verb::TaskAdd(add) = &command.verb else { panic!("{command:?}") };
    assert_eq!(add.max_cost_usd, Some(task::Usd { micro: 2_500_000 }));
}

#[test]
fn the_digest_tells_bodies_apart_and_not_spellings() {
    let one = parse("task.add", r#"{"id":"a","title":"x","paths":["a/b"]}"#).unwrap();
    let same = parse("task.add", r#"{ "paths":["a//b"], "title":"x","id":"a" }"#).unwrap();
    let other = parse("task.add", r#"{"id":"a","title":"y","paths":["a/b"]}"#).unwrap();
    assert_eq!(one.digest(), same.digest());
    assert_ne!(one.digest(), other.digest());
}

#[test]
fn cbor_is_another_spelling_of_the_same() {
    let body = json!({ "id": "a", "title": "x", "paths": ["a/b"] });
    let mut cbor = Vec::new();
    ciborium::into_writer(&body, &mut cbor).unwrap();
    let alice = ActorId::new("alice").unwrap();
    let mint = || CommandId::new("minted").unwrap();
    let from_cbor = Command::parse(alice, "task.add", &cbor, Encoding::Cbor, mint).unwrap();
    assert_eq!(from_cbor, parse("task.add", &body.to_string()).unwrap());
}

proptest! {
    #[test]
    fn no_body_panics(
        verb in 0..Verb::NAMES.len(),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let alice = || ActorId::new("alice").unwrap();
        let mint = || CommandId::new("minted").unwrap();
        let verb = Verb::NAMES[verb];
        let _ = Command::parse(alice(), verb, &body, Encoding::Json, mint);
        let _ = Command::parse(alice(), verb, &body, Encoding::Cbor, mint);
    }
}
