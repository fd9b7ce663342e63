//! Only a plain acknowledgement is one.

use super::super::super::AppendError;
use super::judge;

fn check(answer: &str) -> Result<u64, AppendError> {
    judge(answer.as_bytes(), "S", 4)
}

fn kind(answer: &str) -> &'static str {
    match check(answer) {
        Ok(_) => "stored",
        Err(AppendError::Conflict(_)) => "conflict",
        Err(AppendError::NotStored(_)) => "not stored",
        Err(AppendError::Unknown { .. }) => "unknown",
    }
}

fn refusal(code: u32) -> String {
    format!(
        r#"{{"error":{{"code":400,"err_code":{code},"description":"x"}},"stream":"S","seq":0}}"#
    )
}

#[test]
fn the_next_position_without_a_duplicate_is_an_acknowledgement() {
    assert_eq!(check(r#"{"stream":"S","seq":5}"#), Ok(5));
    assert_eq!(check(r#"{"stream":"S","domain":"hub","seq":5,"val":"1"}"#), Ok(5));
}

#[test]
fn both_codes_for_a_wrong_last_sequence_are_conflicts() {
    assert_eq!(kind(&refusal(10071)), "conflict");
    assert_eq!(kind(&refusal(10164)), "conflict");
}

#[test]
fn what_is_refused_before_it_is_stored_is_not_stored() {
    assert_eq!(kind(&refusal(10054)), "not stored");
    assert_eq!(kind(&refusal(10167)), "not stored");
}

#[test]
fn all_else_is_unknown() {
    for answer in [
        r#"{"stream":"S","seq":5,"duplicate":true}"#,
        r#"{"stream":"S","seq":4}"#,
        r#"{"stream":"S","seq":6}"#,
        r#"{"stream":"S"}"#,
        r#"{"stream":"OTHER","seq":5}"#,
        r#"{"seq":5}"#,
        "{}",
        "",
        "null",
        "+OK",
    ] {
        assert_eq!(kind(answer), "unknown", "{answer}");
    }
    assert_eq!(kind(&refusal(10077)), "unknown");
    assert_eq!(kind(&refusal(10008)), "unknown");
}

#[test]
fn a_full_store_is_told_from_other_unknown_outcomes() {
    let full = check(&refusal(10077)).expect_err("an error");
    assert!(full.store_refuses());
    assert!(!check(&refusal(10008)).expect_err("an error").store_refuses());
    assert!(!check("").expect_err("an error").store_refuses());
}
