//! GPUs through NVML. A driver that is not there is "no GPU".

use devmesh_protocol::report::Gpu;
use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;

const MIB: u64 = 1024 * 1024;

/// The driver's library, loaded once.
pub(crate) struct Gpus(Option<Nvml>);

impl Gpus {
    pub(crate) fn new() -> Gpus {
        Gpus(Nvml::init().ok())
    }

    /// Every device that answers. One that does not is left out: nothing can be reserved on it.
    pub(crate) fn read(&self, limit_mb: Option<u64>) -> Vec<Gpu> {
        let Some(nvml) = &self.0 else { return Vec::new() };
        let count = nvml.device_count().unwrap_or(0);
        (0..count).filter_map(|device| one(nvml, device, limit_mb)).collect()
    }
}

fn one(nvml: &Nvml, device: u32, limit_mb: Option<u64>) -> Option<Gpu> {
    let gpu = nvml.device_by_index(device).ok()?;
    let memory = gpu.memory_info().ok()?;
    Some(Gpu {
        device,
        name: gpu.name().unwrap_or_else(|_| "GPU".to_owned()),
        vram_total_mb: memory.total / MIB,
        vram_used_mb: memory.used / MIB,
        vram_limit_mb: limit_mb,
        use_percent: gpu.utilization_rates().ok().map(|rates| rates.gpu),
        celsius: gpu.temperature(TemperatureSensor::Gpu).ok(),
    })
}
