//! Which files are hot.

use devmesh_protocol::{RepoId, RepoPath};

use super::{HOT, matches};
use crate::invariant::world::World;

#[test]
fn patterns_are_names_folders_and_paths() {
    for (pattern, path, hit) in [
        ("Cargo.lock", "Cargo.lock", true),
        ("Cargo.lock", "crates/x/Cargo.lock", true),
        ("Cargo.lock", "Cargo.lock/x", false),
        ("Cargo.lock", "xCargo.lock", false),
        ("*.lock", "a/b.lock", true),
        ("*.lock", "a.lock/b", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("a*b*c", "axxbxxbc", true),
        ("a*b*c", "axxbxx", false),
        ("*", "any/thing", true),
        ("gen/", "a/gen/b/c", true),
        ("gen/", "gen", true),
        ("gen/", "a/regen/b", false),
        ("docs/*.md", "docs/a.md", true),
        ("docs/*.md", "docs/a/b.md", false),
        ("docs/*.md", "x/docs/a.md", false),
        ("docs/**/*.md", "docs/a/b/c.md", true),
        ("docs/**/*.md", "docs/c.md", true),
        ("**/index.ts", "index.ts", true),
        ("**/index.ts", "a/b/index.ts", true),
        ("/top.txt", "top.txt", true),
        ("/top.txt", "a/top.txt", false),
        ("a/b/", "a/b/c/d", true),
        ("a/b/", "x/a/b/c", false),
        ("./a/b", "a/b", true),
        ("ü?", "üö", true),
        ("", "a", false),
    ] {
        assert_eq!(matches(pattern, path), hit, "{pattern} on {path}");
    }
}

/// Whatever the pattern, the answer comes at once.
#[test]
fn no_pattern_takes_long() {
    let pattern = "*a".repeat(150);
    assert!(!matches(&pattern, &"a".repeat(149)));
    assert!(!matches(&format!("{pattern}b"), &"a".repeat(1_024)));
    assert!(!matches(&"**/a/".repeat(60), &"a/".repeat(500)[..999].replace('a', "b")));
}

#[test]
fn the_repository_the_mesh_and_the_shipped_list() {
    let mut world = World::new();
    let hot = |world: &World, path: &str| {
        world.state.is_hot(&RepoId::new("r").unwrap(), &RepoPath::new(path).unwrap())
    };
    assert!(hot(&world, "web/package-lock.json") && hot(&world, "Cargo.lock"));
    assert!(!hot(&world, "src/parser.rs") && !hot(&world, "."));
    let set = serde_json::json!({ "key": "hot", "value": ["src/*.rs"] });
    world.send("alice", "setting.set", set).unwrap();
    assert!(hot(&world, "src/parser.rs") && !hot(&world, "Cargo.lock"));
    let own = serde_json::json!({ "name": "r", "path": "/r", "hot": ["docs/"] });
    world.send("alice", "repo.add", own).unwrap();
    assert!(hot(&world, "docs/a") && !hot(&world, "src/parser.rs"));
    // What is not said again stays.
    let again = serde_json::json!({ "name": "r", "path": "/s" });
    world.send("alice", "repo.add", again).unwrap();
    assert!(hot(&world, "docs/a"));
    let none = serde_json::json!({ "name": "r", "path": "/r", "hot": [] });
    world.send("alice", "repo.add", none).unwrap();
    assert!(!hot(&world, "docs/a") && !hot(&world, "Cargo.lock"));
    assert!(!HOT.is_empty());
}
