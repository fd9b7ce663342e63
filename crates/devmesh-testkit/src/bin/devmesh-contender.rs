//! People who contend for leases, as a process that can be killed; see
//! [`devmesh_testkit::contender`].

use clap::Parser;
use devmesh_testkit::contender::{Args, contend};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(contend(&args))
}
