//! Words that say nothing, in the names of files, folders, functions and types.

use super::Breach;
use super::views::is_name;

/// A thing named by one of these was not yet understood.
const EMPTY: &[&str] = &[
    "common", "handler", "handlers", "helper", "helpers", "manager", "managers", "misc", "service",
    "services", "util", "utils",
];

/// What is followed by the name of something new.
const DECLARES: &[&str] =
    &["const", "enum", "fn", "macro_rules", "mod", "static", "struct", "trait", "type", "union"];

/// Checks each part of a path.
pub(crate) fn in_path(path: &str) -> Option<Breach> {
    let word = path.split(['/', '.', '-']).flat_map(words).find(|word| is_empty_word(word))?;
    Some(Breach::new(path, 0, format!("`{word}` in a name says nothing; name what it does")))
}

/// Checks the names that a source declares. Takes the code view.
pub(crate) fn in_code(path: &str, code: &str) -> Vec<Breach> {
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut tokens = line.split(|c| !is_name(c)).filter(|token| !token.is_empty()).peekable();
        while let Some(token) = tokens.next() {
            let Some(name) = tokens.peek().filter(|_| DECLARES.contains(&token)) else { continue };
            if let Some(word) = words(name).into_iter().find(|word| is_empty_word(word)) {
                let what = format!("`{word}` in `{name}` says nothing; name what it does");
                found.push(Breach::new(path, index + 1, what));
            }
        }
    }
    found
}

fn is_empty_word(word: &str) -> bool {
    EMPTY.contains(&word)
}

/// The words of a snake, camel or screaming name, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = '_';
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        // `LogManager` splits before the M, `HTTPHandler` before the second H.
        let ends_capitals = before.is_uppercase() && chars.peek().is_some_and(|c| c.is_lowercase());
        if c == '_' || (c.is_uppercase() && (!before.is_uppercase() || ends_capitals)) {
            words.push(String::new());
        }
        if c != '_'
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words
}
