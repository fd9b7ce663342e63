//! The dashboard: a web page over WebSocket, on the same fold as everything else.
//!
//! The process reads the log with the reader that the coordinator and replay use, keeps one row
//! for each thing that a page shows, and sends every browser a snapshot first and then what
//! changes. What people click goes out as commands, like anybody's, to the coordinator.
//!
//! **Architecture invariant:** the page shows what the log says. Nothing here writes the log or
//! decides; what the fold cannot know (heartbeats, samples) is marked as asked for.
//!
//! **Architecture invariant:** [`step`] is all there is of judgement and reads no clock, network
//! or disk. The web side ([`web`]) knows sockets and secrets and nothing of the mesh.
//!
//! **Architecture invariant:** no request names a file, no GET changes anything but the sign-in,
//! and no page or socket of another origin is answered.
//!
//! **Architecture invariant:** a browser that does not keep up costs a bounded queue and is let
//! go; it comes back by itself and is given what it missed, or a snapshot.

pub mod effect;
pub mod error;
pub mod input;
pub mod serve;
pub mod step;
pub mod view;
pub mod web;
pub mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use devmesh_bus::client::Client;
use devmesh_bus::connect;
use devmesh_bus::log::Open;
use devmesh_bus::log::nats::NatsOpen;
use devmesh_protocol::{ActorId, MeshId};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub use error::{Error, Result};
pub use serve::{Parts, serve};
pub use web::secret::{Secret, sign_in_link};

use crate::effect::{Ask, Request};

/// The port where none is asked for; the next free one where it is taken.
pub const PORT: u16 = 7701;

/// How long a command or query is sent again before its outcome is told as unknown.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What a dashboard is told when it starts.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The bus; several servers with a comma between
    #[arg(long, env = "DEVMESH_NATS_URL", default_value = "nats://127.0.0.1:4222")]
    pub nats_url: String,
    /// The dashboard's credential, NAME.creds; its reading half, NAME.core.creds, lies beside it
    #[arg(long, env = "DEVMESH_CREDS")]
    pub creds: Option<PathBuf>,
    /// The credential's name
    #[arg(long, default_value = "dashboard")]
    pub actor: ActorId,
    /// Send commands with this person's credential instead of the dashboard's own
    #[arg(long, requires = "person")]
    pub person_creds: Option<PathBuf>,
    /// The person whose credential that is
    #[arg(long)]
    pub person: Option<ActorId>,
    /// The mesh to show
    #[arg(long, env = "DEVMESH_MESH", default_value = "default")]
    pub mesh: MeshId,
    /// Where to listen; 127.0.0.1:7701 or the next free port where none is given
    #[arg(long, env = "DEVMESH_DASHBOARD_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// A name or address that browsers may reach it by, beside the one it listens on
    #[arg(long = "host-name", value_name = "NAME")]
    pub host_names: Vec<String>,
    /// A file (0600) with the secret that sign-in links are made with; made where it is missing
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Where a dashboard listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Its address, `http://127.0.0.1:7701/`.
    pub url: String,
    /// A link that signs one browser in, once. A secret: print it to a person, log it nowhere.
    pub sign_in: String,
}

/// Runs a dashboard until `shutdown`. `bound` hears where it listens as soon as it does.
///
/// # Errors
/// Where it cannot listen, its secret cannot be read, or the bus is not reached at the start.
pub async fn run(
    args: Args,
    bound: oneshot::Sender<Bound>,
    shutdown: CancellationToken,
) -> Result<()> {
    let secret = match &args.token_file {
        Some(path) => Secret::read_or_make(path)?,
        None => Secret::random()?,
    };
    let listener = web::listen::bind(args.listen).await?;
    let options = connect::Options { name: Some("devmesh dashboard".into()), ..Default::default() };
    let core = args.creds.as_deref().map(core_half);
    let (url, mesh) = (args.nats_url.as_str(), &args.mesh);
    let open = NatsOpen::new(url, core.as_deref(), mesh, args.actor.as_str(), options.clone());
    let bus = |what: &'static str| move |source| Error::Bus { what, source };
    let log = open.open().await.map_err(bus("read the log"))?;
    let (creds, actor) = match (&args.person_creds, &args.person) {
        (Some(creds), Some(person)) => (Some(creds.as_path()), person.clone()),
        _ => (args.creds.as_deref(), args.actor.clone()),
    };
    let client = Client::connect_with(url, creds, mesh, &actor, &options).await;
    let client = client.map_err(bus("reach the mesh"))?;
    let parts = Parts {
        log,
        ask: over(client),
        mesh: args.mesh,
        actor,
        listener,
        secret,
        host_names: args.host_names,
    };
    serve(parts, bound, shutdown).await
}

/// The reading half of a credential in `NAME.creds` is in `NAME.core.creds`.
fn core_half(creds: &Path) -> PathBuf {
    creds.with_extension("core.creds")
}

/// Sends what the page asks for over the bus.
fn over(client: Client) -> Ask {
    Arc::new(move |request| {
        let client = client.clone();
        Box::pin(async move {
            match request {
                Request::Command(command) => client.submit(&command, ANSWER_WITHIN).await,
                Request::Query { what, body } => client.query(what, body, ANSWER_WITHIN).await,
            }
        })
    })
}
