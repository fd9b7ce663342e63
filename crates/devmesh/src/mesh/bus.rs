//! The managed bus: the server, its streams, who may speak.

use std::net::TcpListener;

use devmesh_bus::cred::{Account, Role, Trust};
use devmesh_bus::server::{self, Server, ServerOptions};
use devmesh_bus::{connect, provision};

use super::plan::Plan;
use crate::error::{Error, Result, chain};
use crate::state_dir::{Ports, StateDir};

/// The seed's port of the dashboard.
const DASHBOARD_PORT: u16 = 7701;

/// What the server is started with.
pub(super) fn options(state: &StateDir, plan: &Plan, trust: &Trust) -> Result<ServerOptions> {
    let auth = trust.auth().map_err(|e| Error::failed("prepare the bus").because(chain(&e)))?;
    let mut options = ServerOptions::new(&plan.nats_server, state.path.join("nats"), auth);
    options.name = format!("devmesh-{}", state.mesh);
    options.log_file = Some(state.log_of("nats-server"));
    Ok(options)
}

/// Starts the server on the port that was asked for, else on last time's, else on a free one.
pub(super) async fn start(state: &StateDir, plan: &Plan, trust: &Trust) -> Result<Server> {
    let mut options = options(state, plan, trust)?;
    options.port = plan.port.unwrap_or_else(|| free_or(Ports::read(state).nats, 0));
    server::start(&options).await.map_err(|error| {
        let hint = match &error {
            server::Error::PortInUse { .. } => "choose another with --port".to_owned(),
            server::Error::StoreInUse { .. } => {
                "`devmesh down` ends what runs; then start again".to_owned()
            }
            _ => format!(
                "`devmesh doctor` looks closer; the log is {}",
                options.log_path().display()
            ),
        };
        Error::failed("start the bus").because(chain(&error)).hint(hint)
    })
}

/// The port of the dashboard: asked for, last time's, the usual one, or a free one. One that was
/// asked for has to be free: what answers there already would be taken for the dashboard.
pub(super) fn dashboard_port(state: &StateDir, plan: &Plan) -> Result<u16> {
    if let Some(port) = plan.dashboard_port {
        return TcpListener::bind(("127.0.0.1", port)).map(|_| port).map_err(|error| {
            Error::failed(format!("start the dashboard on port {port}"))
                .because(error)
                .hint("choose another with --dashboard-port")
        });
    }
    let usual = free_or(DASHBOARD_PORT, 0);
    let port = free_or(Ports::read(state).dashboard, usual);
    Ok(if port == 0 { any_free() } else { port })
}

fn free_or(port: u16, other: u16) -> u16 {
    let is_free = port != 0 && TcpListener::bind(("127.0.0.1", port)).is_ok();
    if is_free { port } else { other }
}

/// Whether somebody listens there.
pub(super) fn is_taken(port: u16) -> bool {
    free_or(port, 0) == 0
}

/// A port that is free now; 0 where there is none, which its user will say.
pub(super) fn any_free() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0));
    listener.and_then(|listener| listener.local_addr()).map(|at| at.port()).unwrap_or_default()
}

/// Makes and checks the streams, as the mesh's administrator.
pub(super) async fn provision(state: &StateDir, url: &str, trust: &Trust) -> Result<()> {
    let failed = || Error::failed("make the mesh's streams");
    let limits = provision::Limits::default();
    let mesh = state.mesh.as_str();
    let creds = |account| trust.creds_path("admin", Role::Admin, account);
    let core = connect::connect(url, Some(&creds(Account::Core)), "admin").await;
    let core = core.map_err(|error| failed().because(chain(&error)))?;
    provision::core(&core, mesh, &limits).await.map_err(|e| failed().because(chain(&e)))?;
    let side = connect::connect(url, Some(&creds(Account::Mesh)), "admin").await;
    let side = side.map_err(|error| failed().because(chain(&error)))?;
    provision::mesh(&side, mesh, &limits).await.map_err(|e| failed().because(chain(&e)))?;
    Ok(())
}
