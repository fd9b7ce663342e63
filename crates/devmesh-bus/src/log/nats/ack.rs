//! What the server's answer to an append means.

use serde::Deserialize;

use super::super::AppendError;
use crate::api::ApiError;

/// Wrong last sequence, found before or while the message is applied.
const WRONG_LAST: u32 = 10071;
/// Wrong last sequence, found among what is in flight on a replicated stream.
const WRONG_LAST_IN_FLIGHT: u32 = 10164;
/// The message is over the stream's `max_msg_size`: checked before anything is stored.
const TOO_LARGE: u32 = 10054;
/// The stream's queue of incoming messages is full: checked before anything is stored.
const QUEUE_FULL: u32 = 10167;

#[derive(Deserialize)]
struct Ack {
    error: Option<ApiError>,
    stream: Option<String>,
    seq: Option<u64>,
    #[serde(default)]
    duplicate: bool,
}

/// The position if `answer` plainly acknowledges that the message stands right after
/// `expected_last` in `stream`; anything short of that is an error.
pub(super) fn judge(answer: &[u8], stream: &str, expected_last: u64) -> Result<u64, AppendError> {
    let Ok(ack) = serde_json::from_slice::<Ack>(answer) else {
        return Err(AppendError::unknown("the answer is no acknowledgement"));
    };
    if let Some(error) = ack.error {
        let what = format!("{} ({})", error.description, error.err_code);
        return Err(match error.err_code {
            WRONG_LAST | WRONG_LAST_IN_FLIGHT => AppendError::Conflict(what),
            TOO_LARGE | QUEUE_FULL => AppendError::NotStored(what),
            code => AppendError::Unknown { code: Some(code), what },
        });
    }
    if ack.duplicate {
        return Err(AppendError::unknown("acknowledged as a duplicate"));
    }
    if ack.stream.as_deref() != Some(stream) {
        return Err(AppendError::unknown(format!("acknowledged by {:?}", ack.stream)));
    }
    match ack.seq {
        Some(seq) if seq == expected_last + 1 => Ok(seq),
        seq => {
            let what = format!("acknowledged at {seq:?}, not at {}", expected_last + 1);
            Err(AppendError::unknown(what))
        }
    }
}

#[cfg(test)]
mod tests;
