//! Which messages are let in.

use async_nats::HeaderMap;
use bytes::Bytes;
use devmesh_protocol::MeshId;
use devmesh_protocol::command::Encoding;
use devmesh_protocol::limits::REQUEST_BYTES_MAX;
use devmesh_protocol::subject::Incoming;

use super::{Message, ReplyTo, Trust};
use crate::cred::{Sender, is_import_reply};

/// Why a message is dropped; the name it is counted under.
pub(super) type Reason = &'static str;

/// Reads a message; `Err` where it is to be dropped.
pub(super) fn admit(
    mesh: &MeshId,
    trust: Trust,
    message: async_nats::Message,
) -> Result<Message, Reason> {
    let incoming = Incoming::parse(mesh, &message.subject).ok_or("subject")?;
    let needs_reply = !matches!(incoming, Incoming::Report { .. });
    let headers = message.headers.as_ref();
    if trust == Trust::Accounts {
        match &incoming {
            Incoming::Report { host } => {
                let sender = Sender::of(headers).ok_or("sender")?;
                if sender.name != host.as_str() {
                    return Err("other_sender");
                }
            }
            Incoming::Command { .. } | Incoming::Query { .. } | Incoming::Beat { .. } => {
                if !message.reply.as_deref().is_some_and(is_import_reply) {
                    return Err("reply");
                }
            }
        }
    }
    if needs_reply && message.reply.is_none() {
        return Err("reply");
    }
    let is_over_bound = message.payload.len() > REQUEST_BYTES_MAX;
    Ok(Message {
        encoding: encoding(headers),
        payload: if is_over_bound { Bytes::new() } else { message.payload },
        reply: message.reply.map_or_else(ReplyTo::nowhere, ReplyTo),
        is_over_bound,
        incoming,
    })
}

/// JSON, unless the header says CBOR. Names of headers are spelled as people like.
fn encoding(headers: Option<&HeaderMap>) -> Encoding {
    let is_cbor = headers.is_some_and(|headers| {
        headers.iter().any(|(name, values)| {
            let name: &str = name.as_ref();
            name.eq_ignore_ascii_case("content-type")
                && values.iter().any(|value| value.as_str() == "application/cbor")
        })
    });
    if is_cbor { Encoding::Cbor } else { Encoding::Json }
}
