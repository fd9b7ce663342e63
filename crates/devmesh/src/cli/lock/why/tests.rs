//! What people read of holders and waits.

use serde_json::json;

use super::lines::{held, of};

#[test]
fn a_holder_is_told_with_since_when_and_until_when() {
    let cases = [
        (
            json!({"path": "src/", "actor": "a1", "mode": "write", "task": "t-3",
                "granted_at": "10:00", "ends": "with t-3", "reason": "big move"}),
            "src/ is held by a1 (write) for t-3 since 10:00, ends with t-3: big move",
        ),
        (
            json!({"path": "x", "actor": "ada", "mode": "read", "expires_at": "11:00"}),
            "x is held by ada (read), until 11:00",
        ),
        (
            json!({"path": "x", "actor": "a1", "mode": "read"}),
            "x is held by a1 (read), until it is silent",
        ),
        (
            json!({"path": "x", "actor": "a1", "mode": "read", "reason": "\u{1b}[2J"}),
            "x is held by a1 (read), until it is silent: \\u{1b}[2J",
        ),
    ];
    for (lease, line) in cases {
        assert_eq!(held(&lease), line);
    }
}

#[test]
fn a_wait_is_told_with_its_place_and_when_it_comes() {
    let answer = json!({ "holders": [], "waits": [{
        "actor": "a2", "task": "t-5", "paths": ["src/a", "src/b"], "mode": "write",
        "queued_at": "10:01", "reason": "a1 holds src/a", "position": 2,
        "holders": [{ "path": "src/a", "actor": "a1", "mode": "write", "ends": "with t-3" }],
        "ahead": [{ "actor": "a3", "task": "t-4" }], "expected_at": null, "deadline": "10:09",
    }] });
    assert_eq!(
        of(&answer),
        [
            "a2 waits for t-5 for src/a, src/b (write) since 10:01",
            "    why      a1 holds src/a",
            "    holder   src/a is held by a1 (write), ends with t-3",
            "    ahead    a3 t-4",
            "    place    2",
            "    comes    nobody can say",
            "    ends     10:09",
        ]
    );
    assert_eq!(of(&json!({})), Vec::<String>::new());
}
