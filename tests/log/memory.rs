//! The world of the in-memory twin.

use devmesh_bus::log::Open;
use devmesh_bus::log::memory::{Fault, MemoryLog, MemoryOpen};

use super::world::World;

/// The twin and what was remembered of it.
pub(super) struct Memory {
    open: MemoryOpen,
    kept: u64,
}

impl World for Memory {
    type Open = MemoryOpen;
    type Log = MemoryLog;

    async fn start() -> Self {
        Self { open: MemoryOpen::new(), kept: 0 }
    }

    fn opener(&self) -> MemoryOpen {
        self.open.clone()
    }

    async fn open_beside(&self) -> MemoryLog {
        self.open.handle()
    }

    async fn lose_answers(&mut self) {
        self.open.script([Fault::LoseAck]);
    }

    async fn hold_appends(&mut self, _log: &MemoryLog) {
        self.open.script([Fault::LateSend]);
    }

    async fn heal(&mut self) {
        self.open.release();
    }

    async fn restart(&mut self) {
        self.open.lose_consumers();
    }

    async fn lose_consumers(&mut self) {
        self.open.lose_consumers();
    }

    async fn keep(&mut self) {
        self.kept = self.open.entries().len() as u64;
    }

    async fn roll_back(&mut self) {
        self.open.roll_back(self.kept);
    }

    async fn make_anew(&mut self) {
        self.open.make_anew();
    }

    async fn remove(&mut self, stream_seq: u64) {
        self.open.remove(stream_seq);
    }

    async fn fill(&mut self, is_full: bool) {
        self.open.refuse(is_full);
    }

    async fn without_stream(&mut self) -> MemoryLog {
        self.open.script([Fault::NoResponders]);
        self.open.open().await.unwrap()
    }

    async fn forged(&mut self, _seq: u64, is_duplicate: bool) -> MemoryLog {
        self.open.script([if is_duplicate { Fault::Duplicate } else { Fault::WrongSeq }]);
        self.open.open().await.unwrap()
    }
}
