//! Free text: prompts, comments, notes, questions, answers. Stored by the coordinator before the
//! append that names it, one message a text; `redact` deletes the bytes and nothing else.

use async_nats::HeaderMap;
use bytes::Bytes;
use devmesh_protocol::limits::TEXT_BYTES_MAX;
use devmesh_protocol::{Digest, MeshId, subject};

use crate::api;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};

/// Stores a text and returns its name. Storing it twice does no harm.
pub async fn put(client: &Client, text: &str) -> Result<Digest> {
    if text.len() > TEXT_BYTES_MAX {
        let what = format!("store a text of {} bytes: {TEXT_BYTES_MAX} are allowed", text.len());
        return Err(Error::new(ErrorKind::TooLarge, what));
    }
    let digest = Digest::of(text.as_bytes());
    let subject = subject::text(client.mesh(), &digest);
    let payload = Bytes::copy_from_slice(text.as_bytes());
    api::store(client.nats(), &subject, HeaderMap::new(), None, payload).await?;
    Ok(digest)
}

/// The text of that name; `None` where it was never stored, or was deleted.
pub async fn get(client: &Client, digest: &Digest) -> Result<Option<String>> {
    let subject = subject::text(client.mesh(), digest);
    let stored = api::last_message(client.nats(), &stream(client.mesh()), &subject).await?;
    let Some(stored) = stored else { return Ok(None) };
    let corrupt = || Error::new(ErrorKind::Corrupt, format!("read the text {digest}"));
    if Digest::of(&stored.payload) != *digest {
        return Err(corrupt());
    }
    let text = String::from_utf8(stored.payload.into());
    text.map(Some).map_err(|error| corrupt().because(error))
}

/// Deletes the bytes. Returns whether there were any.
pub async fn delete(client: &Client, digest: &Digest) -> Result<bool> {
    let subject = subject::text(client.mesh(), digest);
    Ok(api::purge(client.nats(), &stream(client.mesh()), &subject).await? > 0)
}

fn stream(mesh: &MeshId) -> String {
    subject::side_stream(mesh, "TEXT")
}
