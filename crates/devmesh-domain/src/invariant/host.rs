//! What holds of work that begins on a host.

use devmesh_protocol::command::agent::Needs;
use devmesh_protocol::{Event, HostId, Record};

use crate::state::State;

/// S11: what begins on a host has room there, by what was on record before: within the limits
/// beside all that is reserved, and not more than was measured to be free.
pub fn s11_begins_with_room(before: &State, record: &Record, after: &State) -> Result<(), String> {
    for event in &record.events {
        if let Event::TaskAwarded(e) = event {
            has_room(before, after, &e.host, e.needs, e.device)?;
        } else if let Event::ReviewAssigned(e) = event {
            has_room(before, after, &e.host, e.needs, e.device)?;
        }
    }
    Ok(())
}

fn has_room(
    before: &State,
    after: &State,
    host: &HostId,
    needs: Needs,
    device: Option<u32>,
) -> Result<(), String> {
    let within = |what: &str, needs: u64, reserved: u64, limit: u64| match needs {
        1.. if reserved > limit => Err(format!("{reserved} {what} of {limit} are taken on {host}")),
        _ => Ok(()),
    };
    let Some(capacity) = before.hosts.get(host) else { return Ok(()) };
    let Some(reserved) = after.index.reserved.get(host) else { return Ok(()) };
    within("MiB", needs.ram_mb, reserved.ram_mb, capacity.ram_mb)?;
    within("places", needs.slots.max(1).into(), reserved.slots.into(), capacity.slots.into())?;
    if let Some(measured) = before.measured(host) {
        within("free MiB", needs.ram_mb, needs.ram_mb, measured.ram_free_mb)?;
    }
    let Some(device) = device else { return Ok(()) };
    let of = |all: &[u64]| all.get(device as usize).copied().unwrap_or(0);
    let taken = reserved.vram_mb.get(&device).copied().unwrap_or(0);
    within("MiB of a GPU", needs.vram_mb, taken, of(&capacity.vram_mb))?;
    match before.measured(host) {
        Some(it) => within("free MiB of a GPU", needs.vram_mb, needs.vram_mb, of(&it.vram_free_mb)),
        None => Ok(()),
    }
}
