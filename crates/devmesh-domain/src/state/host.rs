//! What is measured of hosts, as far as the log tells.

use std::collections::BTreeMap;

use devmesh_protocol::event::agent::{Measured, Resource, Strain};
use devmesh_protocol::limits::strain::{HOST_SILENT_MS, START_GAP_MS};
use devmesh_protocol::{At, HostId};
use serde::Serialize;

use super::State;

/// The last figures of a host whose probe has reported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gauge {
    /// What it measured.
    pub measured: Measured,
    /// When that went on record.
    pub measured_at: At,
    /// When each strain last began or ended.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub turned: BTreeMap<Resource, At>,
    /// When a task was last awarded to an agent there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awarded_at: Option<At>,
    /// The probe reports no more; for so long it had been silent. The figures no longer count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<u64>,
}

impl Gauge {
    /// What was measured, while somebody measures.
    pub fn live(&self) -> Option<&Measured> {
        self.silent_ms.is_none().then_some(&self.measured)
    }

    /// What strains the host so that nothing new begins there, first the worst.
    pub(crate) fn suspends(&self) -> Option<&Strain> {
        self.live()?.strains.iter().find(|strain| !strain.what.staggers())
    }

    /// Its processors are busy: starts are spread out.
    pub(crate) fn is_busy(&self) -> bool {
        self.live().is_some_and(|it| it.strains.iter().any(|strain| strain.what.staggers()))
    }

    /// Where starts are spread out, when the next may be.
    pub(crate) fn starts_at(&self) -> Option<At> {
        self.awarded_at.filter(|_| self.is_busy()).map(|at| at + START_GAP_MS)
    }
}

impl State {
    /// What is measured of a host now; none where nobody measures it, or no longer.
    pub(crate) fn measured(&self, host: &HostId) -> Option<&Measured> {
        self.gauges.get(host)?.live()
    }

    /// When the next task may start on a host whose processors are busy; none: at any time.
    pub(crate) fn starts_at(&self, host: &HostId) -> Option<At> {
        if !self.index.busy_hosts.contains(host) {
            return None;
        }
        self.gauges.get(host)?.starts_at()
    }

    /// That a host was measured once and is not now, in words; nothing where it is, or never was.
    pub(crate) fn unmeasured(&self, host: &HostId) -> String {
        match self.gauges.get(host).and_then(|gauge| gauge.silent_ms) {
            None => String::new(),
            Some(silent_ms) => format!(
                " ({host} is not measured: its probe has not reported for {} s and more)",
                silent_ms.max(HOST_SILENT_MS) / 1_000
            ),
        }
    }
}
