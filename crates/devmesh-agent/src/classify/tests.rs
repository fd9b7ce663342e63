//! Texts of real failures and what they are taken for.

use super::*;

#[test]
fn texts_of_failures_are_told_apart() {
    let cases = [
        ("error[E0308]: mismatched types\nerror: could not compile `x`", Class::Compile),
        ("test result: FAILED. 3 passed; 1 failed", Class::Test),
        ("thread 'a' panicked at src/x.rs:3:5:\nassertion `left == right` failed", Class::Test),
        ("E   AssertionError: assert 1 == 2\n=== 1 failed, 3 passed in 0.1s ===", Class::Test),
        ("sh: 1: cargo-nextest: not found", Class::MissingTool),
        ("ModuleNotFoundError: No module named 'x'", Class::MissingTool),
        ("src/x.ts(3,5): error TS2322: Type", Class::Compile),
        ("would reformat x.py", Class::Lint),
        ("write /x: No space left on device", Class::DiskFull),
        ("curl: (6) Could not resolve host: crates.io", Class::Network),
        ("open /etc/x: Permission denied", Class::Permission),
        ("FATAL ERROR: Reached heap limit Allocation failed", Class::OutOfMemory),
        ("CONFLICT (content): Merge conflict in a", Class::Conflict),
        ("exit 3", Class::Unknown),
    ];
    for (text, class) in cases {
        assert_eq!(classify(text).class, class, "{text}");
    }
}

#[test]
fn failures_that_differ_in_numbers_alone_have_one_fingerprint() {
    let first = classify("1 test failed in 0.31s at 0x7f");
    assert_eq!(first.fingerprint, classify("1 test failed in 2.04s at 0x8f").fingerprint);
    assert_ne!(first.fingerprint, classify("1 test failed: other").fingerprint);
}
