//! The rulebook says the same under the same version, in few words.

use super::{RULES, VERSION, view};
use crate::Digest;

#[test]
fn another_text_is_another_version() {
    let texts: String = RULES
        .iter()
        .map(|rule| format!("{} {}\n{}\n", rule.id, rule.text, rule.prompt.unwrap_or_default()))
        .collect();
    let digest = Digest::of(texts.as_bytes()).to_string();
    assert_eq!(
        (VERSION, &digest[..16]),
        (2, "aeeda33fe1d7958c"),
        "raise VERSION with the text, and write both here"
    );
}

#[test]
fn rules_have_their_numbers_in_order() {
    for (number, rule) in (1..).zip(RULES) {
        assert_eq!(rule.id, format!("R{number:02}"));
        assert!(!rule.codes.is_empty(), "{} refuses", rule.id);
    }
    assert_eq!(RULES.len(), 13);
}

/// It goes into every prompt, and every word of a prompt is paid for each time.
#[test]
fn what_stands_in_a_prompt_is_short() {
    let view = view();
    let prompt: usize = view.prompt.values().map(|text| text.len() + 5).sum();
    assert!((200..800).contains(&prompt), "{prompt} bytes");
    assert!(view.prompt.keys().all(|id| view.rules.contains_key(id)));
}

/// What a rule says in numbers is what the limits are.
#[test]
fn the_numbers_in_the_rules_are_those_of_the_limits() {
    use crate::limits::{BEAT_MS, GRACE_MS, LEASE_TTL_MS, SESSION_SILENT_MS};
    let rule = RULES.iter().find(|rule| rule.id == "R05").unwrap();
    assert!(rule.text.contains("every four seconds") && BEAT_MS == 4_000);
    let (ttl, grace) = (LEASE_TTL_MS / 1_000, GRACE_MS / 1_000);
    let lapses = format!("silent for {} s (the lease's {ttl} and {grace} of grace)", ttl + grace);
    assert!(rule.example.contains(&lapses), "{lapses}");
    assert!(rule.example.contains(&format!("after {} s its session", SESSION_SILENT_MS / 1_000)));
}
