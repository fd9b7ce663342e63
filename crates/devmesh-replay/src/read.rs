//! Reading a log from its beginning, record by record.

use std::fmt;
use std::ops::ControlFlow;

use devmesh_bus::log::{Entries, Log};
use devmesh_domain::Reader;
use devmesh_domain::state::State;
use devmesh_protocol::batch::Chain;
use devmesh_protocol::{Digest, Record};
use futures::StreamExt;

use crate::error::{Error, Result};

/// The head of a log: enough to tell it from any other, and from itself cut short. Printed as
/// `MESSAGE:RECORD:HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last message.
    pub stream_seq: u64,
    /// The last record.
    pub seq: u64,
    /// The chain's value there.
    pub h: Digest,
}

impl Head {
    pub(crate) fn of(chain: &Chain) -> Head {
        Head { stream_seq: chain.stream_seq, seq: chain.seq, h: chain.h }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.stream_seq, self.seq, self.h)
    }
}

/// One message on its way through a reader.
pub(crate) struct Step<'a> {
    pub(crate) stream_seq: u64,
    pub(crate) payload: &'a [u8],
    /// None where the message is void.
    pub(crate) records: Vec<Record>,
    /// The state after them.
    pub(crate) state: &'a State,
    pub(crate) chain: &'a Chain,
}

/// Reads the log as far as it goes now and hands over every message, until told to stop.
pub(crate) async fn each<L: Log>(
    log: &L,
    reader: &mut Reader,
    mut take: impl FnMut(Step<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let last = log.last().await.map_err(Error::Bus)?;
    let entries = log.read(reader.chain().stream_seq + 1, last);
    drain(entries, reader, &mut take).await
}

/// The same for any entries, a tail among them.
pub(crate) async fn drain(
    mut entries: Entries,
    reader: &mut Reader,
    take: &mut impl FnMut(Step<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    while let Some(entry) = entries.next().await {
        let entry = entry.map_err(Error::Bus)?;
        let records = reader.take(entry.stream_seq, &entry.payload).map_err(Error::Stop)?;
        let step = Step {
            stream_seq: entry.stream_seq,
            payload: &entry.payload,
            records,
            state: reader.state(),
            chain: reader.chain(),
        };
        if take(step)?.is_break() {
            break;
        }
    }
    Ok(())
}
