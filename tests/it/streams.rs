//! The streams: made once, compared with what was asked, never silently otherwise.

use std::time::Duration;

use async_nats::jetstream;
use devmesh_bus::cred::{Account, Role};
use devmesh_bus::provision::{self, Limits, Outcome};

use super::world::{MESH, World};

#[tokio::test]
async fn provisioning_twice_changes_nothing() {
    let world = World::start().await;
    let core = world.connect("admin", Role::Admin, Account::Core).await;
    let side = world.connect("admin", Role::Admin, Account::Mesh).await;
    for outcome in provision::core(&core, MESH, &Limits::default()).await.unwrap() {
        assert_eq!(outcome.1, Outcome::Unchanged, "{}", outcome.0);
    }
    for outcome in provision::mesh(&side, MESH, &Limits::default()).await.unwrap() {
        assert_eq!(outcome.1, Outcome::Unchanged, "{}", outcome.0);
    }
}

#[tokio::test]
async fn the_log_is_for_ever() {
    let world = World::start().await;
    let core = world.connect("admin", Role::Admin, Account::Core).await;
    let log = jetstream::new(core).get_stream("DEVMESH_MY-MESH").await.unwrap();
    let config = &log.cached_info().config;
    assert_eq!(config.subjects, ["devmesh.my-mesh.log"]);
    assert!(config.deny_delete && config.deny_purge);
    assert_eq!(config.storage, jetstream::stream::StorageType::File);
    assert_eq!(config.max_age, Duration::ZERO);
    assert_eq!((config.max_bytes, config.max_messages), (-1, -1));
    assert_eq!(config.max_message_size, 1 << 20);
    assert_eq!(config.duplicate_window, Duration::from_millis(100));
    assert_eq!(config.num_replicas, 1);
}

#[tokio::test]
async fn limits_beside_the_log_can_be_moved() {
    let world = World::start().await;
    let side = world.connect("admin", Role::Admin, Account::Mesh).await;
    let limits = Limits { output_bytes_max: 8 << 20, ..Limits::default() };
    let outcomes = provision::mesh(&side, MESH, &limits).await.unwrap();
    assert_eq!(outcomes[0], ("DEVMESH_MY-MESH_OUTPUT".to_owned(), Outcome::Updated));
    assert_eq!(outcomes[1].1, Outcome::Unchanged);
}

/// The log as somebody made it by hand.
#[tokio::test]
async fn a_log_that_differs_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let binary = devmesh_bus::server::fetch().await.unwrap();
    let auth = devmesh_bus::server::Auth::Open;
    let options = devmesh_bus::server::ServerOptions::new(binary, dir.path().join("nats"), auth);
    let server = devmesh_bus::server::start(&options).await.unwrap();
    let client = devmesh_bus::connect::connect(server.url(), None, "admin").await.unwrap();
    let context = jetstream::new(client.clone());
    let config = jetstream::stream::Config {
        name: "DEVMESH_MY-MESH".to_owned(),
        subjects: vec!["devmesh.my-mesh.log".to_owned()],
        max_age: Duration::from_secs(3600),
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    let error = provision::core(&client, MESH, &Limits::default()).await.unwrap_err();
    let provision::Error::Differs { stream, differences } = &error else { panic!("{error:?}") };
    assert_eq!(stream, "DEVMESH_MY-MESH");
    let fields: Vec<_> = differences.iter().map(|d| d.field.as_str()).collect();
    for field in ["max_age", "deny_delete", "deny_purge", "duplicate_window"] {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
    let log = context.get_stream("DEVMESH_MY-MESH").await.unwrap();
    assert_eq!(log.cached_info().config.max_age, Duration::from_secs(3600));
}

#[tokio::test]
async fn the_log_can_neither_be_purged_nor_deleted_from() {
    let world = World::start().await;
    let coordinator = jetstream::new(world.coordinator().await);
    let publish = coordinator.publish("devmesh.my-mesh.log", "one".into());
    publish.await.unwrap().await.unwrap();
    // Not even with an admin's update.
    let admin = jetstream::new(world.connect("admin", Role::Admin, Account::Core).await);
    let log = admin.get_stream("DEVMESH_MY-MESH").await.unwrap();
    for (deny_delete, deny_purge) in [(false, true), (true, false)] {
        let config = log.cached_info().config.clone();
        let config = jetstream::stream::Config { deny_delete, deny_purge, ..config };
        assert!(admin.update_stream(config).await.is_err());
    }
}
