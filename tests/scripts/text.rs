//! Sessions as text: their blocks, and what in an output differs from run to run.

/// A command with the remarks above it.
pub(super) struct Block {
    /// Lines that are kept as they are.
    pub(super) remarks: String,
    /// The command; none for remarks at the end.
    pub(super) command: Option<String>,
}

/// The commands of a session; what they printed then is left out.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut remarks = String::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let remarks = std::mem::take(&mut remarks);
            blocks.push(Block { remarks, command: Some(command.to_owned()) });
        } else if line.starts_with("//") {
            remarks += &format!("{line}\n");
        }
    }
    if !remarks.is_empty() {
        blocks.push(Block { remarks, command: None });
    }
    blocks
}

/// The text with ports, times and names of commits replaced by what they are.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::new();
    let (mut word, mut before) = (String::new(), String::new());
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '.' | '/' | '_') {
            word.push(c);
        } else {
            plain += &if before == "record" { "[n]".to_owned() } else { of_word(&word) };
            before = std::mem::take(&mut word);
            plain.push(c);
        }
    }
    plain.truncate(plain.len() - 1);
    plain
}

fn of_word(word: &str) -> String {
    for (lead, shown) in [("nats://127.0.0.1:", "[bus]"), ("http://127.0.0.1:", "[dashboard]")] {
        if word.starts_with(lead) {
            return shown.to_owned();
        }
    }
    let is_hex = |text: &str| text.bytes().all(|c| c.is_ascii_hexdigit());
    let has_digit = word.bytes().any(|c| c.is_ascii_digit());
    if matches!(word.len(), 7 | 10 | 40 | 64) && is_hex(word) && has_digit {
        return "[hex]".to_owned();
    }
    let is_time = |at: &str| at.len() == 24 && at.starts_with("20") && at.ends_with('Z');
    match word.strip_suffix(['.', ':']) {
        Some(rest) if is_time(rest) => word.replace(rest, "[time]"),
        _ if is_time(word) => "[time]".to_owned(),
        _ if is_node(word) => "[node]".to_owned(),
        _ => word.to_owned(),
    }
}

/// The name of a coordinator in its term: the host's and four digits.
fn is_node(word: &str) -> bool {
    let Some((_, digits)) = word.rsplit_once('-') else { return false };
    digits.len() == 4
        && digits.bytes().all(|c| c.is_ascii_hexdigit())
        && digits.bytes().any(|c| c.is_ascii_digit())
}

#[test]
fn what_differs_from_run_to_run_is_replaced() {
    let cases = [
        ("bus  nats://127.0.0.1:4222\n", "bus  [bus]\n"),
        ("at http://127.0.0.1:7701/ now", "at [dashboard] now"),
        ("landed 0c1a4f44e7aefe7642c15099fe6dffcfa815f811", "landed [hex]"),
        ("0c1a4f4 add b", "[hex] add b"),
        ("until 2026-11-21T13:11:21.352Z.", "until [time]."),
        ("record 17, term", "record [n], term"),
        ("term 1 of vm-2bb6", "term 1 of [node]"),
        ("t-17 stays, so does default", "t-17 stays, so does default"),
    ];
    for (text, expected) in cases {
        assert_eq!(plain(text), expected, "{text}");
    }
}
