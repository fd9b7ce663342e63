//! What strains a host: figures against their marks, with what was so before.

use devmesh_protocol::At;
use devmesh_protocol::event::agent::{Resource, Strain};
use devmesh_protocol::limits::strain::{
    CPU_PRESSURE_MILLI, DISK_FREE_MB, IO_PRESSURE_MILLI, LOAD_MILLI, MEMORY_PRESSURE_MILLI, Marks,
    RAM_FREE_MILLI, RAM_SCARCE_MILLI, SWAP_USED_MILLI, TURN_MS,
};
use devmesh_protocol::report::{HostReport, Pressure};

use crate::state::host::Gauge;

/// A figure and where it stands to its marks; between them it neither begins nor ends a strain.
struct Figure {
    what: Resource,
    measured: u64,
    mark: u64,
    begins: bool,
    ends: bool,
}

/// What strains the host by this report, in a fixed order. A strain that goes on keeps the number
/// with which it began.
pub(super) fn strains(gauge: Option<&Gauge>, report: &HostReport, at: At) -> Vec<Strain> {
    let before = |what| {
        let strains = gauge.map_or(&[][..], |gauge| &gauge.measured.strains);
        strains.iter().find(|strain| strain.what == what)
    };
    let may_turn = |what| {
        let turned = gauge.and_then(|gauge| gauge.turned.get(&what));
        turned.is_none_or(|turned| at.since(*turned) >= TURN_MS)
    };
    let judge = |figure: Figure| {
        let Figure { what, measured, mark, begins, ends } = figure;
        match before(what) {
            Some(_) if ends && may_turn(what) => None,
            Some(strain) => Some(strain.clone()),
            None => (begins && may_turn(what)).then_some(Strain { what, measured, mark }),
        }
    };
    figures(report).into_iter().filter_map(judge).collect()
}

/// All figures, whether or not the host tells them: what it does not tell strains nothing.
fn figures(report: &HostReport) -> [Figure; 7] {
    let Pressure { cpu_milli, memory_milli, io_milli } = report.pressure.unwrap_or_default();
    let ram_free = share(report.ram_free_mb, report.ram_total_mb).unwrap_or(1_000);
    let swap_used = share(report.swap_used_mb, report.swap_total_mb).unwrap_or(0);
    let swap = over(Resource::Swap, swap_used, SWAP_USED_MILLI);
    let swap = Figure {
        begins: swap.begins && ram_free <= RAM_SCARCE_MILLI.begins,
        ends: swap.ends || ram_free > RAM_SCARCE_MILLI.ends,
        ..swap
    };
    let cpus = u64::from(report.cpus.max(1));
    let load = Marks { begins: LOAD_MILLI.begins * cpus, ends: LOAD_MILLI.ends * cpus };
    let mut figures = [
        over(Resource::MemoryPressure, memory_milli.into(), MEMORY_PRESSURE_MILLI),
        under(Resource::FreeRam, ram_free, RAM_FREE_MILLI),
        swap,
        over(Resource::IoPressure, io_milli.into(), IO_PRESSURE_MILLI),
        under(Resource::Disk, report.disk_free_mb, DISK_FREE_MB),
        over(Resource::CpuPressure, cpu_milli.into(), CPU_PRESSURE_MILLI),
        over(Resource::Load, report.load1_milli, load),
    ];
    if report.ignore_strain {
        for figure in &mut figures {
            (figure.begins, figure.ends) = (false, true);
        }
    }
    figures
}

/// A part in thousandths of a whole that there is.
fn share(part: u64, whole: u64) -> Option<u64> {
    let milli = u128::from(part.min(whole)) * 1_000;
    u64::try_from(milli.checked_div(whole.into())?).ok()
}

/// Too much of it is a strain.
fn over(what: Resource, measured: u64, marks: Marks) -> Figure {
    let (begins, ends) = (measured >= marks.begins, measured < marks.ends);
    Figure { what, measured, mark: marks.begins, begins, ends }
}

/// Too little of it is a strain.
fn under(what: Resource, measured: u64, marks: Marks) -> Figure {
    let (begins, ends) = (measured <= marks.begins, measured > marks.ends);
    Figure { what, measured, mark: marks.begins, begins, ends }
}
