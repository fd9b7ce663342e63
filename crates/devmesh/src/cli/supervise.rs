//! The supervising process of `up -d`: in a session of its own, told by a pipe what to start.

use std::io::Read;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::mesh::{self, Plan, READY, TAKEN};

/// A plan is far shorter.
const PLAN_BYTES_MAX: u64 = 4 << 20;

/// Supervise a mesh (started by `up -d`, which writes the plan to stdin)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        // Where this fails the process leads a session already.
        let _ = nix::unistd::setsid();
        let state = context.state()?;
        let failed = || Error::failed("read the plan from stdin");
        let mut text = String::new();
        let read = std::io::stdin().lock().take(PLAN_BYTES_MAX).read_to_string(&mut text);
        read.map_err(|error| failed().because(error))?;
        let plan: Plan = serde_json::from_str(&text).map_err(|error| failed().because(error))?;
        if !mesh::supervise(&state, plan, |_| context.out.line(READY)).await? {
            context.out.line(TAKEN);
        }
        Ok(())
    }
}
