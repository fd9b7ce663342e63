//! The supervising process of `up -d`: in a session of its own, told by a file what to start.

use crate::context::Context;
use crate::error::{Error, Result};
use crate::mesh::{self, PLAN, Plan};

/// Supervise a mesh (started by `up -d`)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        // Where this fails the process leads a session already.
        let _ = nix::unistd::setsid();
        let state = context.state()?;
        let path = state.path.join(PLAN);
        let failed = || Error::failed(format!("read {}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|error| failed().because(error))?;
        let plan: Plan = serde_json::from_str(&text).map_err(|error| failed().because(error))?;
        let _ = std::fs::remove_file(&path);
        mesh::supervise(&state, plan, |_| context.out.line("ready")).await
    }
}
