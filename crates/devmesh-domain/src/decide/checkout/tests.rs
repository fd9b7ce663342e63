//! A person's changes by hand: told, never in the way.

use serde_json::{Value, json};

use super::advisories;
use crate::invariant::world::World;
use devmesh_protocol::{RepoId, RepoPath};

fn report(world: &mut World, who: &str, body: Value) -> String {
    match world.send(who, "checkout.report", body) {
        Ok(words) if words.is_empty() => "nothing".to_owned(),
        Ok(words) => words.join(", "),
        Err(refused) => refused.code.as_str().to_owned(),
    }
}

fn told(world: &World, repo: &str, path: &str) -> Vec<String> {
    let paths = [RepoPath::new(path).unwrap()];
    let repo = RepoId::new(repo).unwrap();
    let all = advisories(&world.state, &repo, &paths);
    all.map(|advisory| format!("{} {}", advisory.actor, advisory.path)).collect()
}

#[test]
fn what_a_person_changes_is_told_and_blocks_nobody() {
    let mut world = World::new();
    let body = json!({ "paths": ["src/parser/", "README.md", "src/parser/a.rs"] });
    assert_eq!(report(&mut world, "alice", body.clone()), "checkout_changed alice");
    assert_eq!(report(&mut world, "alice", body), "nothing", "said once");
    assert_eq!(
        report(&mut world, "bob", json!({ "paths": ["src/parser/b.rs"] })),
        "checkout_changed bob"
    );
    assert_eq!(told(&world, "r", "src/parser/b.rs"), ["alice src/parser/", "bob src/parser/b.rs"]);
    assert_eq!(told(&world, "r", "src"), ["alice src/parser/", "bob src/parser/b.rs"]);
    assert_eq!(told(&world, "r", "docs"), Vec::<String>::new());
    assert_eq!(told(&world, "other", "README.md"), Vec::<String>::new());
    assert_eq!(world.step("codex write src/parser"), "codex has write src/parser");
    let reply = crate::answer::answers(&world.state, world.records.last().unwrap());
    let reply = serde_json::to_value(&reply[0].reply).unwrap();
    assert_eq!(reply["result"]["advisory"][0]["actor"], "alice");
    assert_eq!(reply["result"]["advisory"][0]["holder"], "you");
    // Committed.
    assert_eq!(report(&mut world, "alice", json!({})), "checkout_changed alice");
    assert_eq!(report(&mut world, "alice", json!({})), "nothing");
    assert_eq!(told(&world, "r", "src"), ["bob src/parser/b.rs"]);
    world.check_replay();
}

#[test]
fn only_people_report_and_only_within_bounds() {
    let mut world = World::new();
    assert_eq!(report(&mut world, "codex", json!({ "paths": ["a"] })), "NOT_PERMITTED");
    assert_eq!(report(&mut world, "alice", json!({ "paths": ["../a"] })), "PATH_OUTSIDE_REPO");
    assert_eq!(
        report(&mut world, "alice", json!({ "repo": "none", "paths": ["a"] })),
        "BAD_REQUEST"
    );
    let many: Vec<String> = (0..129).map(|n| format!("f{n}")).collect();
    assert_eq!(report(&mut world, "alice", json!({ "paths": many })), "LIMIT_EXCEEDED");
    assert_eq!(report(&mut world, "alice", json!({ "more": 7 })), "checkout_changed alice");
    assert_eq!(report(&mut world, "alice", json!({ "more": 7 })), "nothing");
}

#[test]
fn case_counts_where_the_repository_says_so() {
    let mut world = World::new();
    world.repo("mac", true);
    report(&mut world, "alice", json!({ "repo": "mac", "paths": ["Src/A.rs"] }));
    report(&mut world, "alice", json!({ "repo": "r", "paths": ["Src/A.rs"] }));
    assert_eq!(told(&world, "mac", "src/a.rs"), ["alice Src/A.rs"]);
    assert_eq!(told(&world, "r", "src/a.rs"), Vec::<String>::new());
}

/// What a person of another name has changed, whose credential ended, is forgotten.
#[test]
fn who_is_gone_changes_nothing() {
    let mut world = World::new();
    report(&mut world, "alice", json!({ "paths": ["a"] }));
    world.happened(vec![
        devmesh_protocol::event::agent::ActorEnded {
            actor: crate::invariant::world::actor("alice"),
            reason: None,
        }
        .into(),
    ]);
    assert_eq!(told(&world, "r", "a"), Vec::<String>::new());
    world.check_replay();
}
