//! The two shapes.

use serde_json::json;

use super::*;

#[test]
fn both_shapes_survive_the_wire() {
    let ok = Reply::Ok { seq: Some(41), result: json!({ "task": "t-1" }) };
    assert_eq!(ok.to_json(), json!({ "ok": true, "seq": 41, "result": { "task": "t-1" } }));
    let error =
        Rejection::new(Code::LockConflict, "held").with("holders", json!([])).retry_after(2000);
    let err = Reply::Err { seq: None, error };
    assert_eq!(
        err.to_json(),
        json!({ "ok": false, "seq": null, "error": { "code": "LOCK_CONFLICT", "message": "held",
            "details": { "holders": [] }, "retry_after_ms": 2000 } })
    );
    for reply in [ok, err] {
        let bytes = serde_json::to_vec(&reply).unwrap();
        assert_eq!(Reply::from_slice(&bytes).unwrap(), reply);
    }
}

#[test]
fn codes_have_one_spelling() {
    for code in Code::ALL {
        assert_eq!(serde_json::to_value(code).unwrap(), json!(code.as_str()));
    }
}
