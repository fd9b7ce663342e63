//! Secrets that must not get through, and words that must.

use super::*;

fn mask() -> Mask {
    let env = [("MY_API_KEY", "hunter2hunter2"), ("HOME", "/home/hunter2"), ("TOKEN", "short")];
    let env = env.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Mask::of_env(&env)
}

#[test]
fn known_values_and_token_shapes_are_masked() {
    let openai = format!("sk-{}", "a1B2".repeat(8));
    let github = format!("ghp_{}", "x".repeat(36));
    let cases = [
        ("key=hunter2hunter2;".to_owned(), "key=[masked];".to_owned()),
        (format!("Bearer {openai}\""), "Bearer [masked]\"".to_owned()),
        (format!("{github} {github}"), "[masked] [masked]".to_owned()),
        ("AKIAABCDEFGHIJKLMNOP é".to_owned(), "[masked] é".to_owned()),
    ];
    for (text, wanted) in cases {
        assert_eq!(mask().clean(&text), wanted);
    }
}

#[test]
fn other_words_stay() {
    for text in ["sk-short", "short", "/home/hunter2", "task-1234567890123456789012", "eyJ é ü"] {
        assert_eq!(mask().clean(text), text);
    }
}

#[test]
fn control_characters_go() {
    assert_eq!(mask().clean("\u{1b}[31mred\u{7}\tx\n"), "[31mred\tx\n");
}
