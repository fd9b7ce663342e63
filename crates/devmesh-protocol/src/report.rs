//! Soft state: heartbeats and hardware samples. They live in memory only; what follows from them
//! enters the log with the measured number.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Capacity;
use crate::id::{ActorId, HostId, LeaseId, SessionId, TaskId};
use crate::time::At;

/// A heartbeat, sent as a request every 4 s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Beat {
    /// Whose.
    pub session: SessionId,
    /// The highest `seq` its sender has seen; a leader below it halts.
    pub seen: u64,
}

/// The answer to a heartbeat: only a leader whose write or leader-read succeeded within the last
/// second gives one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeatReply {
    /// The current term.
    pub epoch: u64,
    /// The newest record.
    pub seq: u64,
    /// Whether the session is the actor's live one; where not, it must join anew.
    pub live: bool,
    /// The leases it holds.
    pub leases: Vec<LeaseId>,
    /// What stands still: notices of it are best effort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// The task that it works on or reviews: notices of that are best effort as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<TaskId>,
}

/// What stands still for one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// The mesh is paused: nothing new starts.
    pub mesh: bool,
    /// What the agent works on stands still: the mesh is paused at once, or the task is.
    pub work: bool,
}

/// What a probe measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostReport {
    /// Which host.
    pub host: HostId,
    /// When, by its own clock.
    pub at: At,
    /// Memory in MiB.
    pub ram_total_mb: u64,
    /// Memory that programs can still get, in MiB.
    pub ram_free_mb: u64,
    /// The limit set by `DEVMESH_RAM_GB`, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram_limit_mb: Option<u64>,
    /// Swap in MiB.
    pub swap_total_mb: u64,
    /// Swap in use in MiB.
    pub swap_used_mb: u64,
    /// Logical processors.
    pub cpus: u32,
    /// Use of all processors together in thousandths.
    pub cpu_milli: u32,
    /// Load average of a minute in thousandths.
    pub load1_milli: u64,
    /// Share of the last ten seconds in which something waited, in thousandths, where the kernel
    /// tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
    /// Free space where worktrees lie, in MiB.
    pub disk_free_mb: u64,
    /// One entry a GPU; empty: no GPU.
    #[serde(default)]
    pub gpus: Vec<Gpu>,
    /// Places for agents at work.
    pub slots: u32,
    /// Whoever runs the host wants work to begin however strained it is
    /// (`DEVMESH_IGNORE_STRAIN`). What it has is not exceeded for that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_strain: bool,
}

/// GPUs of one host that are counted.
const GPUS_MAX: usize = 64;

impl HostReport {
    /// What the host can give: the smaller of what there is and the limit that was set.
    pub fn capacity(&self) -> Capacity {
        let within = |total: u64, limit: Option<u64>| limit.map_or(total, |limit| limit.min(total));
        Capacity {
            ram_mb: within(self.ram_total_mb, self.ram_limit_mb),
            vram_mb: self.by_device(|gpu| within(gpu.vram_total_mb, gpu.vram_limit_mb)),
            slots: self.slots,
        }
    }

    /// A number of each GPU, by device; 0 for one that did not answer.
    pub fn by_device(&self, number: impl Fn(&Gpu) -> u64) -> Vec<u64> {
        let devices = self.gpus.iter().map(|gpu| gpu.device as usize + 1).max().unwrap_or(0);
        let mut all = vec![0; devices.min(GPUS_MAX)];
        for gpu in &self.gpus {
            if let Some(device) = all.get_mut(gpu.device as usize) {
                *device = number(gpu);
            }
        }
        all
    }
}

/// Pressure stall information, `some avg10` in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pressure {
    /// Waiting for a processor.
    pub cpu_milli: u32,
    /// Waiting for memory.
    pub memory_milli: u32,
    /// Waiting for a disk.
    pub io_milli: u32,
}

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// The driver's number.
    pub device: u32,
    /// Its name.
    pub name: String,
    /// Its memory in MiB.
    pub vram_total_mb: u64,
    /// Memory in use in MiB.
    pub vram_used_mb: u64,
    /// The limit set by `DEVMESH_GPU_VRAM_GB`, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vram_limit_mb: Option<u64>,
    /// Use in percent, where the driver tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_percent: Option<u32>,
    /// Temperature in degrees Celsius, where the driver tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub celsius: Option<u32>,
}

/// One line of an attempt's output, on the output stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputLine {
    /// When it was read.
    pub at: At,
    /// Where it came from.
    pub from: OutputFrom,
    /// What it says, as printed.
    pub text: String,
}

/// Where an output line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputFrom {
    /// The tool's standard output.
    Stdout,
    /// The tool's standard error.
    Stderr,
    /// A verify command.
    Verify,
    /// The agent process itself.
    Agent,
}

/// The leader's beat, every 100 ms: a hint for standbys, never the fence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaderBeat {
    /// The term.
    pub epoch: u64,
    /// Who leads.
    pub node: String,
    /// The newest record.
    pub seq: u64,
    /// Agents whose heartbeats it has answered within the last half second. A standby may have
    /// missed one that the leader heard, and must not think its sender silent once it leads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answered: Vec<ActorId>,
}
