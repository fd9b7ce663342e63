//! Three servers that keep each stream together.

use async_nats::jetstream;
use devmesh_bus::connect;
use devmesh_bus::cred::{Account, Role, Trust};
use devmesh_bus::provision::{self, Limits};
use devmesh_bus::server::{self, Cluster};
use devmesh_testkit::nats::free_port;

use super::world::{MESH, options, until};

#[tokio::test]
async fn three_servers_keep_the_log_when_one_dies() {
    let dir = tempfile::tempdir().unwrap();
    let trust = Trust::open_or_create(dir.path(), MESH).unwrap();
    let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
    let mut servers = Vec::new();
    for (i, port) in ports.iter().enumerate() {
        let mut options = options(&dir.path().join(format!("s{i}")), &trust).await;
        options.name = format!("s{i}");
        options.cluster = Some(Cluster {
            name: "mesh".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: *port,
            routes: ports.iter().map(|p| format!("127.0.0.1:{p}")).collect(),
            secret: Some("s3cret".to_owned()),
        });
        servers.push(server::start(&options).await.unwrap());
    }
    let urls: Vec<_> = servers.iter().map(|s| s.url().to_owned()).collect();
    let urls = urls.join(",");
    let limits = Limits { replicas: 3, ..Limits::default() };
    let admin = trust.mint("admin", Role::Admin).unwrap();
    let core = connect::connect(&urls, admin.file(Account::Core), "admin").await.unwrap();
    provision::core(&core, MESH, &limits).await.unwrap();
    let side = connect::connect(&urls, admin.file(Account::Mesh), "admin").await.unwrap();
    provision::mesh(&side, MESH, &limits).await.unwrap();

    servers.remove(0).kill().await.unwrap();
    let coordinator = trust.mint("coordinator", Role::Coordinator).unwrap();
    let client = connect::connect(&urls, coordinator.file(Account::Core), "coordinator").await;
    let context = jetstream::new(client.unwrap());
    until("two of three acknowledge", || async {
        match context.publish("devmesh.my-mesh.log", "one".into()).await {
            Ok(ack) => ack.await.is_ok(),
            Err(_) => false,
        }
    })
    .await;
    for server in servers {
        server.stop().await.unwrap();
    }
}
