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
