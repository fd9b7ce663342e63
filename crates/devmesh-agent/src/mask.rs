//! Secrets out of text before it is stored or sent: values that this process knows, and the
//! shapes of common tokens.

#[cfg(test)]
mod tests;

use std::ffi::OsString;

/// What stands where a secret stood.
const MASK: &str = "[masked]";
/// A shorter value is no secret but a word that happens to be one.
const SECRET_CHARS_MIN: usize = 8;

/// Beginnings of tokens, and how many characters must follow.
const SHAPES: [(&str, usize); 16] = [
    ("sk-ant-", 20),
    ("sk-proj-", 20),
    ("sk-", 20),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghs_", 30),
    ("ghu_", 30),
    ("github_pat_", 30),
    ("glpat-", 18),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("AKIA", 16),
    ("AIza", 30),
    ("npm_", 30),
    ("hf_", 30),
    ("eyJ", 60),
];

/// Names of variables whose values are secrets.
const NAMES: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"];

/// Masks what it knows.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    values: Vec<String>,
}

impl Mask {
    /// Knows the values of those variables whose names say that they are secret.
    pub fn of_env<'a>(env: impl IntoIterator<Item = &'a (OsString, OsString)>) -> Self {
        let is_secret = |name: &str| NAMES.iter().any(|word| name.to_uppercase().contains(word));
        let mut values: Vec<String> = env
            .into_iter()
            .filter(|(name, _)| name.to_str().is_some_and(is_secret))
            .filter_map(|(_, value)| value.to_str().map(str::to_owned))
            .filter(|value| value.chars().count() >= SECRET_CHARS_MIN)
            .collect();
        // A secret that holds another one is masked whole.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values }
    }

    /// The text without secrets and without control characters.
    pub fn clean(&self, text: &str) -> String {
        let mut text = crate::text::plain(text);
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), MASK);
            }
        }
        without_shapes(&text)
    }
}

fn without_shapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = (!after_word).then(|| token_length(rest)).flatten() {
            kept.push_str(MASK);
            rest = &rest[length..];
            after_word = true;
            continue;
        }
        kept.push(first);
        after_word = first.is_ascii_alphanumeric() || first == '_';
        rest = &rest[first.len_utf8()..];
    }
    kept
}

/// The length in bytes of the token that the text begins with.
fn token_length(text: &str) -> Option<usize> {
    let shape = SHAPES.iter().find(|(start, _)| text.starts_with(start));
    let (start, least) = shape?;
    let is_part = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let follows = text.as_bytes()[start.len()..].iter().take_while(|byte| is_part(byte)).count();
    (follows >= *least).then_some(start.len() + follows)
}
