//! What a world has in it, and what can happen there.

use devmesh_protocol::Mode;
use devmesh_protocol::command::task::Flow;

use crate::world::{Left, World};

/// A small world.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) name: &'static str,
    pub(crate) agents: usize,
    pub(crate) people: usize,
    /// Sets of paths that are asked for together.
    pub(crate) asks: &'static [&'static [&'static str]],
    pub(crate) modes: &'static [Mode],
    /// Leases are asked for and given back.
    pub(crate) locks: bool,
    /// The modes of leases are changed.
    pub(crate) converts: bool,
    /// Commands may arrive late and in another order.
    pub(crate) delays: bool,
    /// Requests wait.
    pub(crate) waits: bool,
    pub(crate) tasks: &'static [Spec],
    /// Commands of each client; without an end where none is said.
    pub(crate) commands: u8,
    pub(crate) left: Left,
    /// Time passes in steps of so many milliseconds.
    pub(crate) step_ms: u64,
    /// From one of so many states it is tried whether everything drains; 0: from none.
    pub(crate) heals: u8,
    /// What has to happen somewhere, or the world shows nothing.
    pub(crate) reaches: &'static [Reach],
}

/// Something that has to happen somewhere.
pub(crate) type Reach = (&'static str, fn(&World) -> bool);

/// A task of a world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub(crate) path: Option<&'static str>,
    /// The number of the task it depends on.
    pub(crate) after: Option<u64>,
    pub(crate) flow: Flow,
}

/// Commands without an end.
pub(crate) const ENDLESS: u8 = u8::MAX;

impl Options {
    /// A world in which nothing happens yet.
    pub(crate) const fn named(name: &'static str) -> Options {
        Options {
            name,
            agents: 0,
            people: 0,
            asks: &[],
            modes: &[Mode::Write],
            locks: true,
            converts: false,
            delays: false,
            waits: true,
            tasks: &[],
            commands: ENDLESS,
            left: Left { crashes: 0, again: 0, ticks: 0, terms: 0, person: 0 },
            step_ms: 10_000,
            heals: 0,
            reaches: &[],
        }
    }
}
