//! The short way takes what the long way takes, and reads the same in it.

use proptest::prelude::*;

use super::super::parse::{Encoding, at_length};
use super::*;

fn same(verb: &str, body: &str) {
    let short = straight(verb, body.as_bytes());
    let long = at_length(verb, body.as_bytes(), Encoding::Json);
    assert_eq!(short, long.ok(), "{verb} {body}");
}

/// Only the long way reads it.
fn left(verb: &str, body: &str) {
    assert_eq!(straight(verb, body.as_bytes()), None, "{verb} {body}");
}

#[test]
fn well_formed_bodies_are_read_straight() {
    same("lock.acquire", r#"{"id":"a","session":"s1","repo":"r","paths":["a/"],"mode":"write"}"#);
    same("lock.acquire", r#"{"mode":"read","wait_ms":5,"paths":["a","b/./c"],"id":null}"#);
    same("lock.acquire", r#"{"\u0069d":"a","paths":["\u00e4"],"mode":"write","ttl_ms":15000}"#);
    same("lock.release", r#" {"leases":["l-41-0"],"id":"019a9b3c-1d2e-7abc-8def-0123456789ab"} "#);
    same("task.add", r#"{"title":"x","max_cost_usd":2.5,"depends_on":["t-1"],"priority":1}"#);
    same("setting.set", r#"{"key":"a","value":{"b":[1,-2.5,null,{"c":true}]}}"#);
    same("mesh.resume", "{}");
    assert!(straight("mesh.resume", b"{}").is_some());
    let id = straight("mesh.resume", br#"{"id":"a"}"#).and_then(|body| body.id);
    assert_eq!(id, CommandId::new("a").ok());
}

#[test]
fn whatever_is_wrong_is_left_to_the_long_way() {
    left("lock.acquire", "");
    left("lock.acquire", "[]");
    left("lock.acquire", r#"{"paths":["a"],"mode":"write"} x"#);
    left("lock.acquire", r#"{"paths":["a"],"mode":"write","mode":"write"}"#);
    left("lock.acquire", r#"{"id":"a","id":"a","paths":["a"],"mode":"write"}"#);
    left("lock.acquire", r#"{"session":null,"session":null,"paths":["a"],"mode":"write"}"#);
    left("lock.acquire", r#"{"paths":["a"],"mode":"write","ttl":5}"#);
    left("lock.acquire", r#"{"paths":["/a"],"mode":"write"}"#);
    left("lock.acquire", r#"{"id":5,"paths":["a"],"mode":"write"}"#);
    left("lock.steal", "{}");
    left("internal.tick", "{}");
}

proptest! {
    #[test]
    fn what_is_read_straight_is_read_alike(
        verb in prop::sample::select(vec!["lock.acquire", "lock.release", "task.add"]),
        fields in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "id", "session", "paths", "mode", "leases", "title", "ttl_ms", "priority",
                    "max_cost_usd", "share", "x",
                ]),
                prop::sample::select(vec![
                    "null", "\"a\"", "[\"a\"]", "\"write\"", "[\"l-1-0\"]", "0", "-1", "1e3",
                    "1.5", "15000", "true", "[]", "{}", "18446744073709551616",
                ]),
            ),
            0..6,
        ),
    ) {
        let field = |(name, value): &(&str, &str)| format!("{name:?}:{value}");
        let fields: Vec<_> = fields.iter().map(field).collect();
        let body = format!("{{{}}}", fields.join(","));
        if let Some(short) = straight(verb, body.as_bytes()) {
            prop_assert_eq!(at_length(verb, body.as_bytes(), Encoding::Json), Ok(short));
        }
    }
}
