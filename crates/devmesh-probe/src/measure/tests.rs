//! A look at the machine that runs the test.

use super::*;

#[test]
fn this_machine_is_measured() {
    let limits = Limits { ram_mb: Some(512), vram_mb: Some(64), ..Limits::default() };
    let host = HostId::new("here").unwrap();
    let report = Probe::new(host, limits, PathBuf::from(".")).unwrap().measure();
    assert!(report.ram_total_mb > 0 && report.ram_free_mb <= report.ram_total_mb);
    assert!(report.cpus >= 1 && report.slots >= 4 && report.slots >= 2 * report.cpus);
    assert!(report.disk_free_mb > 0, "the sources lie on a disk");
    assert_eq!(report.ram_limit_mb, Some(512));
    assert!(report.gpus.iter().all(|gpu| gpu.vram_limit_mb == Some(64)));
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<HostReport>(&json).unwrap(), report);
}
