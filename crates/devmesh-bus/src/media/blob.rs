//! Blobs: bytes of any kind, named by digest, in pieces of at most [`PIECE_BYTES`].
//!
//! Piece n of a blob is the newest message on `devmesh.<mesh>.blob.<actor>.<digest>.<n>`; a header
//! on each says how many there are.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use devmesh_protocol::{ActorId, Digest, subject};

use crate::api;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};

/// Bytes of one piece.
pub const PIECE_BYTES: usize = 512 * 1024;
/// Bytes of one blob.
pub const BLOB_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Says how many pieces there are.
const PIECES: &str = "Devmesh-Pieces";
/// Tries of one piece; a replica that answers may be a moment behind.
const TRIES: u32 = 4;
/// The pause before the second try; then it doubles.
const PAUSE: Duration = Duration::from_millis(50);

/// Stores `bytes` as this actor's and returns their name. What is there already is not sent again.
pub async fn put(client: &Client, bytes: &[u8]) -> Result<Digest> {
    if bytes.len() > BLOB_BYTES_MAX {
        let what = format!("store a blob of {} bytes: {BLOB_BYTES_MAX} are allowed", bytes.len());
        return Err(Error::new(ErrorKind::TooLarge, what));
    }
    let digest = Digest::of(bytes);
    let count = pieces_of(bytes.len());
    for number in 0..count {
        let subject = subject::blob(client.mesh(), client.actor(), &digest, number);
        let start = number as usize * PIECE_BYTES;
        let piece = &bytes[start..bytes.len().min(start + PIECE_BYTES)];
        if is_there(client, &subject, count, piece).await? {
            continue;
        }
        send(client, &subject, count, piece).await?;
    }
    Ok(digest)
}

/// The bytes that `owner` stored under `digest`. An error of the kind `NotFound` where there are
/// none (they may have aged away), of the kind `Corrupt` where they are others.
pub async fn get(client: &Client, owner: &ActorId, digest: &Digest) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut count = 1;
    let mut number = 0;
    while number < count {
        let (piece, pieces) = piece(client, owner, digest, number).await?;
        if pieces == 0 || pieces > pieces_of(BLOB_BYTES_MAX) || (number > 0 && pieces != count) {
            return Err(corrupt(digest, "it does not say in how many pieces it is"));
        }
        count = pieces;
        bytes.extend_from_slice(&piece);
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(corrupt(digest, "it is too large"));
        }
        number += 1;
    }
    if Digest::of(&bytes) != *digest {
        return Err(corrupt(digest, "its bytes have another digest"));
    }
    Ok(bytes)
}

fn corrupt(digest: &Digest, why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("read the blob {digest}: {why}"))
}

/// An empty blob is one empty piece.
fn pieces_of(len: usize) -> u32 {
    u32::try_from(len.div_ceil(PIECE_BYTES).max(1)).unwrap_or(u32::MAX)
}

async fn is_there(client: &Client, subject: &str, count: u32, piece: &[u8]) -> Result<bool> {
    let stream = subject::side_stream(client.mesh(), "BLOB");
    let stored = api::last_message(client.nats(), &stream, subject).await?;
    Ok(stored.is_some_and(|stored| {
        stored.payload == piece && pieces(stored.headers.as_ref()) == Some(count)
    }))
}

async fn send(client: &Client, subject: &str, count: u32, piece: &[u8]) -> Result<()> {
    let mut pause = PAUSE;
    for attempt in 1.. {
        let mut headers = HeaderMap::new();
        headers.insert(PIECES, count.to_string());
        let piece = Bytes::copy_from_slice(piece);
        match api::store(client.nats(), subject, headers, None, piece).await {
            Ok(()) => break,
            // Twice the same piece does no harm: the newest counts.
            Err(error) if attempt < TRIES && may_pass(&error) => tokio::time::sleep(pause).await,
            Err(error) => return Err(error),
        }
        pause *= 4;
    }
    Ok(())
}

fn may_pass(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Timeout | ErrorKind::NoResponders | ErrorKind::Connect)
}

async fn piece(
    client: &Client,
    owner: &ActorId,
    digest: &Digest,
    number: u32,
) -> Result<(Bytes, u32)> {
    let stream = subject::side_stream(client.mesh(), "BLOB");
    let subject = subject::blob(client.mesh(), owner, digest, number);
    let mut pause = PAUSE;
    for attempt in 1.. {
        match api::last_message(client.nats(), &stream, &subject).await {
            Ok(Some(message)) => {
                let pieces = pieces(message.headers.as_ref());
                return Ok((message.payload, pieces.unwrap_or_default()));
            }
            Err(error) if attempt >= TRIES || !may_pass(&error) => return Err(error),
            Ok(None) if attempt >= TRIES => break,
            Ok(None) | Err(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    let what = format!("read the blob {digest} of {owner}: piece {number} is not there");
    Err(Error::new(ErrorKind::NotFound, what))
}

fn pieces(headers: Option<&HeaderMap>) -> Option<u32> {
    headers?.get(PIECES)?.as_str().parse().ok()
}
