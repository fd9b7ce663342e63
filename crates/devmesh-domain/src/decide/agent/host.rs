//! What hosts have, and whether it is enough.

mod strain;

use devmesh_protocol::command::agent::Needs;
use devmesh_protocol::event::agent as event;
use devmesh_protocol::event::agent::{Capacity, Measured, Resource};
use devmesh_protocol::limits::GRANTS_PER_RECORD_MAX;
use devmesh_protocol::limits::strain::{FREE_MS, FREE_PARTS, HOST_SILENT_MS};
use devmesh_protocol::report::HostReport;
use devmesh_protocol::{At, Event, HostId};

use crate::state::State;
use crate::state::host::Gauge;

/// What a host lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decide) struct Shortage {
    /// Of what.
    pub(in crate::decide) resource: Resource,
    /// How much is needed.
    pub(in crate::decide) needs: u64,
    /// How much is free, of one GPU the most.
    pub(in crate::decide) free: u64,
}

/// Whether a host has this beside what is reserved there, and on which GPU. A host that nobody
/// measures promises no GPU memory; of the rest it has what is asked for.
pub(in crate::decide) fn fits(
    state: &State,
    host: &HostId,
    needs: &Needs,
) -> Result<Option<u32>, Shortage> {
    fits_in(state, host, needs, state.measured(host))
}

/// The same by figures that may not be on record.
fn fits_in(
    state: &State,
    host: &HostId,
    needs: &Needs,
    measured: Option<&Measured>,
) -> Result<Option<u32>, Shortage> {
    let lack = |resource, needs, free| Err(Shortage { resource, needs, free });
    let Some(free) = free(state, host, measured) else {
        return match needs.vram_mb {
            0 => Ok(None),
            vram_mb => lack(Resource::Vram, vram_mb, 0),
        };
    };
    if needs.ram_mb > free.ram_mb {
        return lack(Resource::Ram, needs.ram_mb, free.ram_mb);
    }
    if needs.slots.max(1) > free.slots {
        return lack(Resource::Slots, needs.slots.max(1).into(), free.slots.into());
    }
    if needs.vram_mb == 0 {
        return Ok(None);
    }
    // The fullest GPU that still has it, so that large needs find room later.
    let mut devices: Vec<(u64, u32)> = free.vram_mb.into_iter().zip(0_u32..).collect();
    devices.sort_unstable();
    match devices.iter().find(|(free, _)| *free >= needs.vram_mb) {
        Some((_, device)) => Ok(Some(*device)),
        None => lack(Resource::Vram, needs.vram_mb, devices.last().map_or(0, |(free, _)| *free)),
    }
}

/// What a host has to give now: beside what is reserved, and not more than was measured. None
/// where its capacity is not known; one that is no longer measured has no GPU memory to give.
pub(crate) fn free(state: &State, host: &HostId, measured: Option<&Measured>) -> Option<Capacity> {
    let capacity = state.hosts.get(host)?;
    let reserved = state.index.reserved.get(host).cloned().unwrap_or_default();
    let is_silent = state.gauges.get(host).is_some_and(|gauge| gauge.silent_ms.is_some());
    let is_blind = is_silent && measured.is_none();
    let vram_mb = (0_u32..).zip(&capacity.vram_mb).map(|(device, vram_mb)| {
        let taken = reserved.vram_mb.get(&device).copied().unwrap_or(0);
        let beside = vram_mb.saturating_sub(taken);
        match measured {
            None if is_blind => 0,
            None => beside,
            Some(it) => beside.min(it.vram_free_mb.get(device as usize).copied().unwrap_or(0)),
        }
    });
    let ram_mb = capacity.ram_mb.saturating_sub(reserved.ram_mb);
    Some(Capacity {
        ram_mb: measured.map_or(ram_mb, |it| ram_mb.min(it.ram_free_mb)),
        vram_mb: vram_mb.collect(),
        slots: capacity.slots.saturating_sub(reserved.slots),
    })
}

/// How much of a host is free for an agent, in eighths, of what it has least: so few that a
/// figure's noise decides nothing. None where that is not measured.
pub(in crate::decide) fn room(state: &State, host: &HostId, needs: &Needs) -> Option<u64> {
    let measured = state.measured(host)?;
    let (capacity, free) = (state.hosts.get(host)?, free(state, host, Some(measured))?);
    if state.index.busy_hosts.contains(host) {
        return Some(0);
    }
    let eighths = |free: u64, all: u64| free.min(all).saturating_mul(8) / all.max(1);
    let ram = eighths(free.ram_mb, capacity.ram_mb);
    let slots = eighths(free.slots.into(), capacity.slots.into());
    let vram = free.vram_mb.iter().zip(&capacity.vram_mb).map(|(free, all)| eighths(*free, *all));
    let vram = vram.max().filter(|_| needs.vram_mb > 0).unwrap_or(8);
    Some(ram.min(slots).min(vram))
}

/// Samples are no events. One is made where the capacity is new, where other strains are there
/// than before, and, not too often, where what is free has moved by much or somebody has room now
/// who had none.
pub(in crate::decide) fn host_measured(
    state: &State,
    host: &HostId,
    capacity: &Capacity,
    report: Option<&HostReport>,
    at: At,
) -> Vec<Event> {
    let is_new = state.hosts.get(host) != Some(capacity);
    let gauge = state.gauges.get(host);
    let measured = report.map(|report| Measured {
        ram_free_mb: report.ram_free_mb,
        vram_free_mb: report.by_device(|gpu| gpu.vram_total_mb.saturating_sub(gpu.vram_used_mb)),
        strains: strain::strains(gauge, report, at),
    });
    let is_told = is_new
        || match (&measured, report, gauge) {
            (Some(measured), Some(report), Some(gauge)) => {
                tells(state, host, gauge, measured, report, at)
            }
            (Some(_), ..) => true,
            (None, ..) => false,
        };
    if !is_told {
        return Vec::new();
    }
    let (host, capacity) = (host.clone(), capacity.clone());
    vec![event::HostMeasured { host, capacity, measured }.into()]
}

/// Whether figures say something that those on record do not.
fn tells(
    state: &State,
    host: &HostId,
    gauge: &Gauge,
    measured: &Measured,
    report: &HostReport,
    at: At,
) -> bool {
    let Some(last) = gauge.live() else { return true };
    if last.strains != measured.strains {
        return true;
    }
    if at.since(gauge.measured_at) < FREE_MS {
        return false;
    }
    let moved = |was: u64, is: u64, all: u64| was.abs_diff(is) > all / FREE_PARTS;
    let vram = report.by_device(|gpu| gpu.vram_total_mb);
    let vram = vram.iter().enumerate().any(|(device, all)| {
        let of = |it: &Measured| it.vram_free_mb.get(device).copied().unwrap_or(0);
        moved(of(last), of(measured), *all)
    });
    vram || moved(last.ram_free_mb, measured.ram_free_mb, report.ram_total_mb)
        || makes_room(state, host, measured)
}

/// Whether an idle agent has room by these figures that had none by those on record: else it
/// would wait for a larger move that may never come.
fn makes_room(state: &State, host: &HostId, measured: &Measured) -> bool {
    let agents = state.index.agents_by_host.get(host).into_iter().flatten();
    let mut idle = agents.filter(|name| state.index.idle.contains(*name));
    idle.any(|name| {
        let needs = state.agents.get(name).map(|agent| agent.needs).unwrap_or_default();
        fits(state, host, &needs).is_err() && fits_in(state, host, &needs, Some(measured)).is_ok()
    })
}

/// The probe of a host has been silent for long.
pub(in crate::decide) fn host_silent(state: &State, host: &HostId, silent_ms: u64) -> Vec<Event> {
    let is_measured = state.measured(host).is_some();
    if !is_measured || silent_ms < HOST_SILENT_MS {
        return Vec::new();
    }
    vec![event::HostSilent { host: host.clone(), silent_ms }.into()]
}

/// Suspends and lets go on.
pub(super) fn judge(state: &State) -> Vec<Event> {
    let misjudged = state.index.misjudged.iter().take(GRANTS_PER_RECORD_MAX);
    misjudged
        .filter_map(|actor| {
            let agent = state.agents.get(actor)?;
            Some(match state.lack(actor, agent) {
                Some(suspended) => suspended.into(),
                None => event::AgentUnsuspended { actor: actor.clone() }.into(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
