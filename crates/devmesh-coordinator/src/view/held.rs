//! Answers that wait until what they depend on is acknowledged.

use std::collections::VecDeque;

use bytes::Bytes;
use devmesh_bus::intake::ReplyTo;
use devmesh_protocol::command::Encoding;
use devmesh_protocol::planted::{self, Fault};
use devmesh_protocol::{Command, Rejection, Reply};
use serde::Serialize;

use crate::effect::Effect;

/// One answer.
#[derive(Debug)]
pub(crate) struct Held {
    /// It has read the state up to here.
    pub(crate) seq: u64,
    /// It rests on a state alone: that must still have been the newest at this time.
    pub(crate) since: Option<u64>,
    pub(crate) to: ReplyTo,
    pub(crate) encoding: Encoding,
    pub(crate) bytes: Bytes,
    /// What is decided again if the term ends before.
    pub(crate) command: Option<Box<Command>>,
}

/// All of them, in the order in which they were decided. `seq` and `since` only rise, so the
/// first is the first to be free.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    queue: VecDeque<Held>,
}

impl Replies {
    pub(crate) fn push(&mut self, mut held: Held) {
        // An answer that is given again names an old record; it waits its turn like any other.
        if let Some(last) = self.queue.back() {
            held.seq = held.seq.max(last.seq);
        }
        self.queue.push_back(held);
    }

    /// Lets go what is free.
    pub(crate) fn release(&mut self, settled: u64, confirmed: u64, out: &mut Vec<Effect>) {
        while let Some(first) = self.queue.front() {
            let waits = first.seq > settled || first.since.is_some_and(|since| since > confirmed);
            if waits && !planted::is(Fault::ReplyBeforeAck) {
                return;
            }
            if let Some(Held { to, bytes, .. }) = self.queue.pop_front() {
                out.push(Effect::Reply { to, bytes });
            }
        }
    }

    /// Whether something waits for a confirmation later than that.
    pub(crate) fn wants_confirmation(&self, confirmed: u64) -> bool {
        self.queue.front().is_some_and(|first| first.since.is_some_and(|since| since > confirmed))
    }

    /// Whether something waits for a record later than that.
    pub(crate) fn wants_more_than(&self, settled: u64) -> bool {
        self.queue.back().is_some_and(|last| last.seq > settled)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Held> {
        self.queue.drain(..)
    }
}

/// An answer as it is sent.
pub(crate) fn encode(reply: &Reply, encoding: Encoding) -> Bytes {
    match encoding {
        Encoding::Json => json(reply).into(),
        Encoding::Cbor => {
            let mut bytes = Vec::with_capacity(256);
            ciborium::into_writer(&reply.to_json(), &mut bytes)
                .expect("JSON is plain data and memory takes it");
            bytes.into()
        }
    }
}

/// Any value as it is sent.
pub(crate) fn encode_value(value: &impl Serialize, encoding: Encoding) -> Bytes {
    match encoding {
        Encoding::Json => serde_json::to_vec(value).expect("plain data and memory takes it").into(),
        Encoding::Cbor => {
            let mut bytes = Vec::with_capacity(256);
            ciborium::into_writer(value, &mut bytes).expect("plain data and memory takes it");
            bytes.into()
        }
    }
}

/// The two shapes of [`Reply::to_json`], written without a tree between.
#[derive(Serialize)]
struct Shape<'a> {
    ok: bool,
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Refusal<'a>>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    code: devmesh_protocol::Code,
    message: &'a str,
    details: &'a serde_json::Map<String, serde_json::Value>,
    retry_after_ms: Option<u64>,
}

fn json(reply: &Reply) -> Vec<u8> {
    let shape = match reply {
        Reply::Ok { seq, result } => {
            Shape { ok: true, seq: *seq, result: Some(result), error: None }
        }
        Reply::Err { seq, error } => {
            let Rejection { code, message, details, retry_after_ms } = error;
            let (code, retry_after_ms) = (*code, *retry_after_ms);
            let error = Refusal { code, message, details, retry_after_ms };
            Shape { ok: false, seq: *seq, result: None, error: Some(error) }
        }
    };
    let mut bytes = Vec::with_capacity(256);
    serde_json::to_writer(&mut bytes, &shape).expect("plain data and memory takes it");
    bytes
}

#[cfg(test)]
mod tests;
