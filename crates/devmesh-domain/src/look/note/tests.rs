//! Notes as queries find them.

use devmesh_protocol::ActorId;
use devmesh_protocol::command::Encoding;
use devmesh_protocol::query::Query;
use serde_json::{Value, json};

use super::super::look;
use crate::invariant::world::World;

/// `who key paths confidence`, one a line.
fn world(notes: &[&str]) -> World {
    let mut world = World::new();
    for note in notes {
        let words: Vec<&str> = note.split(' ').collect();
        let paths: Vec<&str> = words[2].split(',').filter(|path| !path.is_empty()).collect();
        let confidence: u8 = words[3].parse().unwrap();
        let body =
            json!({ "key": words[1], "value": "v", "paths": paths, "confidence": confidence });
        world.send(words[0], "note.share", body).unwrap();
    }
    world
}

fn ask(world: &World, body: &Value) -> Result<Value, String> {
    let bytes = serde_json::to_vec(body).unwrap();
    let actor = ActorId::new("alice").unwrap();
    let query = Query::parse(actor, "notes", &bytes, Encoding::Json);
    let query = query.map_err(|refused| refused.message)?;
    look(&world.state, &query.what).map_err(|refused| refused.message)
}

/// The keys that are found, and where to go on.
fn check(world: &World, body: &Value, keys: &str, next: Option<&str>) {
    let answer = ask(world, body).unwrap();
    let notes = answer["notes"].as_array().unwrap();
    let found: Vec<&str> = notes.iter().map(|note| note["key"].as_str().unwrap()).collect();
    assert_eq!((found.join(" "), answer["next"].as_str()), (keys.to_owned(), next), "{body}");
}

#[test]
fn a_note_is_found_by_its_path_author_and_key() {
    let world = world(&[
        "alice a src/lex.rs 9",
        "codex b src/ 9",
        "bob c docs/ 9",
        "codex d  9",
        "bob e src/lex.rs.orig 9",
    ]);
    check(&world, &json!({}), "a b c d e", None);
    check(&world, &json!({ "path": "src/lex.rs" }), "a b", None);
    check(&world, &json!({ "path": "src" }), "a b e", None);
    check(&world, &json!({ "path": "src", "by": "codex" }), "b", None);
    check(&world, &json!({ "by": "codex" }), "b d", None);
    check(&world, &json!({ "key": "c" }), "c", None);
    check(&world, &json!({ "key": "c", "by": "alice" }), "", None);
    check(&world, &json!({ "key": "z" }), "", None);
}

#[test]
fn a_list_of_notes_goes_on_behind_the_last() {
    let world = world(&["alice a x 9", "bob b x 9", "alice c x 9", "alice d x 9"]);
    check(&world, &json!({ "limit": 2 }), "a b", Some("b"));
    check(&world, &json!({ "limit": 2, "after": "b" }), "c d", None);
    check(&world, &json!({ "limit": 2, "by": "alice" }), "a c", Some("c"));
    check(&world, &json!({ "limit": 3, "by": "alice" }), "a c d", None);
}

#[test]
fn what_concerns_some_paths_comes_surest_and_newest_first() {
    let world = world(&[
        "alice old src/ 50",
        "alice sure src/lex.rs 90",
        "alice other docs/ 100",
        "alice any  100",
        "alice new src/ 50",
    ]);
    let mut world = world;
    // Two notes of one moment are in the order of their keys; a later one comes before them.
    world.after(1);
    let again = json!({ "key": "old", "value": "v", "paths": ["src/"], "confidence": 50 });
    world.send("alice", "note.share", again).unwrap();
    let about = json!({ "about": ["src/lex.rs", "tests"] });
    check(&world, &about, "sure old new any", None);
    check(&world, &json!({ "about": ["src/lex.rs"], "limit": 2 }), "sure old", None);
    check(&world, &json!({ "about": ["tests"] }), "any", None);
    let refused = ask(&world, &json!({ "about": ["a"], "after": "b" })).unwrap_err();
    assert!(refused.contains("about"), "{refused}");
}

#[test]
fn a_note_about_one_repository_is_none_about_another() {
    let mut world = world(&["alice any x 9"]);
    world.send("alice", "repo.add", json!({ "name": "other", "path": "/o" })).unwrap();
    let note = |repo: &str| json!({ "key": format!("of-{repo}"), "value": "v", "repo": repo });
    for repo in ["r", "other"] {
        world.send("alice", "note.share", note(repo)).unwrap();
    }
    check(&world, &json!({ "repo": "r" }), "any of-r", None);
    check(&world, &json!({ "repo": "other" }), "any of-other", None);
    let refused = world.send("alice", "note.share", note("none")).unwrap_err();
    assert_eq!(refused.code.as_str(), "BAD_REQUEST");
}

#[test]
fn texts_that_would_not_fit_into_one_answer_come_in_parts() {
    let mut world = World::new();
    for key in ["a", "b", "c"] {
        let body = json!({ "key": key, "value": key.repeat(200 * 1024) });
        world.send("alice", "note.share", body).unwrap();
    }
    check(&world, &json!({}), "a b", Some("b"));
    check(&world, &json!({ "after": "b" }), "c", None);
}

/// Texts that come to just what one answer takes are told at once.
#[test]
fn an_answer_is_filled_to_the_last_byte() {
    let mut world = World::new();
    let half = usize::try_from(super::TEXTS_BYTES_MAX / 2).unwrap();
    for key in ["a", "b"] {
        let body = json!({ "key": key, "value": key.repeat(half) });
        world.send("alice", "note.share", body).unwrap();
    }
    check(&world, &json!({}), "a b", None);
    world.send("alice", "note.share", json!({ "key": "c", "value": "c" })).unwrap();
    check(&world, &json!({}), "a b", Some("b"));
}
