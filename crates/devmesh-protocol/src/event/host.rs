//! Events of hosts: what they have, what is free there, and what strains them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent::AgentSuspended;
use crate::id::HostId;

/// What a host can lack, or suffer from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Memory in MiB.
    Ram,
    /// Memory of one GPU in MiB.
    Vram,
    /// Places.
    Slots,
    /// The share of time in which something waited for memory, in thousandths.
    MemoryPressure,
    /// The share of memory that programs can still get, in thousandths.
    FreeRam,
    /// The share of swap in use, in thousandths.
    Swap,
    /// The share of time in which something waited for a disk, in thousandths.
    IoPressure,
    /// Free space where worktrees lie, in MiB.
    Disk,
    /// The share of time in which something waited for a processor, in thousandths. It suspends
    /// nobody: starts are spread out.
    CpuPressure,
    /// The load average of a minute in thousandths. It suspends nobody either.
    Load,
}

impl Resource {
    /// Whether it only spreads starts out: work on a busy processor is slower, and gets done.
    pub fn staggers(self) -> bool {
        matches!(self, Resource::CpuPressure | Resource::Load)
    }

    fn name(self) -> &'static str {
        match self {
            Resource::Ram => "memory",
            Resource::Vram => "GPU memory",
            Resource::Slots => "places",
            Resource::MemoryPressure => "memory pressure",
            Resource::FreeRam => "free memory",
            Resource::Swap => "swap in use",
            Resource::IoPressure => "disk pressure",
            Resource::Disk => "free disk",
            Resource::CpuPressure => "processor pressure",
            Resource::Load => "load",
        }
    }

    /// A number of it, with its unit.
    fn amount(self, n: u64) -> String {
        match self {
            Resource::Ram | Resource::Vram | Resource::Disk => format!("{n} MiB"),
            Resource::Slots => n.to_string(),
            Resource::Load => format!("{}.{:02}", n / 1_000, n % 1_000 / 10),
            Resource::MemoryPressure
            | Resource::FreeRam
            | Resource::Swap
            | Resource::IoPressure
            | Resource::CpuPressure => format!("{}.{} %", n / 10, n % 10),
        }
    }
}

/// Something of which a host has too much, or too little, to begin more work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Strain {
    /// Of what.
    pub what: Resource,
    /// What was measured when it began.
    pub measured: u64,
    /// The mark that this passed.
    pub mark: u64,
}

impl fmt::Display for Strain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, measured) = (self.what.name(), self.what.amount(self.measured));
        write!(f, "{what} {measured}, mark {}", self.what.amount(self.mark))
    }
}

/// What keeps the agent from work: `it needs 4000 MiB of memory, 3000 MiB are free`.
impl fmt::Display for AgentSuspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.resource;
        let (needs, free) = (what.amount(self.needs), what.amount(self.free));
        if what == Resource::Slots {
            return write!(f, "it needs {needs} places, {free} are free");
        }
        if matches!(what, Resource::Ram | Resource::Vram) {
            return write!(f, "it needs {needs} of {}, {free} are free", what.name());
        }
        let strain = Strain { what, measured: self.free, mark: self.needs };
        write!(f, "its host is strained: {strain}")
    }
}

/// What a host can give to agents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Capacity {
    /// Memory in MiB: the smaller of the limit set and the memory there is.
    pub ram_mb: u64,
    /// Memory of each GPU in MiB, by device; empty: no GPU.
    pub vram_mb: Vec<u64>,
    /// Places for agents at work.
    pub slots: u32,
}

/// What was measured of a host, as far as decisions depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Memory that programs can still get, in MiB.
    pub ram_free_mb: u64,
    /// Free memory of each GPU in MiB, by device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vram_free_mb: Vec<u64>,
    /// What the host suffers from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strains: Vec<Strain>,
}

/// A host's capacity became known or changed, or what is free there did so by much, or it is
/// strained by other things than before. Samples are not events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostMeasured {
    /// Which.
    pub host: HostId,
    /// What it can give.
    pub capacity: Capacity,
    /// What was measured there; none in records of before it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// A host's probe reports no more: what was measured there no longer counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostSilent {
    /// Which.
    pub host: HostId,
    /// For how long it had been silent.
    pub silent_ms: u64,
}

#[cfg(test)]
mod tests;
