//! Where a case runs, and how things go wrong there.

use devmesh_bus::log::{Log, Open};

/// A log and the hands that break it. Faults of the connection bear on handles opened before.
pub(super) trait World: Sized {
    /// What opens the log.
    type Open: Open<Log = Self::Log>;
    /// The log.
    type Log: Log + Clone;

    /// An empty log.
    async fn start() -> Self;
    /// Opens handles on it.
    fn opener(&self) -> Self::Open;
    /// A handle that the faults of the connection do not touch.
    async fn open_beside(&self) -> Self::Log;
    /// From now on acknowledgements do not arrive.
    async fn lose_answers(&mut self);
    /// From now on the appends of `log` do not arrive, until `heal`: then they are sent.
    async fn hold_appends(&mut self, log: &Self::Log);
    /// Everything arrives again.
    async fn heal(&mut self);
    /// What holds the log is killed and started again.
    async fn restart(&mut self);
    /// Every reader loses its consumer.
    async fn lose_consumers(&mut self);
    /// Remembers the log as it is.
    async fn keep(&mut self);
    /// Puts the log back to what was remembered.
    async fn roll_back(&mut self);
    /// Deletes the log and makes one of the same name.
    async fn make_anew(&mut self);
    /// Removes one entry.
    async fn remove(&mut self, stream_seq: u64);
    /// From now on the store takes nothing, or again something.
    async fn fill(&mut self, is_full: bool);
    /// A handle on a log that does not exist.
    async fn without_stream(&mut self) -> Self::Log;
    /// A handle whose next append, expecting 4, is answered as the stream's `seq`, maybe as a
    /// duplicate.
    async fn forged(&mut self, seq: u64, is_duplicate: bool) -> Self::Log;

    /// A handle, opened.
    async fn open(&self) -> Self::Log {
        self.opener().open().await.expect("a handle")
    }
}

/// A world with processes in it.
pub(super) trait RealServer: World {
    /// SIGKILL to every server at once, then all are started again.
    async fn kill_all(&mut self);
}

/// A world with several servers, of which one leads the stream.
pub(super) trait Cluster: RealServer {
    /// A handle that may use any server.
    async fn open_any(&self) -> Self::Log;
    /// SIGKILL to the server that leads the stream; it stays away.
    async fn kill_leader(&mut self);
    /// A handle that is connected to a follower.
    async fn open_at_follower(&mut self) -> Self::Log;
    /// A handle that is connected to the leader.
    async fn open_at_leader(&mut self) -> Self::Log;
    /// Stops the follower of `open_at_follower` where it stands.
    async fn freeze_follower(&mut self);
    /// Lets it go on.
    async fn thaw_follower(&mut self);
}
