//! `devmesh dashboard`: the web page.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::sync::oneshot;

use crate::context::Context;
use crate::error::{Error, Result, chain};
use crate::mesh::shutdown;
use crate::output::say;
use crate::state_dir::StateDir;

/// Run the dashboard: a web page on the same log
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    inner: devmesh_dashboard::Args,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        let mut inner = self.inner;
        let state = context.state()?;
        if inner.creds.is_none() {
            inner.creds = Some(state.creds_of(inner.actor.as_str()));
            inner.nats_url = context.nats_url(&state)?;
            inner.mesh = state.mesh.clone();
        }
        inner.token_file.get_or_insert_with(|| token_file(&state));
        let (bound, hears) = oneshot::channel();
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        tokio::spawn(async move {
            let Ok(bound): std::result::Result<devmesh_dashboard::Bound, _> = hears.await else {
                return;
            };
            say(format!("dashboard at {}", bound.url));
            // The link is a secret: for a person, and in no log.
            if is_terminal {
                say(format!("sign in once: {}", bound.sign_in));
            }
        });
        devmesh_dashboard::run(inner, bound, shutdown()?)
            .await
            .map_err(|error| Error::failed("show the dashboard").because(chain(&error)))
    }
}

/// The secret that sign-in links are made with.
fn token_file(state: &StateDir) -> std::path::PathBuf {
    state.path.join("keys").join("dashboard.secret")
}

/// What `up` starts a dashboard with on a port, and where that is.
pub(crate) fn spec(port: u16, state: &StateDir, person: &str) -> (Vec<OsString>, String) {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let args = vec![
        "--listen".into(),
        at.to_string().into(),
        "--token-file".into(),
        token_file(state).into(),
        "--person".into(),
        person.into(),
        "--person-creds".into(),
        state.creds_of(person).into(),
    ];
    (args, format!("http://{at}/"))
}

/// A link that signs one browser in, once; none where the dashboard has no secret yet.
pub(crate) fn sign_in(state: &StateDir, url: &str) -> Option<String> {
    devmesh_dashboard::sign_in_link(url, &token_file(state)).ok()
}
