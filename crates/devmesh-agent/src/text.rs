//! Cutting text to its bounds without breaking characters.

use devmesh_protocol::limits::LINE_CHARS_MAX;

/// The last `max` characters, marked where something was cut off.
pub(crate) fn tail(text: &str, max: usize) -> String {
    let count = text.chars().count();
    if count <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(count - max.saturating_sub(1)).collect();
    format!("…{kept}")
}

/// The first `max` characters, marked where something was cut off.
pub(crate) fn head(text: &str, max: usize) -> String {
    let mut chars = text.chars();
    let kept: String = chars.by_ref().take(max).collect();
    if chars.next().is_none() {
        return kept;
    }
    let short: String = kept.chars().take(max.saturating_sub(1)).collect();
    format!("{short}…")
}

/// The text as one line of the log takes it.
pub(crate) fn line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    head(&plain(&words.join(" ")), LINE_CHARS_MAX)
}

/// A name of a file as git shows it: in quotes and escaped where it is not plain text.
pub(crate) fn shown(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '"' | '\\' => text.extend(['\\', c]),
                c if c.is_control() => {
                    let mut bytes = [0; 4];
                    let bytes = c.encode_utf8(&mut bytes).bytes();
                    text.extend(bytes.map(|byte| format!("\\{byte:03o}")));
                }
                c => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\{byte:03o}")));
    }
    if text.as_bytes() == name { text } else { format!("\"{text}\"") }
}

/// The text without control characters, which would reach a terminal; line ends and tabs stay.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n' || *c == '\t').collect()
}

#[cfg(test)]
mod tests;
