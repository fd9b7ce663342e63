//! What reaches a terminal is harmless.

use super::{Table, clean, clean_lines};

#[test]
fn control_and_direction_characters_are_escaped() {
    let cases = [
        ("plain text, ünïcode ✓", "plain text, ünïcode ✓"),
        ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
        ("a\rb", "a\\u{d}b"),
        ("bell\u{7}", "bell\\u{7}"),
        ("c1\u{9b}31m", "c1\\u{9b}31m"),
        ("rtl\u{202e}txt", "rtl\\u{202e}txt"),
        ("iso\u{2066}late", "iso\\u{2066}late"),
        ("line\u{2028}break", "line\\u{2028}break"),
    ];
    for (text, expected) in cases {
        assert_eq!(clean(text), expected);
    }
}

#[test]
fn lines_stay_lines() {
    assert_eq!(clean_lines("a\tb\nc\u{1b}d"), "a    b\nc\\u{1b}d");
}

#[test]
fn columns_stand_under_their_headers() {
    let mut table = Table::new(&["ID", "TITLE"]);
    table.row(&["t-1", "first"]);
    table.row(&["t-100", "second"]);
    assert_eq!(table.render(false), "ID     TITLE\nt-1    first\nt-100  second\n");
}

#[test]
fn only_the_last_column_may_be_long() {
    let long = "x".repeat(80);
    let mut table = Table::new(&["A", "B"]);
    table.row(&[&long, &long]);
    let text = table.render(false);
    assert!(text.contains('…') && text.contains(&long), "{text}");
}
