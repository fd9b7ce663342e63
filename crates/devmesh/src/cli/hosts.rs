//! `devmesh hosts`: the machines and what they can give.

use devmesh_protocol::view::HostView;
use serde_json::json;

use crate::context::Context;
use crate::error::Result;
use crate::output::Table;

/// List the hosts: what they can give and what is taken
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        context.list("hosts", json!({}), |hosts| show(context, hosts)).await
    }
}

fn show(context: &Context, hosts: Vec<HostView>) {
    let mut table = Table::new(&["HOST", "SLOTS", "RAM MiB", "FREE MiB", "VRAM MiB", "STATE"]);
    for host in hosts {
        let slots = format!("{}/{}", host.slots_taken, host.capacity.slots);
        let ram = format!("{}/{}", host.ram_reserved_mb, host.capacity.ram_mb);
        let free = host.ram_free_mb.map_or_else(|| "-".to_owned(), |free| free.to_string());
        let devices = host.vram_reserved_mb.iter().zip(&host.capacity.vram_mb);
        let vram: Vec<String> = devices.map(|(taken, there)| format!("{taken}/{there}")).collect();
        let vram = if vram.is_empty() { "no GPU".to_owned() } else { vram.join(" ") };
        table.row(&[host.host.as_str(), &slots, &ram, &free, &vram, &state(&host)]);
    }
    context.out.table(&table, "no host is measured yet");
}

/// Whether it is measured, and what strains it.
fn state(host: &HostView) -> String {
    if let Some(silent_ms) = host.silent_ms {
        return format!("not measured: no report for {} s", silent_ms / 1_000);
    }
    match (host.strained.is_empty(), host.ram_free_mb) {
        (false, _) => format!("strained: {}", host.strained.join("; ")),
        (true, Some(_)) => "measured".to_owned(),
        (true, None) => "not measured".to_owned(),
    }
}
