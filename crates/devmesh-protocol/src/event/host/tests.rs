//! Numbers of hosts in words.

use super::*;

#[test]
fn a_strain_says_what_was_measured_and_the_mark() {
    for (what, measured, mark, words) in [
        (Resource::MemoryPressure, 431, 200, "memory pressure 43.1 %, mark 20.0 %"),
        (Resource::FreeRam, 7, 100, "free memory 0.7 %, mark 10.0 %"),
        (Resource::Swap, 990, 900, "swap in use 99.0 %, mark 90.0 %"),
        (Resource::IoPressure, 800, 700, "disk pressure 80.0 %, mark 70.0 %"),
        (Resource::Disk, 12, 1_024, "free disk 12 MiB, mark 1024 MiB"),
        (Resource::CpuPressure, 505, 500, "processor pressure 50.5 %, mark 50.0 %"),
        (Resource::Load, 9_137, 8_000, "load 9.13, mark 8.00"),
    ] {
        assert_eq!(Strain { what, measured, mark }.to_string(), words);
    }
}

#[test]
fn who_is_suspended_is_told_the_numbers() {
    let actor = crate::ActorId::new("codex").unwrap();
    for (resource, needs, free, words) in [
        (Resource::Ram, 4_000, 3_000, "it needs 4000 MiB of memory, 3000 MiB are free"),
        (Resource::Vram, 80, 0, "it needs 80 MiB of GPU memory, 0 MiB are free"),
        (Resource::Slots, 2, 1, "it needs 2 places, 1 are free"),
        (Resource::Disk, 1_024, 12, "its host is strained: free disk 12 MiB, mark 1024 MiB"),
    ] {
        let suspended = AgentSuspended { actor: actor.clone(), resource, needs, free };
        assert_eq!(suspended.to_string(), words);
    }
}

#[test]
fn a_record_of_before_reads_as_one_without_figures() {
    let old = r#"{"host":"h","capacity":{"ram_mb":1,"vram_mb":[],"slots":2}}"#;
    let event: HostMeasured = serde_json::from_str(old).unwrap();
    assert_eq!(event.measured, None);
    assert_eq!(serde_json::to_string(&event).unwrap(), old, "and is written as it was");
}
