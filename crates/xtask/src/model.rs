//! The model check in full: minutes where the run with the other tests takes seconds.

use crate::cargo::{cargo, run};
use crate::error::Result;

/// How long to explore.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Seconds for each world at most; what is cut off says so.
    #[arg(long, default_value_t = 3_600)]
    seconds: u64,
}

/// Explores all worlds, then shows which promise notices each deliberate bug.
pub(crate) fn model(args: &Args) -> Result<()> {
    let mut command = cargo(&["test", "--release", "-p", "devmesh-model", "--"]);
    command.args(["all_worlds", "--nocapture", "--test-threads", "1"]);
    command.env("DEVMESH_MODEL_SEC", args.seconds.to_string());
    run(command)?;
    let mut table = cargo(&["test", "--release", "-p", "devmesh-model", "--", "planted"]);
    table.args(["--nocapture", "--test-threads", "1"]);
    run(table)
}
