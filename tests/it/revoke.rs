//! A credential that is ended is ended now, and stays so.

use std::path::Path;

use async_nats::connection::State;
use devmesh_bus::cred::{self, Account, Role, Trust};
use devmesh_bus::{connect, server};

use super::world::{MESH, World, options, until};

async fn may_connect(url: &str, creds: &Path, name: &str) -> bool {
    match connect::connect(url, Some(creds), name).await {
        Ok(_) => true,
        Err(error) => {
            assert!(error.is_denied(), "{error:?}");
            false
        }
    }
}

#[tokio::test]
async fn revoking_cuts_the_connection_and_refuses_the_next() {
    let world = World::start().await;
    let copy = world.dir.path().join("stolen.creds");
    let alice = world.mint("alice", Role::Agent);
    std::fs::copy(alice.file(Account::Mesh).unwrap(), &copy).unwrap();
    let connected = connect::connect(world.server.url(), Some(&copy), "alice").await.unwrap();
    let bystander = world.agent("bob").await;

    assert_eq!(world.trust.revoke("alice", world.server.url()).await.unwrap(), 1);

    until("the connection is cut", || async { connected.connection_state() != State::Connected })
        .await;
    assert!(!may_connect(world.server.url(), &copy, "alice").await);
    assert!(!alice.file(Account::Mesh).unwrap().exists(), "its file is gone");
    bystander.flush().await.unwrap();
    assert_eq!(bystander.connection_state(), State::Connected);

    // A new credential of the same name is another key.
    let again = world.mint("alice", Role::Agent);
    assert!(may_connect(world.server.url(), again.file(Account::Mesh).unwrap(), "alice").await);
}

#[tokio::test]
async fn a_revocation_holds_after_a_restart_and_on_a_lost_resolver() {
    let world = World::start().await;
    let copy = world.dir.path().join("stolen.creds");
    let alice = world.mint("alice", Role::Agent);
    std::fs::copy(alice.file(Account::Mesh).unwrap(), &copy).unwrap();
    world.trust.revoke("alice", world.server.url()).await.unwrap();
    let bob = world.mint("bob", Role::Agent);

    let World { trust, server, dir } = world;
    server.stop().await.unwrap();
    std::fs::remove_dir_all(dir.path().join("nats/accounts")).unwrap();
    drop(trust);
    let trust = Trust::open_or_create(dir.path(), MESH).unwrap();
    let server = server::start(&options(dir.path(), &trust).await).await.unwrap();
    assert!(!may_connect(server.url(), &copy, "alice").await);
    assert!(may_connect(server.url(), bob.file(Account::Mesh).unwrap(), "bob").await);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn without_a_server_a_revocation_is_recorded_and_said_to_wait() {
    let world = World::start().await;
    let copy = world.dir.path().join("stolen.creds");
    let alice = world.mint("alice", Role::Agent);
    std::fs::copy(alice.file(Account::Mesh).unwrap(), &copy).unwrap();
    let World { trust, server, dir } = world;
    let url = server.url().to_owned();
    server.stop().await.unwrap();
    let error = trust.revoke("alice", &url).await.unwrap_err();
    assert!(matches!(error, cred::Error::NotPushed { .. }), "{error}");
    let server = server::start(&options(dir.path(), &trust).await).await.unwrap();
    assert!(!may_connect(server.url(), &copy, "alice").await);
}

#[tokio::test]
async fn a_credential_of_another_mesh_or_none_is_refused() {
    let world = World::start().await;
    let other = tempfile::tempdir().unwrap();
    let stranger = Trust::open_or_create(other.path(), MESH).unwrap();
    let stranger = stranger.mint("alice", Role::Agent).unwrap();
    let creds = stranger.file(Account::Mesh).unwrap();
    assert!(!may_connect(world.server.url(), creds, "alice").await);
    assert!(connect::connect(world.server.url(), None, "alice").await.unwrap_err().is_denied());
}

#[tokio::test]
async fn a_credential_ends_with_its_time() {
    let world = World::start().await;
    let short = std::time::Duration::from_secs(1);
    let minted = world.trust.mint_for("guest", Role::Viewer, Some(short)).unwrap();
    let creds = minted.file(Account::Mesh).unwrap();
    until("the credential has ended", || async {
        !may_connect(world.server.url(), creds, "guest").await
    })
    .await;
}
