//! What is wrong with a configuration: every problem, each with its place and what to write.

use std::path::Path;

use toml::{Table, Value};

use super::keys::{KEYS, Key};

/// The known keys of a file with their values; what is wrong goes to `problems`.
pub(super) fn file(
    path: &Path,
    text: &str,
    problems: &mut Vec<String>,
) -> Vec<(&'static Key, Value)> {
    let at = path.display();
    let table: Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let line = line.map(|line| format!(":{line}")).unwrap_or_default();
            problems.push(format!("{at}{line}: {}", error.message()));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (section, value) in table {
        let Value::Table(keys) = value else {
            problems.push(format!("{at}: {section}: {}", stray(&section)));
            continue;
        };
        if !sections().contains(&section.as_str()) {
            let known = sections();
            let near = nearest(&section, &known);
            problems.push(format!("{at}: [{section}]: no such section; {}", offer(near, &known)));
            continue;
        }
        for (name, value) in keys {
            let full = format!("{section}.{name}");
            match KEYS.iter().find(|key| key.name == full) {
                None => problems.push(format!("{at}: {full}: {}", unknown(&section, &name))),
                Some(key) if !key.kind.takes(&value) => {
                    let wanted = key.kind.wanted();
                    problems.push(format!("{at}: {full}: {} is not {wanted}", short(&value)));
                }
                Some(key) => found.push((key, value)),
            }
        }
    }
    found
}

/// The keys that the environment says.
pub(super) fn environment(
    env: &impl Fn(&str) -> Option<String>,
    problems: &mut Vec<String>,
) -> Vec<(&'static Key, &'static str, Value)> {
    let mut found = Vec::new();
    for key in KEYS {
        let Some(name) = key.env else { continue };
        let Some(text) = env(name).filter(|text| !text.is_empty()) else { continue };
        match key.kind.parse(&text) {
            Some(value) => found.push((key, name, value)),
            None => problems.push(format!("{name}: {text:?} is not {}", key.kind.wanted())),
        }
    }
    found
}

fn sections() -> Vec<&'static str> {
    let mut all: Vec<&str> = KEYS.iter().filter_map(|key| key.name.split('.').next()).collect();
    all.dedup();
    all
}

fn stray(name: &str) -> String {
    match KEYS.iter().find(|key| key.name.rsplit('.').next() == Some(name)) {
        Some(key) => {
            let section = key.name.split('.').next().unwrap_or_default();
            format!("belongs under [{section}]")
        }
        None => format!("stands under no section; there are {}", sections().join(", ")),
    }
}

fn unknown(section: &str, name: &str) -> String {
    let here: Vec<&str> =
        KEYS.iter().filter_map(|key| key.name.strip_prefix(section)?.strip_prefix('.')).collect();
    if let Some(key) = KEYS.iter().find(|key| key.name.rsplit('.').next() == Some(name)) {
        let home = key.name.split('.').next().unwrap_or_default();
        return format!("no such key here; {name} stands under [{home}]");
    }
    format!("no such key; {}", offer(nearest(name, &here), &here))
}

fn offer(near: Option<&str>, known: &[&str]) -> String {
    match near {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are {}", known.join(", ")),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 40 {
        return text;
    }
    text.chars().take(39).chain(['…']).collect()
}

/// The known word that a typing error could have meant.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|other| (distance(word, other), *other)).min()?;
    (near.0 <= 2.max(word.chars().count() / 3)).then_some(near.1)
}

/// Insertions, deletions and replacements between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
