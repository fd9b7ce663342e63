//! How answers are written.

use super::*;
use devmesh_protocol::Code;
use serde_json::{Value, json};

#[test]
fn an_answer_is_written_as_the_protocol_says() {
    let rejection = Rejection::new(Code::LockConflict, "held").with("holders", json!(["a"]));
    let replies = [
        Reply::Ok { seq: Some(3), result: json!({ "x": [1, 2] }) },
        Reply::Ok { seq: None, result: Value::Null },
        Reply::Err { seq: Some(4), error: rejection.retry_after(5) },
    ];
    for reply in replies {
        let bytes = encode(&reply, Encoding::Json);
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value, reply.to_json());
        let cbor = encode(&reply, Encoding::Cbor);
        let value: Value = ciborium::from_reader(&cbor[..]).unwrap();
        assert_eq!(value, reply.to_json());
    }
}

fn held(seq: u64, since: Option<u64>) -> Held {
    let (to, encoding) = (ReplyTo::to_subject("a"), Encoding::Json);
    Held { seq, since, to, encoding, bytes: Bytes::new(), command: None }
}

#[test]
fn what_answers_wait_for_is_told_apart() {
    let mut replies = Replies::default();
    assert!(replies.is_empty() && !replies.wants_more_than(0) && !replies.wants_confirmation(0));
    replies.push(held(5, Some(100)));
    assert!(!replies.is_empty());
    assert!(replies.wants_confirmation(99) && !replies.wants_confirmation(100));
    assert!(replies.wants_more_than(4) && !replies.wants_more_than(5));
    // A later one makes more wanted; what is confirmed is for the first to say.
    replies.push(held(7, Some(200)));
    assert!(replies.wants_more_than(6) && !replies.wants_confirmation(150));
    let mut out = Vec::new();
    replies.release(4, 100, &mut out);
    replies.release(5, 99, &mut out);
    assert!(out.is_empty());
    replies.release(5, 100, &mut out);
    assert_eq!(out.len(), 1);
    assert!(replies.wants_confirmation(150));
}
