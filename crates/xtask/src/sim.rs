//! The simulation of whole meshes, built for speed and run on all cores.

use crate::cargo::{cargo, run};
use crate::error::Result;

/// Which runs.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// How many.
    #[arg(long, default_value_t = 5_000)]
    seeds: u64,
    /// The first seed; a run that failed is run again by its own.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Steps of each under faults, before everything has to come to its end.
    #[arg(long, default_value_t = 2_000)]
    steps: u64,
    /// Plant every deliberate bug instead, and show which seed notices each.
    #[arg(long)]
    bugs: bool,
}

/// Runs them; a run that fails leaves its log in `replay/histories/sim-SEED`.
pub(crate) fn sim(args: &Args) -> Result<()> {
    if args.bugs {
        let mut table = cargo(&["test", "--release", "-p", "devmesh-sim", "--", "bugs"]);
        table.arg("--nocapture").env("DEVMESH_SIM_BUGS", "all");
        return run(table);
    }
    let mut command =
        cargo(&["run", "--release", "--quiet", "--locked", "-p", "devmesh-sim", "--"]);
    for (name, number) in [("--seeds", args.seeds), ("--seed", args.seed), ("--steps", args.steps)]
    {
        command.args([name, &number.to_string()]);
    }
    run(command)
}
