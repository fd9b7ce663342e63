//! One look at the host.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use devmesh_protocol::id::plain;
use devmesh_protocol::report::HostReport;
use devmesh_protocol::{At, HostId};
use sysinfo::{Disks, System};

use crate::error::Result;
use crate::gpu::Gpus;
use crate::pressure;

const MIB: u64 = 1024 * 1024;

/// What agents may take together, where it is less than what there is. In MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory.
    pub ram_mb: Option<u64>,
    /// Memory of each GPU.
    pub vram_mb: Option<u64>,
    /// Agents at work.
    pub slots: Option<u32>,
    /// Work begins however strained the host is.
    pub ignore_strain: bool,
}

/// Measures a host. Holds what two looks share: the use of processors is a difference.
pub struct Probe {
    host: HostId,
    limits: Limits,
    disk: PathBuf,
    system: System,
    gpus: Gpus,
}

impl Probe {
    /// A probe of this machine under that name.
    pub fn new(host: HostId, limits: Limits, disk: PathBuf) -> Result<Probe> {
        let mut system = System::new()?;
        system.refresh_cpu_usage();
        Ok(Probe { host, limits, disk, system, gpus: Gpus::new() })
    }

    /// What the host has and does now.
    pub fn measure(&mut self) -> HostReport {
        self.system.refresh_memory();
        self.system.refresh_cpu_usage();
        let cpus = u32::try_from(self.system.cpus().len()).unwrap_or(u32::MAX).max(1);
        HostReport {
            host: self.host.clone(),
            at: now(),
            ram_total_mb: self.system.total_memory() / MIB,
            ram_free_mb: self.system.available_memory() / MIB,
            ram_limit_mb: self.limits.ram_mb,
            swap_total_mb: self.system.total_swap() / MIB,
            swap_used_mb: self.system.used_swap() / MIB,
            cpus,
            cpu_milli: (self.system.global_cpu_usage() * 10.0).clamp(0.0, 1000.0) as u32,
            load1_milli: System::load_average()
                .map_or(0, |load| (load.one * 1000.0).max(0.0) as u64),
            pressure: pressure::read(Path::new("/proc/pressure")),
            disk_free_mb: free_disk(&self.disk) / MIB,
            gpus: self.gpus.read(self.limits.vram_mb),
            slots: self.limits.slots.unwrap_or_else(|| places(cpus)),
            ignore_strain: self.limits.ignore_strain,
        }
    }
}

/// Agents at once where nobody says how many: they mostly wait for a model, so two to a processor,
/// and four on a small machine.
fn places(cpus: u32) -> u32 {
    cpus.saturating_mul(2).max(4)
}

/// Free bytes of the disk that holds the folder: the one with the longest mount point above it.
fn free_disk(folder: &Path) -> u64 {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let Ok(disks) = Disks::new_with_refreshed_list() else { return 0 };
    disks
        .iter()
        .filter(|disk| folder.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().as_os_str().len())
        .map_or(0, sysinfo::Disk::available_space)
}

fn now() -> At {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    At(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The machine's name in the alphabet of ids; `host` where nothing of it is left.
pub fn own_name() -> HostId {
    let name = System::host_name().ok().unwrap_or_default();
    HostId::new(&plain(&name)).unwrap_or_else(|_| HostId::new("host").expect("a plain word"))
}

#[cfg(test)]
mod tests;
