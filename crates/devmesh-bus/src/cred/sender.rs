//! Who sent a request, as the server tells it.
//!
//! The import shares who asked, in a header that the server sets and a client cannot. That binds
//! the name in a subject to a client connection of that name, also where no answer is expected and
//! so no reply subject of the import's can show it: the server publishes for itself where a client
//! told it to (a read of one's own blob with another host's report as reply subject carries the
//! reader's own bytes), and for such a message this header names no client.

use async_nats::HeaderMap;
use devmesh_protocol::command::agent::Role;
use serde::Deserialize;

use super::role_named;

/// The header in which the server says who sent a request through an import.
const HEADER: &str = "Nats-Request-Info";

/// The user whose client connection sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// The name on the credential.
    pub name: String,
    /// The role on the credential.
    pub role: Role,
}

/// Borrowed where it can be: the header also holds the whole token, which is not looked at.
#[derive(Debug, Deserialize)]
struct Info<'a> {
    #[serde(default)]
    kind: &'a str,
    #[serde(default)]
    name_tag: &'a str,
    #[serde(default, borrow)]
    tags: Vec<&'a str>,
}

impl Sender {
    /// Who sent the message with these headers; none where the server does not say that a client
    /// did, and then nobody may be believed to have sent it.
    #[must_use]
    pub fn of(headers: Option<&HeaderMap>) -> Option<Self> {
        let info: Info<'_> = serde_json::from_str(headers?.get(HEADER)?.as_str()).ok()?;
        let role = info.tags.iter().find_map(|tag| tag.strip_prefix("role:"))?;
        let sender = Self { name: info.name_tag.to_owned(), role: role_named(role).ok()? };
        (info.kind == "Client" && !sender.name.is_empty()).then_some(sender)
    }
}
