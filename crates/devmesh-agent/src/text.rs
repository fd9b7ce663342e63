//! Cutting text to its bounds without breaking characters.

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

/// The text without control characters, which would reach a terminal; line ends and tabs stay.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n' || *c == '\t').collect()
}
