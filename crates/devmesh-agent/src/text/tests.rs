//! Text within bounds, and names that can be shown.

use super::*;

#[test]
fn a_name_is_shown_as_git_shows_it() {
    let cases: [(&[u8], &str); 6] = [
        (b"src/a b.rs", "src/a b.rs"),
        ("caf\u{e9}".as_bytes(), "caf\u{e9}"),
        (b"caf\xe9.txt", r#""caf\351.txt""#),
        (b"a\nb", r#""a\nb""#),
        (b"a\x1b[31m", r#""a\033[31m""#),
        (b"a\\b\"c", r#""a\\b\"c""#),
    ];
    for (name, wanted) in cases {
        assert_eq!(shown(name), wanted);
    }
}
