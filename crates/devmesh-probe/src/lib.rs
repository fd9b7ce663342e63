//! The hardware probe: measures its host and reports it, every two seconds.
//!
//! A report is soft state. The coordinator alone decides what follows from it, and only a change
//! of capacity becomes history.
//!
//! **Architecture invariant:** the probe has no state of the mesh and takes no command: it reads
//! the host and publishes numbers.
//!
//! **Architecture invariant:** what is not there is not an error. No GPU driver is "no GPU", a
//! kernel without pressure information reports none.

pub mod error;
mod gpu;
pub mod measure;
mod pressure;

use std::path::PathBuf;
use std::time::Duration;

use devmesh_bus::client::Client;
use devmesh_protocol::HostId;
use tokio_util::sync::CancellationToken;

pub use error::{Error, Result};
pub use measure::{Limits, Probe};

/// What the probe is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The name of this host; its own by default
    #[arg(long, env = "DEVMESH_HOST")]
    pub host: Option<HostId>,
    /// Memory that agents of this host may take together, in GiB
    #[arg(long, env = "DEVMESH_RAM_GB", value_name = "GIB",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub ram_gb: Option<u64>,
    /// Memory of each GPU that agents of this host may take together, in GiB
    #[arg(long, env = "DEVMESH_GPU_VRAM_GB", value_name = "GIB")]
    pub gpu_vram_gb: Option<u64>,
    /// Agents that may be at work on this host at once; two to a processor by default, at least
    /// four
    #[arg(long, env = "DEVMESH_SLOTS", value_parser = clap::value_parser!(u32).range(1..))]
    pub slots: Option<u32>,
    /// Let work begin however strained this host is: pressure, load, a full disk suspend nobody
    #[arg(long, env = "DEVMESH_IGNORE_STRAIN",
          value_parser = clap::builder::FalseyValueParser::new())]
    pub ignore_strain: bool,
    /// The folder whose disk is watched
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    pub disk: PathBuf,
    /// Seconds between two reports
    #[arg(long, env = "DEVMESH_HARDWARE_SAMPLE_INTERVAL_SEC", default_value_t = 2,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval: u64,
    /// Print one report as JSON and end
    #[arg(long)]
    pub once: bool,
}

impl Args {
    /// The limits in MiB.
    pub fn limits(&self) -> Limits {
        Limits {
            ram_mb: self.ram_gb.map(|gib| gib.saturating_mul(1024)),
            vram_mb: self.gpu_vram_gb.map(|gib| gib.saturating_mul(1024)),
            slots: self.slots,
            ignore_strain: self.ignore_strain,
        }
    }

    /// The host's name: as told, or the machine's own in the alphabet of ids.
    pub fn host_id(&self) -> HostId {
        self.host.clone().unwrap_or_else(measure::own_name)
    }
}

/// Measures and reports until it is told to end. A report that does not get through is dropped:
/// the next one says more.
pub async fn run(args: Args, client: Client, shutdown: CancellationToken) -> Result<()> {
    let mut probe = Probe::new(args.host_id(), args.limits(), args.disk.clone())?;
    let mut ticks = tokio::time::interval(Duration::from_secs(args.interval));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let report = probe.measure();
        if let Err(error) = client.report(&report).await {
            tracing::warn!(%error, host = %report.host, "a hardware report did not get through");
        }
    }
}
