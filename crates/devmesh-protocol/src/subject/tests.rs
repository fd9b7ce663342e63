//! A subject parses exactly, or it is nothing.

use super::*;

#[test]
fn subjects_round_trip() {
    let mesh = MeshId::new("default").unwrap();
    let alice = ActorId::new("alice").unwrap();
    let subject = command(&mesh, &alice, "lock.acquire");
    assert_eq!(subject, "devmesh.default.cmd.alice.lock.acquire");
    let parsed = Incoming::parse(&mesh, &subject);
    assert_eq!(
        parsed,
        Some(Incoming::Command { actor: alice.clone(), verb: "lock.acquire".into() })
    );
    let parsed = Incoming::parse(&mesh, &beat(&mesh, &alice));
    assert_eq!(parsed, Some(Incoming::Beat { actor: alice.clone() }));
    let parsed = Incoming::parse(&mesh, &query(&mesh, &alice, "tasks"));
    assert_eq!(parsed, Some(Incoming::Query { actor: alice, what: "tasks".into() }));
}

#[test]
fn anything_else_is_nothing() {
    let mesh = MeshId::new("m").unwrap();
    for subject in [
        "",
        "devmesh",
        "devmesh.m",
        "devmesh.m.cmd",
        "devmesh.m.cmd.alice",
        "devmesh.m.cmd.alice.",
        "devmesh.m.cmd..lock.acquire",
        "devmesh.m.cmd.Alice.lock",
        "devmesh.mm.cmd.alice.lock",
        "devmesh.m.cmd.alice.*",
        "devmesh.m.cmd.alice.lock.>",
        "devmesh.m.beat.alice.x",
        "devmesh.m.log",
        "devmesh.m.event.a.b",
        "xdevmesh.m.cmd.alice.lock",
        "devmesh.m.cmd.alice.a b",
    ] {
        assert_eq!(Incoming::parse(&mesh, subject), None, "{subject}");
    }
}

#[test]
fn streams_of_different_meshes_differ() {
    let mesh = MeshId::new("a").unwrap();
    assert_eq!(log_stream(&mesh), "DEVMESH_A");
    assert_eq!(side_stream(&mesh, "OUTPUT"), "DEVMESH_A_OUTPUT");
}
