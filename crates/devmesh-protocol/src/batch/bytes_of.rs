//! The frame of a batch: a CBOR array of two byte strings, written and read by hand so that the
//! body is neither copied nor guessed at.

use crate::digest::Digest;

/// `82` an array of two, `58 20` a byte string of 32, then `5a` a byte string with a length of
/// four bytes.
const HEAD: [u8; 3] = [0x82, 0x58, 0x20];
const BODY: u8 = 0x5a;
const FRAME_BYTES: usize = HEAD.len() + 32 + 1 + 4;

pub(super) fn wrap(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a batch is bounded far below 4 GiB");
    let mut message = Vec::with_capacity(FRAME_BYTES + body.len());
    message.extend_from_slice(&HEAD);
    message.extend_from_slice(&Digest::of(body).0);
    message.push(BODY);
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(body);
    message
}

pub(super) fn split(message: &[u8]) -> Option<(Digest, &[u8])> {
    let rest = message.strip_prefix(&HEAD)?;
    let (digest, rest) = rest.split_first_chunk::<32>()?;
    let (length, body) = rest.strip_prefix(&[BODY])?.split_first_chunk::<4>()?;
    let whole = u32::from_be_bytes(*length) as usize == body.len();
    whole.then_some((Digest(*digest), body))
}
