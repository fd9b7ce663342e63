//! The frame of a batch: a CBOR array of two byte strings, written and read by hand so that the
//! body is neither copied nor guessed at.

use crate::digest::Digest;

/// `82` an array of two, `58 20` a byte string of 32, then `5a` a byte string with a length of
/// four bytes.
const HEAD: [u8; 3] = [0x82, 0x58, 0x20];
const BODY: u8 = 0x5a;
/// The bytes before the body.
pub(super) const FRAME_BYTES: usize = HEAD.len() + 32 + 1 + 4;

/// Writes the frame before the body, into the room that was kept for it.
pub(super) fn seal(message: &mut [u8]) {
    let (frame, body) = message.split_at_mut(FRAME_BYTES);
    let length = u32::try_from(body.len()).expect("a batch is bounded far below 4 GiB");
    let (head, rest) = frame.split_at_mut(HEAD.len());
    head.copy_from_slice(&HEAD);
    let (digest, rest) = rest.split_at_mut(32);
    digest.copy_from_slice(&Digest::of(body).0);
    rest[0] = BODY;
    rest[1..].copy_from_slice(&length.to_be_bytes());
}

pub(super) fn split(message: &[u8]) -> Option<(Digest, &[u8])> {
    let rest = message.strip_prefix(&HEAD)?;
    let (digest, rest) = rest.split_first_chunk::<32>()?;
    let (length, body) = rest.strip_prefix(&[BODY])?.split_first_chunk::<4>()?;
    let whole = u32::from_be_bytes(*length) as usize == body.len();
    whole.then_some((Digest(*digest), body))
}
