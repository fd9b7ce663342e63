//! The JSON door, driven by a client that is not ours: nats-py, with the credentials that any NATS
//! client reads. A real server with its two accounts, a real coordinator, one process for each
//! actor.

mod bad;
mod client;
mod verbs;

use std::io::Write as _;
use std::path::PathBuf;

use devmesh_bus::cred::{Account, Role};
use devmesh_protocol::MeshId;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::world::{MESH, World};
use client::Door;

/// A mesh with its coordinator, and clients of others.
struct Mesh {
    world: World,
    packages: PathBuf,
    stop: CancellationToken,
    coordinator: tokio::task::JoinHandle<Result<(), devmesh_coordinator::Error>>,
}

impl Mesh {
    /// Started and led; none where Python or its package is not to be had.
    async fn start() -> Option<Self> {
        let packages = match tokio::task::spawn_blocking(devmesh_testkit::python::packages).await {
            Ok(Ok(packages)) => packages,
            Ok(Err(why)) => {
                // Past the capture of the test runner: a skipped test shall be seen.
                let _ = writeln!(std::io::stderr(), "SKIP: nats-py is not to be had: {why}");
                return None;
            }
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let world = World::start().await;
        let minted = world.mint("coordinator", Role::Coordinator);
        let args = devmesh_coordinator::Args {
            nats_url: world.server.url().to_owned(),
            creds: minted.file(Account::Core).map(Into::into),
            mesh: MeshId::new(MESH).unwrap(),
            node: Some("here".to_owned()),
            state_dir: Some(world.dir.path().join("coordinator")),
            store_dir: None,
            trust_everybody: false,
        };
        let stop = CancellationToken::new();
        let coordinator = tokio::spawn(devmesh_coordinator::run(args, stop.clone()));
        Some(Self { world, packages, stop, coordinator })
    }

    /// A client under a credential of its own.
    async fn door(&self, name: &str, role: Role) -> Door {
        let minted = self.world.mint(name, role);
        let creds = minted.file(Account::Mesh).unwrap();
        Door::open(&self.packages, self.world.server.url(), creds, name).await
    }

    /// Clients of the administrator and a person, with a repository.
    async fn furnished(&self) -> (Door, Door) {
        let mut admin = self.door("admin", Role::Admin).await;
        admin.until_led().await;
        for (actor, role) in [("pat", "person"), ("ada", "agent"), ("ben", "agent")] {
            let added = admin.ok("actor.add", json!({ "actor": actor, "role": role })).await;
            assert_eq!(added, json!({ "actor": actor, "role": role }));
        }
        let mut pat = self.door("pat", Role::Person).await;
        let body = json!({ "name": "web", "path": "/srv/web", "verify": ["make test"] });
        let repo = pat.ok("repo.add", body).await;
        assert_eq!(repo["repo"], "web");
        assert_eq!(repo["target"], "devmesh/landed/main");
        (admin, pat)
    }

    async fn end(self) {
        self.stop.cancel();
        self.coordinator.await.unwrap().unwrap();
    }
}
