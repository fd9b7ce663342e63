//! Which messages are let in.

use async_nats::HeaderMap;
use bytes::Bytes;
use devmesh_protocol::MeshId;
use devmesh_protocol::command::Encoding;
use devmesh_protocol::limits::REQUEST_BYTES_MAX;
use devmesh_protocol::subject::Incoming;

use super::{Message, ReplyTo, Trust};

/// Why a message is dropped; the name it is counted under.
pub(super) type Reason = &'static str;

/// Reads a message; `Err` where it is to be dropped.
pub(super) fn admit(
    mesh: &MeshId,
    trust: Trust,
    message: async_nats::Message,
) -> Result<Message, Reason> {
    let incoming = Incoming::parse(mesh, &message.subject).ok_or("subject")?;
    let reply = message.reply.ok_or("reply")?;
    if trust == Trust::Accounts && !is_import_reply(&reply) {
        return Err("reply");
    }
    let is_over_bound = message.payload.len() > REQUEST_BYTES_MAX;
    Ok(Message {
        encoding: encoding(message.headers.as_ref()),
        payload: if is_over_bound { Bytes::new() } else { message.payload },
        reply: ReplyTo(reply),
        is_over_bound,
        incoming,
    })
}

/// Whether a reply subject is one that an import made, so that the answer goes back through it.
fn is_import_reply(reply: &str) -> bool {
    reply.strip_prefix("_R_.").is_some_and(|rest| !rest.is_empty())
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
