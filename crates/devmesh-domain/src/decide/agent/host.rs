//! What hosts have, and whether it is enough.

use devmesh_protocol::command::agent::Needs;
use devmesh_protocol::event::agent as event;
use devmesh_protocol::event::agent::{Capacity, Resource};
use devmesh_protocol::limits::GRANTS_PER_RECORD_MAX;
use devmesh_protocol::{Event, HostId};

use crate::state::State;

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
    let lack = |resource, needs, free| Err(Shortage { resource, needs, free });
    let Some(capacity) = state.hosts.get(host) else {
        return match needs.vram_mb {
            0 => Ok(None),
            vram_mb => lack(Resource::Vram, vram_mb, 0),
        };
    };
    let reserved = state.index.reserved.get(host).cloned().unwrap_or_default();
    let ram_mb = capacity.ram_mb.saturating_sub(reserved.ram_mb);
    if needs.ram_mb > ram_mb {
        return lack(Resource::Ram, needs.ram_mb, ram_mb);
    }
    let slots = capacity.slots.saturating_sub(reserved.slots);
    if needs.slots.max(1) > slots {
        return lack(Resource::Slots, needs.slots.max(1).into(), slots.into());
    }
    if needs.vram_mb == 0 {
        return Ok(None);
    }
    // The fullest GPU that still has it, so that large needs find room later.
    let free = (0_u32..).zip(&capacity.vram_mb).map(|(device, vram_mb)| {
        (vram_mb.saturating_sub(reserved.vram_mb.get(&device).copied().unwrap_or(0)), device)
    });
    let mut free: Vec<(u64, u32)> = free.collect();
    free.sort_unstable();
    match free.iter().find(|(free, _)| *free >= needs.vram_mb) {
        Some((_, device)) => Ok(Some(*device)),
        None => lack(Resource::Vram, needs.vram_mb, free.last().map_or(0, |(free, _)| *free)),
    }
}

/// A capacity is an event where it is new; samples are not.
pub(in crate::decide) fn host_measured(
    state: &State,
    host: &HostId,
    capacity: &Capacity,
) -> Vec<Event> {
    if state.hosts.get(host) == Some(capacity) {
        return Vec::new();
    }
    vec![event::HostMeasured { host: host.clone(), capacity: capacity.clone() }.into()]
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
